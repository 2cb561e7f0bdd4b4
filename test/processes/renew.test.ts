/** `baton borrow --renew` with real programs: the command outlives its lease, as far as the owner's policy allows. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Started } from '../../targets/node/system/started.ts';
import { paced } from '../support/pace.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Lease of the tests, in ms: long enough for a busy machine to renew it within half of it. */
const LEASE_MS = paced(700);
const LIMIT_MS = paced(25_000);
const folder = mkdtempSync(join(tmpdir(), 'baton-renew-'));
const bench = join(folder, 'bench');
const started = new Started();

const program = (name: string, ...words: string[]): ChildProcess =>
  started.spawn(process.execPath, [join(ROOT, `dist/${name}.mjs`), ...words], { stdio: 'ignore' });

beforeAll(async () => {
  spawnSync('sh', [join(ROOT, 'docs/examples/bench.sh'), bench]);
  const owner = join(bench, 'android.json');
  const text = readFileSync(owner, 'utf8');
  writeFileSync(
    owner,
    text.replace('"leaseMaxMs": 60000', `"leaseMaxMs": 60000, "totalMaxMs": ${3 * LEASE_MS}`),
  );
  program('baton-host', '--config', join(bench, 'host.json'), '--create-table');
  for (const vm of ['android', 'vault']) program('baton-agent', '--config', join(bench, `${vm}.json`));
  while (!existsSync(join(bench, 'vault.sock'))) await new Promise((resolve) => setTimeout(resolve, 20));
}, LIMIT_MS);
afterAll(async () => {
  await started.end(1_000);
  rmSync(folder, { recursive: true });
});

/** Borrows for a command that would run for `seconds`. */
function borrow(...words: string[]) {
  const args = ['borrow', 'panel', '--wait', '20s', '--min-evidence', 'none', '--notice', '300ms'];
  const lease = ['--lease', `${LEASE_MS}ms`, '--socket', join(bench, 'vault.sock')];
  return new Promise<{ status: number | null; said: string; tookMs: number }>((resolve) => {
    const startMs = performance.now();
    let said = '';
    const child = spawn(process.execPath, [join(ROOT, 'dist/baton.mjs'), ...args, ...lease, ...words]);
    child.stderr.on('data', (bytes: Buffer) => {
      said += bytes.toString();
    });
    child.once('close', (status) => resolve({ status, said, tookMs: performance.now() - startMs }));
  });
}

it(
  'a command that needs longer than its lease ends by itself, and the bundle goes back',
  async () => {
    const { status, said } = await borrow('--renew', '--', 'sleep', `${(1.6 * LEASE_MS) / 1_000}`);
    expect([status, said]).toEqual([0, expect.stringMatching(/renewed for [\s\S]*given back/)]);
  },
  LIMIT_MS,
);

it(
  'without --renew it is ended with its lease',
  async () => {
    const { status, said } = await borrow('--', 'sleep', '60');
    expect([status, said]).toEqual([128 + 15, expect.stringContaining('to be given back')]);
    expect(said).not.toContain('renewed');
  },
  LIMIT_MS,
);

it(
  'the owner’s policy bounds the time in all',
  async () => {
    const { status, said, tookMs } = await borrow('--renew', '--', 'sleep', '60');
    expect([status, said]).toEqual([
      128 + 15,
      expect.stringMatching(
        new RegExp(
          `renewed for [\\s\\S]*the longest time in all is ${3 * LEASE_MS} ms[\\s\\S]*to be given back`,
        ),
      ),
    ]);
    expect(tookMs).toBeGreaterThan(1.5 * LEASE_MS);
  },
  LIMIT_MS,
);
