/** `baton history` as a program, in several time zones. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

const BATON = join(import.meta.dirname, '../../dist/baton.mjs');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-history-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function keep(...times: readonly string[]): void {
  const nothing = { from: null, to: null, purpose: null, cause: 'start', ms: 1, steps: [] };
  const lines = times.map((time) =>
    JSON.stringify({ time, bundle: 'panel', epoch: 1, ...nothing, outcome: 'returned' }),
  );
  writeFileSync(join(folder, 'handovers.jsonl'), `${lines.join('\n')}\n`);
}

function history(zone: string, ...words: readonly string[]): string[] {
  const args = [BATON, 'history', '--state', folder, ...words];
  const run = spawnSync(process.execPath, args, { env: { ...process.env, TZ: zone }, encoding: 'utf8' });
  expect(run.status).toBe(0);
  return run.stdout.split('\n').flatMap((line) => line.slice(0, 23).trim() || []);
}

it.each([
  ['Europe/Berlin', '2026-11-30 14:03:07.123', '2026-11-30 14:03'],
  ['America/New_York', '2026-11-30 08:03:07.123', '2026-11-30 08:03'],
  ['Asia/Kolkata', '2026-11-30 18:33:07.123', '2026-11-30T18:33'],
  ['Pacific/Kiritimati', '2026-12-01 03:03:07.123', '2026-12-01 03:03'],
])('in %s prints %s, and takes such times', (zone, shown, since) => {
  keep('2026-11-30T13:03:07.123Z', '2026-11-30T13:02:59.999Z');
  expect(history(zone, '--since', since)).toEqual([shown]);
});

it('counts days by the calendar where clocks change', () => {
  // 2026-03-29 has 23 hours in Berlin, 2026-10-25 has 25.
  keep('2026-03-28T23:00:00.000Z', '2026-03-29T21:59:59.999Z', '2026-03-29T22:00:00.000Z');
  expect(history('Europe/Berlin', '--since', '2026-03-29', '--until', '2026-03-30')).toHaveLength(2);
  keep('2026-10-24T22:00:00.000Z', '2026-10-25T22:59:59.999Z', '2026-10-25T23:00:00.000Z');
  expect(history('Europe/Berlin', '--since', '2026-10-25', '--until', '2026-10-26')).toHaveLength(2);
});
