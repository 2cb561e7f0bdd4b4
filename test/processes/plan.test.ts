/**
 * `baton plan` from the built bundle: colours on a terminal and nowhere else, pictures, two revisions, exit statuses.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { BOARD } from '../planner/board.ts';
import { blobOf } from '../planner/builder.ts';
import { paced } from '../support/pace.ts';

const BATON = join(import.meta.dirname, '../../dist/baton.mjs');
const folder = mkdtempSync(join(tmpdir(), 'baton-plan-'));
const board = join(folder, 'board.dtb');
const changed = join(folder, 'changed.dtb');
writeFileSync(board, blobOf(BOARD));
const { 'soc@0': soc } = BOARD as { 'soc@0': typeof BOARD };
const shared = { compatible: 'test,other', reg: [0x4000, 0x100], iommus: [2, 0x880, 0] };
writeFileSync(changed, blobOf({ ...BOARD, 'soc@0': { ...soc, 'other@4000': shared } }));
afterAll(() => rmSync(folder, { recursive: true }));

const ESCAPE = '\u001b[';
const plain = { ...process.env, TERM: 'xterm', NO_COLOR: '' };

function run(args: readonly string[], env: NodeJS.ProcessEnv = plain) {
  const { status, stdout } = spawnSync(process.execPath, [BATON, 'plan', ...args], { encoding: 'utf8', env });
  return { status, out: stdout };
}

/** The same with a terminal as its standard output: that of util-linux' `script`. */
function onTerminal(args: readonly string[], env: NodeJS.ProcessEnv = plain): string {
  const command = [process.execPath, BATON, 'plan', ...args].map((word) => `'${word}'`).join(' ');
  const { stdout, error } = spawnSync('script', ['-qec', command, '/dev/null'], { encoding: 'utf8', env });
  if (error) throw error;
  return stdout.replaceAll('\r\n', '\n');
}

const PLANS = [
  ['touch', [board, 'touch@20']],
  ['touch, accepted', [board, 'touch@20', '--accept', 'summaryInterrupt']],
  ['bus', [board, 'i2c0']],
  ['list', [board, '--list']],
  ['diff', ['--diff', board, changed]],
] as const;

it.each(PLANS)('%s: colours on a terminal, none in a pipe, the same words', (_name, args) => {
  const piped = run(args).out;
  expect(piped).not.toContain('\u001b');
  expect(piped.length).toBeGreaterThan(30);
  const coloured = onTerminal(args);
  expect(coloured).toContain(ESCAPE);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what is looked for.
  expect(coloured.replace(/\u001b\[\d+m/g, '')).toBe(piped);
});

it('NO_COLOR, a dumb terminal and --color never are heard; --color always, too; JSON has none', () => {
  const args = PLANS[0][1];
  expect(onTerminal(args, { ...plain, NO_COLOR: '1' })).not.toContain(ESCAPE);
  expect(onTerminal(args, { ...plain, TERM: 'dumb' })).not.toContain(ESCAPE);
  expect(onTerminal([...args, '--color', 'never'])).not.toContain(ESCAPE);
  expect(onTerminal([...args, '--json'])).not.toContain(ESCAPE);
  expect(run([...args, '--color=always']).out).toContain(ESCAPE);
  expect(run([...args, '--color', 'blue']).status).toBe(64);
});

it('draws a picture, whatever stands in the way', () => {
  const file = join(folder, 'touch.svg');
  expect(run([board, 'touch@20', '--svg', file]).status).toBe(1);
  const svg = readFileSync(file, 'utf8');
  expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
  expect(svg).toContain('summaryInterrupt');
  expect(run([board, '--list', '--svg', file]).status).toBe(64);
});

it('says by its exit status whether a new revision is worse', () => {
  expect(run(['--diff', board, board])).toMatchObject({
    status: 0,
    out: expect.stringMatching(/ 0 got worse/),
  });
  const { status, out } = run(['--diff', board, changed]);
  expect(status).toBe(1);
  expect(out).toContain('/soc@0/i2c@1000  (can move -> cannot move)');
  // The other way round it got better.
  expect(run(['--diff', changed, board]).out).toMatch(/ 0 got worse .* got better/);
  expect(run(['--diff', board, changed, 'pcie@50000000']).status).toBe(0);
  expect(run(['--diff', board, changed, 'i2c0']).status).toBe(1);
  expect(JSON.parse(run(['--diff', board, changed, '--json']).out)).toMatchObject({
    ok: false,
    devices: [
      { nodes: ['/soc@0/i2c@1000'], grade: 'worse' },
      { nodes: ['/soc@0/other@4000'], grade: 'new' },
    ],
  });
  expect(run(['--diff', board]).status).toBe(64);
  expect(run(['--diff', board, changed, 'nobody']).status).toBe(64);
  expect(run(['--diff', board, join(folder, 'none.dtb')]).status).toBe(66);
});

it.each<[string, readonly string[], number, string]>([
  [
    'a picture that cannot be written',
    [board, 'i2c0', '--svg', '/nowhere/x.svg'],
    78,
    'baton plan: /nowhere/x.svg: cannot be written',
  ],
  ['a name that is none', [board, 'i2c0', '--name', 'A b'], 64, 'baton: --name: "A b" cannot name a bundle'],
  ['an owner that is none', [board, 'i2c0', '--owner', ''], 64, 'baton: --owner: "" cannot name a VM'],
  ['a node that a list does not want', [board, '--list', 'i2c0'], 64, 'baton: --list shows the whole board'],
  ['no name at all', [board, ''], 64, 'baton: no node is called '],
  ['a file without an end', ['/dev/zero', 'i2c0'], 66, 'baton plan: /dev/zero: no file'],
  ['a folder', [folder, 'i2c0'], 66, `baton plan: ${folder}: a folder that is no device tree`],
  ['nothing', ['/nowhere/x.dtb', 'i2c0'], 66, 'baton plan: /nowhere/x.dtb: no such file'],
])('%s: says so', (_name, args, status, words) => {
  const ended = spawnSync(process.execPath, [BATON, 'plan', ...args], {
    encoding: 'utf8',
    env: plain,
    timeout: paced(20_000),
  });
  expect(ended.stderr).toContain(words);
  expect(ended.status).toBe(status);
});
