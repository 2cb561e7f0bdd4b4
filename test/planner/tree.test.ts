/** What properties mean: addresses through ranges, interrupts through maps, references, streams. */

import { describe, expect, it, test } from 'vitest';
import { registersOf } from '../../src/planner/addresses.ts';
import { readBlob } from '../../src/planner/blob.ts';
import { gicLine, interruptsOf } from '../../src/planner/interrupts.ts';
import { needsOf } from '../../src/planner/links.ts';
import { streamsOf } from '../../src/planner/streams.ts';
import { isEnabled, Tree } from '../../src/planner/tree.ts';
import { BOARD } from './board.ts';
import { blobOf, type Description } from './builder.ts';

const treeOf = (board: Description) => new Tree(readBlob(blobOf(board)));
const tree = treeOf(BOARD);
const node = (place: string) => tree.find(place)!;

describe('a node', () => {
  it('is found by path, alias and name', () => {
    expect(node('/').path).toBe('/');
    expect(node('i2c0').path).toBe('/soc@0/i2c@1000');
    expect(node('i2c0/touch@20').path).toBe('/soc@0/i2c@1000/touch@20');
    expect(node('touch@20').path).toBe('/soc@0/i2c@1000/touch@20');
    expect(tree.find('/soc@0/none')).toBeUndefined();
    expect(tree.find('none')).toBeUndefined();
  });

  it('is disabled with all below it', () => {
    expect(isEnabled(node('i2c0'))).toBe(true);
    expect(isEnabled(node('off@3000'))).toBe(false);
    expect(isEnabled(node('/soc@0/off@3000/below@0'))).toBe(false);
  });
});

describe('registers', () => {
  it('are where the buses above put them', () => {
    expect(registersOf(node('gic@8000000'))).toEqual([
      { address: 0x800_0000n, bytes: 0x1_0000n, physical: 0x800_0000n },
    ]);
    expect(registersOf(node('i2c0'))).toEqual([{ address: 0x1000n, bytes: 0x100n, physical: 0x4000_1000n }]);
  });

  it('of a client on I2C, or outside of the ranges, are nowhere', () => {
    expect(registersOf(node('touch@20'))).toEqual([{ address: 0x20n, bytes: 0n, physical: undefined }]);
    expect(registersOf(node('far@200000'))).toMatchObject([{ physical: undefined }]);
  });

  it('of the wrong length are an error that names node and property', () => {
    const broken = treeOf({ '#address-cells': [2], '#size-cells': [1], 'x@0': { reg: [1, 2] } });
    expect(() => registersOf(broken.find('/x@0')!)).toThrow('/x@0, reg: 2 cells are no multiple of 2 + 1');
  });
});

describe('interrupts', () => {
  const linesOf = (place: string) =>
    interruptsOf(tree, node(place)).map((each) => gicLine(each) ?? `${each.controller.name} ${each.cells}`);

  it('go to the controller that is named, or the nearest named above', () => {
    expect(linesOf('i2c0')).toEqual([{ kind: 'spi', number: 37, trigger: 'level' }]);
    expect(linesOf('touch@20')).toEqual(['gpio@2000 125,2', { kind: 'ppi', number: 22, trigger: 'edge' }]);
  });

  it('go through the map of a nexus', () => {
    expect(linesOf('card@2,0')).toEqual([{ kind: 'spi', number: 66, trigger: 'level' }]);
  });

  it('that no map has, or that go in a circle, are an error', () => {
    const nexus = { '#interrupt-cells': [1], '#address-cells': [0], phandle: [1] };
    const broken = treeOf({
      'n@0': { ...nexus, 'interrupt-map': [1, 1, 1] },
      'x@0': { 'interrupt-parent': [1], interrupts: [1] },
      'y@0': { 'interrupt-parent': [1], interrupts: [2] },
    });
    expect(() => interruptsOf(broken, broken.find('/x@0')!)).toThrow(
      'more than 8 interrupt controllers on the way',
    );
    expect(() => interruptsOf(broken, broken.find('/y@0')!)).toThrow('nothing for <2> of /y@0');
  });
});

/** What is wrong with one property is an error here. */
const fail = (error: Error): never => {
  throw error;
};

describe('references', () => {
  it('have their role, place, name and cells', () => {
    const needs = needsOf(tree, node('i2c0'), fail).map(({ role, property, index, name, cells, target }) =>
      [role, property, index, name ?? '', target?.name, ...cells].join(' '),
    );
    expect(needs).toEqual([
      'iommu iommus 0  smmu@9000 2176 8',
      'clock clocks 0 bus clock@8000 7',
      'clock clocks 2  clock@8000 9',
      'supply vdd-supply 0  regulator',
    ]);
  });

  it('to nobody, or cut short, are an error', () => {
    const broken = treeOf({
      'x@0': { clocks: [9] },
      c: { phandle: [1], '#clock-cells': [2] },
      'y@0': { clocks: [1, 5] },
    });
    expect(() => needsOf(broken, broken.find('/x@0')!, fail)).toThrow(
      '/x@0, clocks: no node has the phandle 0x9',
    );
    expect(() => needsOf(broken, broken.find('/y@0')!, fail)).toThrow(
      '/y@0, clocks: /c takes 2 cells; there are 1',
    );
  });
});

describe('streams', () => {
  it('have an ID and a mask, also those of a bus', () => {
    expect(streamsOf(tree, node('i2c0'))).toMatchObject([{ id: 0x880, mask: 8 }]);
    expect(streamsOf(tree, node('pcie@50000000'))).toMatchObject([{ id: 0x400, mask: 0xff }]);
  });
});

test('what dtc keeps for overlays is no node of the board, whatever its properties are called', () => {
  const source = (name: string) => ({ name, path: `/${name}`, properties: new Map(), children: [] }) as never;
  const label = new Map([
    ['backlight', Uint8Array.from([...'/backlight\0'].map((char) => char.charCodeAt(0)))],
  ]);
  const symbols = { name: '__symbols__', path: '/__symbols__', properties: label, children: [] } as never;
  const children = [
    source('backlight'),
    symbols,
    source('__fixups__'),
    source('__symbols'),
    source('x__symbols__'),
  ];
  const tree = new Tree({
    root: { name: '', path: '/', properties: new Map(), children } as never,
    reservations: [],
  });
  expect([...tree.nodes()].map(({ path }) => path)).toEqual([
    '/',
    '/backlight',
    '/__symbols',
    '/x__symbols__',
  ]);
  expect(tree.find('/__symbols__')).toBe(symbols);
});
