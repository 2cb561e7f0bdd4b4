/**
 * The pace of this machine: how much longer programs take here and now than on a quiet machine. Limits of tests that
 * start programs follow it, so that a slow machine fails no test, and a program that hangs still fails one within a
 * minute.
 *
 * It is measured once, when a configuration of vitest is read, and handed to the tests in BATON_PACE.
 */

import { spawnSync } from 'node:child_process';

/** What `node -e 0` takes on a quiet machine of two cores, in ms. */
const QUIET_MS = 60;
/** Starts that are measured: the middle one counts. */
const STARTS = 5;
/** A machine that is slower than this is none to run tests on. */
const PACE_MAX = 12;
/**
 * Limits up to this are not stretched beyond it, in ms: with what is around it, a hang fails within a minute. Longer
 * ones are of work that computes, or has limits of its own inside.
 */
const STRETCHED_MAX_MS = 50_000;

/** Measures the pace, unless that was done already; for configurations of vitest alone. */
export function measurePace(): void {
  if (process.env['BATON_PACE'] !== undefined) return;
  const times = Array.from({ length: STARTS }, () => {
    const startMs = performance.now();
    spawnSync(process.execPath, ['-e', '0']);
    return performance.now() - startMs;
  });
  const middle = times.sort((a, b) => a - b)[STARTS >> 1]!;
  const pace = Math.min(PACE_MAX, Math.max(1, middle / QUIET_MS));
  process.env['BATON_PACE'] = pace.toFixed(2);
  console.log(`pace ${pace.toFixed(2)}: node starts in ${middle.toFixed(0)} ms`);
}

/** The pace that was measured: 1 and more. */
export function paceNow(): number {
  return Number(process.env['BATON_PACE'] ?? 1);
}

/** Returns a limit of `ms` on a quiet machine as it is on this one. */
export function paced(ms: number): number {
  const stretchedMs = Math.round(ms * paceNow());
  return ms > STRETCHED_MAX_MS ? stretchedMs : Math.min(stretchedMs, STRETCHED_MAX_MS);
}
