/** `baton plan` as a person calls it: words, JSON, list, bundle file, and what it refuses. */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type CliWorld, UsageError } from '../../src/cli/world.ts';
import { readBundleFile } from '../../src/config/bundle-file.ts';
import { plan } from '../../targets/node/plan.ts';
import { BOARD } from '../devicetree/board.ts';
import { blobOf } from '../devicetree/builder.ts';

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
  const world = { env: {}, out: (line: string) => out.push(line), err: (line: string) => err.push(line) };
  return { status: plan(world as unknown as CliWorld, args), out, err };
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
  expect(bundle).toMatchObject({ id: 'bus', owner: 'android', devices: [{ id: 'i2c-1000' }] });
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
    'no node is called touch@99: /soc@0/i2c@1000/touch@20',
  );
  expect(() => run(at('board.dtb'))).toThrow('plan takes a NODE; --list shows which there are');
});
