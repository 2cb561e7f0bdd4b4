/** `baton plan` as a person calls it: words, JSON, list, bundle file, and what it refuses. */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { UsageError } from '../../src/cli/world.ts';
import { readBundleFile } from '../../src/config/bundle-file.ts';
import { plan } from '../../targets/node/cli/verbs/plan.ts';
import type { FileWorld } from '../../targets/node/cli/world.ts';
import { readText } from '../../targets/node/config/files.ts';
import { readTree } from '../../targets/node/config/tree-file.ts';
import { BOARD } from '../planner/board.ts';
import { blobOf, type Description } from '../planner/builder.ts';

/** Two cameras of one stream number, at two SMMUs. */
const PAIR: Description = {
  '#address-cells': [1],
  '#size-cells': [1],
  'interrupt-parent': [1],
  'gic@1000': {
    compatible: 'arm,gic-v3',
    phandle: [1],
    'interrupt-controller': new Uint8Array(0),
    '#interrupt-cells': [3],
  },
  'smmu@2000': { compatible: 'arm,smmu-v3', phandle: [2], reg: [0x2000, 0x1000], '#iommu-cells': [1] },
  'camera@3000': { compatible: 'test,camera', reg: [0x3000, 0x1000], interrupts: [0, 25, 4], iommus: [2, 6] },
};
const VAULT_PAIR: Description = {
  ...PAIR,
  'eye@b000': { reg: [0xb000, 0x1000], interrupts: [0, 8, 4], iommus: [2, 7] },
};

let folder: string;
const at = (name: string) => join(folder, name);
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-plan-'));
  writeFileSync(at('board.dtb'), blobOf(BOARD));
  writeFileSync(at('other'), 'no tree');
});
afterAll(() => rmSync(folder, { recursive: true }));

function run(...args: string[]): { status: number; out: string[]; err: string[] } {
  const out: string[] = [];
  const err: string[] = [];
  const world = {
    env: {},
    readTree,
    readText,
    out: (line: string) => out.push(line),
    err: (line: string) => err.push(line),
  };
  return { status: plan(world as unknown as FileWorld, args), out, err };
}

it('says what stands in the way', () => {
  const { status, out } = run(at('board.dtb'), 'touch@20');
  expect(status).toBe(1);
  expect(out.join('\n')).toContain('/soc@0/i2c@1000  (touch@20 is reached through it)');
  expect(out.join('\n')).toContain('summaryInterrupt: /soc@0/i2c@1000/touch@20');
});

it('writes a bundle file that the daemons take, and the same again', () => {
  const written = ['a.json', 'b.json'].map((name) => {
    const { status, out } = run(
      at('board.dtb'),
      'i2c0',
      '--owner',
      'android',
      '--name',
      'bus',
      '-o',
      at(name),
    );
    expect(out.at(-1)).toBe('Nothing stands in the way.');
    expect(status).toBe(0);
    return readFileSync(at(name), 'utf8');
  });
  expect(written[0]).toBe(written[1]);
  const [bundle] = readBundleFile('a.json', written[0]!);
  expect(bundle).toMatchObject({ id: 'bus', owner: 'android', devices: [{ id: 'i2c' }] });
});

it('adds to a bundle file, replaces what has its name, and refuses what overlaps, with both names', () => {
  const file = at('all.json');
  const words = ['--owner', 'android', '-o', file];
  expect(run(at('board.dtb'), 'i2c0', '--name', 'bus', ...words).status).toBe(0);
  writeFileSync(at('pair.dtb'), blobOf(PAIR));
  const added = run(at('pair.dtb'), 'camera@3000', '--name', 'eye', ...words);
  expect(added.err[0]).toMatch(/^\S+all.json: eye is written beside bus; its digest is [0-9a-f]{64}$/);
  expect(run(at('board.dtb'), 'i2c0', '--name', 'bus', ...words).err[0]).toContain('beside eye');
  const names = () => readBundleFile('all.json', readFileSync(file, 'utf8')).map(({ id }) => id);
  expect(names()).toEqual(['eye', 'bus']);
  const before = readFileSync(file, 'utf8');
  const again = run(at('board.dtb'), 'i2c0', '--name', 'other', ...words);
  expect(again.status).toBe(78);
  expect(again.err.at(-1)).toContain(
    'other i2c.mmio0 and bus i2c.mmio0 are the same mmio (0x40001000-0x40001fff, ' +
      '0x40001000-0x40001fff): one thing belongs to one bundle',
  );
  expect(readFileSync(file, 'utf8')).toBe(before);
});

it('writes over what somebody wrote by hand only with --replace', () => {
  const file = at('hand.json');
  const words = (...more: string[]) => run(at('board.dtb'), 'i2c0', '--name', 'bus', '-o', file, ...more);
  expect(words('--owner', 'android').status).toBe(0);
  expect(words('--owner', 'android').err[0]).toContain('bus is replaced');
  expect(words('--owner', 'vault')).toMatchObject({
    status: 78,
    err: [
      expect.stringMatching(
        /it has a different bus: use --replace to overwrite it, with its views and residual states/,
      ),
    ],
  });
  writeFileSync(file, `// by hand\n${readFileSync(file, 'utf8')}`);
  expect(words('--owner', 'android')).toMatchObject({
    status: 78,
    err: [expect.stringMatching(/edited by hand: use --replace to overwrite it, without its comments/)],
  });
  expect(readFileSync(file, 'utf8')).toContain('// by hand');
  expect(words('--owner', 'vault', '--replace').status).toBe(0);
  expect(readBundleFile('hand.json', readFileSync(file, 'utf8'))[0]).toMatchObject({ owner: 'vault' });
});

