/** docs/examples/bench.sh, which others drive: what it writes is sound, and it overwrites nothing. */

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'baton-bench-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('writes configurations of a host and two agents that check-config finds sound, once', () => {
  const bench = join(folder, 'bench');
  const write = () => spawnSync('sh', [join(ROOT, 'docs/examples/bench.sh'), bench], { encoding: 'utf8' });
  expect(write()).toMatchObject({ status: 0, stderr: '' });
  for (const party of ['host', 'android', 'vault']) {
    expect(statSync(join(bench, `${party}.keys.json`)).mode & 0o077).toBe(0);
    const words = [join(ROOT, 'dist/baton.mjs'), 'check-config', join(bench, `${party}.json`)];
    expect(execFileSync(process.execPath, words, { encoding: 'utf8' })).toMatch(/sound|no fault|ok/i);
  }
  expect(write().status).not.toBe(0);
});
