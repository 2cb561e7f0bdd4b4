/** What is wrong with one property of one node: what that hides, and whom it stands in the way of. */

import { expect, it } from 'vitest';
import type { Description } from './builder.ts';
import { boardOf, chosen, DISPLAY, inTheWay, other, planOf, RESET, SMMU } from './plan-boards.ts';

const NOC = 99;
/** A device outside, with what the display has, and one thing wrong. */
const beside = (own: Description) =>
  planOf(
    boardOf({
      noc: { phandle: [NOC], '#interconnect-cells': [2] },
      'display@1000': DISPLAY,
      'b@60000': other({ reg: [0x6_0000, 0x1000], ...own }),
    }),
    'display@1000',
  );

it.each<[string, Description]>([
  ['sharedReset', { resets: [RESET, 1] }],
  ['sharedStream', { iommus: [SMMU, 0x10, 0] }],
  ['sharedLine', { interrupts: [0, 10, 4] }],
  ['sharedPage', { reg: [0x1800, 0x100] }],
])('one bad property hides nothing else of its node: %s', (kind, own) => {
  // Properties come in the order of the blob: the bad one before and after.
  const bad = { interconnects: [NOC, 1] };
  for (const both of [
    { ...bad, ...own },
    { ...own, ...bad },
  ])
    expect(inTheWay(beside(both))).toEqual([[kind, '/b@60000']]);
});

it.each<[string, Description, string]>([
  ['registers', { reg: [1, 2, 3] }, 'it may share a page with /display@1000'],
  ['lines', { interrupts: [1, 2] }, 'it may share a line with /display@1000'],
  ['streams', { iommus: [SMMU, 1] }, 'it may share a stream with /display@1000'],
  ['a DMA controller', { dmas: [98, 1] }, 'it may share a stream with /display@1000'],
  ['resets', { resets: [RESET] }, 'it may share a reset with /display@1000'],
])('%s of a node outside that cannot be read stand in the way', (_what, own, words) => {
  const { blockers } = beside(own);
  expect(new Set(blockers.map(({ kind, node }) => `${kind} ${node}`))).toEqual(
    new Set(['unreadable /b@60000']),
  );
  for (const { what, ways } of blockers) {
    expect(what).toContain(words);
    expect(ways).toEqual(['correct the device tree', 'disable it in the device tree']);
  }
});

it.each<[string, Description]>([
  ['clocks', { clocks: [98, 1] }],
  ['interconnects', { interconnects: [NOC, 1] }],
  ['pins', { 'pinctrl-0': new Uint8Array(3) }],
])('%s that cannot be read share nothing that gives access', (_what, own) => {
  expect(inTheWay(beside(own))).toEqual([]);
});

it('a node outside stands only in the way of what has something to share', () => {
  const plan = (own: Description, bad: Description) =>
    inTheWay(
      planOf(
        boardOf({
          'i2c@50000': other({ '#address-cells': [1], '#size-cells': [0], ...own }),
          'b@60000': other({ reg: [0x6_0000, 0x1000], ...bad }),
        }),
        'i2c@50000',
      ),
    );
  expect(plan({}, { resets: [RESET] })).toEqual([]);
  expect(plan({ resets: [RESET, 1] }, { resets: [RESET] })).toEqual([['unreadable']]);
  expect(plan({}, { iommus: [SMMU, 1] })).toEqual([]);
  expect(plan({ iommus: [SMMU, 1, 0] }, { iommus: [SMMU, 1] })).toEqual([['unreadable']]);
  expect(plan({}, { interrupts: [1, 2] })).toEqual([]);
  expect(plan({ interrupts: [0, 12, 4] }, { interrupts: [1, 2] })).toEqual([['unreadable']]);
});

it('a power switch is one to share where devices are reset by it', () => {
  const board = boardOf({
    power: { phandle: [30], '#power-domain-cells': [1] },
    'a@50000': other({ 'power-domains': [30, 1] }),
    'b@60000': other({ reg: [0x6_0000, 0x1000], 'power-domains': [30] }),
  });
  const of = (powerReset: boolean) => inTheWay(chosen(board, 'a@50000', { powerReset, accept: ['noDma'] }));
  expect(of(false)).toEqual([]);
  expect(of(true)).toEqual([['unreadable']]);
});

it('one that is disabled cannot be in the way', () => {
  expect(inTheWay(beside({ reg: [1, 2, 3], status: 'disabled' }))).toEqual([]);
});

it('what moves has to be read whole', () => {
  const board = boardOf({ 'a@50000': other({ clocks: [98, 1], 'pinctrl-0': new Uint8Array(3) }) });
  const { blockers } = planOf(board, 'a@50000');
  expect(blockers.map(({ kind, what }) => `${kind}: ${what}`)).toEqual([
    'unreadable: /a@50000, clocks: no node has the phandle 0x62',
    'unreadable: /a@50000, pinctrl-0: 3 bytes are no whole cells',
  ]);
});