it('puts in how another VM sees it, from its own tree', () => {
  writeFileSync(at('pair.dtb'), blobOf(PAIR));
  writeFileSync(at('vault.dtb'), blobOf(VAULT_PAIR));
  const view = `vault=${at('vault.dtb')}:camera=eye@b000`;
  const { status, out } = run(at('pair.dtb'), 'camera@3000', '--view', view, '--json');
  expect(status).toBe(0);
  const { bundle } = JSON.parse(out[0]!) as { bundle: { devices: { resources: { views: object }[] }[] } };
  expect(bundle.devices[0]!.resources.map(({ views }) => views)).toEqual([
    { vault: 0xb000 },
    { vault: 40 },
    { vault: 7 },
  ]);
  const wrong = run(at('pair.dtb'), 'camera@3000', '--view', `vault=${at('vault.dtb')}:came=eye@b000`);
  expect(wrong).toMatchObject({
    status: 78,
    err: [expect.stringMatching(/the bundle has no device came: camera/)],
  });
  expect(() => run(at('pair.dtb'), 'camera@3000', '--view', 'vault')).toThrow(
    '--view vault: expected VM=TREE:DEVICE=NODE,DEVICE=NODE',
  );
  expect(() => run(at('pair.dtb'), 'camera@3000', '--view', `v=${at('vault.dtb')}:camera=no@1`)).toThrow(
    /no@1: expected the name of exactly one node/,
  );
  expect(run(at('pair.dtb'), 'camera@3000', '--view', `v=${at('other')}:camera=no@1`).status).toBe(78);
});

it('takes --device and --accept', () => {
  const words = ['--device', 'touch@20', '--accept', 'summaryInterrupt'];
  const text = run(at('board.dtb'), ...words).out.join('\n');
  expect(text).toContain('Accepted:\n  summaryInterrupt: /soc@0/i2c@1000/touch@20');
  expect(text).toContain('1 thing stands in the way:\n  processorInterrupt');
  expect(() => run(at('board.dtb'), 'touch@20', '--accept', 'sharedPage')).toThrow(
    '--accept sharedPage: only summaryInterrupt, sharedReset, clockLoop, pciHost, unknownIommu, noDma can be accepted',
  );
});

it('writes none while something stands in the way', () => {
  const { err } = run(at('board.dtb'), 'touch@20', '-o', at('none.json'));
  expect(err).toEqual([`${at('none.json')} was not written`]);
  expect(existsSync(at('none.json'))).toBe(false);
});

it('lists what could be asked for', () => {
  expect(run(at('board.dtb'), '--list').out).toEqual(['Can move:', '  /soc@0/i2c@1000  test,i2c']);
  const rows = run(at('board.dtb'), '--list', '--json').out.map(
    (line) => JSON.parse(line) as { node: string },
  );
  expect(rows.map(({ node }) => node)).toContain('/soc@0/i2c@1000');
});

it('each line of a list as JSON has what is in the way, the ways out and the kind of device', () => {
  const engine = { compatible: 'arm,mali-t604', reg: [0x5000, 0x1000], interrupts: [0, 26, 4] };
  writeFileSync(at('gpu.dtb'), blobOf({ ...PAIR, 'gpu@5000': engine }));
  const rows = run(at('gpu.dtb'), '--list', '--json').out.map((line) => JSON.parse(line) as unknown);
  expect(rows).toMatchObject([
    { node: '/camera@3000', compatible: 'test,camera', mission: 'camera', verdict: 'free', blockers: [] },
    {
      node: '/gpu@5000',
      mission: 'gpu',
      verdict: 'blocked',
      acceptable: false,
      blockers: [{ kind: 'unconfinedDma', node: '/gpu@5000', users: [], ways: expect.any(Array) }],
    },
  ]);
});

it('ends with a status of its own where nobody knows whether a device does DMA, and says what would do', () => {
  writeFileSync(
    at('unsure.dtb'),
    blobOf({ ...PAIR, 'sensor@5000': { compatible: 'test,sensor', reg: [0x5000, 0x1000] } }),
  );
  const unsure = run(at('unsure.dtb'), 'sensor@5000', '-o', at('unsure.json'));
  expect([unsure.status, existsSync(at('unsure.json'))]).toEqual([82, false]);
  expect(unsure.out.at(-1)).toBe('What would move: ask for /sensor@5000 --accept noDma');
  const accepted = run(at('unsure.dtb'), 'sensor@5000', '--accept', 'noDma', '-o', at('unsure.json'));
  expect([accepted.status, existsSync(at('unsure.json'))]).toEqual([0, true]);
});

it('gives all of it as JSON', () => {
  const answer = JSON.parse(run(at('board.dtb'), 'i2c0', '--json').out[0]!) as Record<string, unknown>;
  expect(answer).toMatchObject({
    ok: true,
    members: [{ node: '/soc@0/i2c@1000', registers: [{ physical: '0x40001000', bytes: '0x1000' }] }],
    blockers: [],
    bundle: { id: 'i2c' },
  });
});

it('refuses what is no tree, and what is no node of it', () => {
  expect(run(at('other'), 'x')).toMatchObject({
    status: 66,
    err: [expect.stringMatching(/other: device tree, byte 0x0: 7 bytes are no header/)],
  });
  expect(run(at('missing'), 'x')).toMatchObject({ status: 66 });
  expect(() => run(at('board.dtb'), 'none@1')).toThrow(UsageError);
  expect(() => run(at('board.dtb'), 'touch@99')).toThrow(
    'no node is called touch@99; did you mean /soc@0/i2c@1000/touch@20?',
  );
  expect(() => run(at('board.dtb'))).toThrow('plan takes a NODE; --list shows them');
});
