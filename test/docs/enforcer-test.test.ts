/** The enforcer that docs/PLATFORMS.md offers to start from passes `baton enforcer-test`; a broken copy does not. */

import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { bundleFileText } from '../../src/config/bundle-file.ts';
import { PANEL } from '../../targets/lab/machine/board.ts';
import { enforcerTest } from '../../targets/node/cli/verbs/enforcer-test.ts';
import type { FileWorld } from '../../targets/node/cli/world.ts';

const EXAMPLE = fileURLToPath(new URL('../../docs/examples/command-enforcer.sh', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'baton-enforcer-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs the suite on the script `text`. Returns exit status and printed lines. */
async function check(name: string, text: string): Promise<{ status: number; lines: string[] }> {
  const at = (file: string) => join(folder, name, file);
  mkdirSync(at('notes'), { recursive: true });
  writeFileSync(at('enforcer.sh'), text);
  chmodSync(at('enforcer.sh'), 0o755);
  writeFileSync(at('bundles.json'), bundleFileText([PANEL]));
  writeFileSync(
    at('host.json'),
    JSON.stringify({
      bundles: 'bundles.json',
      keys: 'unused',
      enforcer: {
        kind: 'command',
        command: ['/usr/bin/env', `BATON_NOTES=${at('notes')}`, at('enforcer.sh')],
      },
      transport: { kind: 'stream', listen: {} },
      state: 'unused',
      control: 'unused',
    }),
  );
  const lines: string[] = [];
  const world = { out: (line: string) => lines.push(line) } as unknown as FileWorld;
  const status = await enforcerTest(world, [at('host.json'), '--owner', 'android', '--other', 'vault']);
  return { status, lines };
}

test('the example passes', async () => {
  const { status, lines } = await check('whole', readFileSync(EXAMPLE, 'utf8'));
  expect(lines.filter((line) => line.startsWith('fail'))).toEqual([]);
  expect(lines.at(-1)).toMatch(/^example: 1\d passed, 0 failed, 3 not claimed$/);
  expect(status).toBe(0);
});

test('as a program it comes to its end', async () => {
  await check('program', readFileSync(EXAMPLE, 'utf8'));
  // This process has the lock of its state folder.
  const config = join(folder, 'program/host.json');
  writeFileSync(config, readFileSync(config, 'utf8').replace('"state":"unused"', '"state":"another"'));
  const program = join(import.meta.dirname, '../../dist/baton.mjs');
  const words = ['enforcer-test', config, '--owner', 'android', '--other', 'vault'];
  const child = spawn(process.execPath, [program, ...words], { stdio: 'ignore', timeout: 20_000 });
  const status = await new Promise((resolve) => child.once('exit', resolve));
  expect(status).toBe(0);
}, 30_000);

test('the example without its check before a grant fails', async () => {
  const broken = readFileSync(EXAMPLE, 'utf8').replace('blocked | "$vm")', '*)');
  const { status, lines } = await check('broken', broken);
  expect(status).toBe(1);
  expect(lines.filter((line) => line.startsWith('fail')).join('\n')).toContain(
    'a grant to another VM without fence',
  );
});
