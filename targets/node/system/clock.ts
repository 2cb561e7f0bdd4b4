/** The machine's monotonic clock on Node: CLOCK_MONOTONIC, which a restart of the process does not reset. */

import type { Clock } from '../../../src/ports/world.ts';

/** Longest delay that Node's timers take, 24.8 days; longer ones would fire at once. */
const DELAY_MAX_MS = 0x7fff_ffff;

/** The clock of this machine. */
export const CLOCK: Clock = {
  soon: (fire) => {
    const soon = setImmediate(fire);
    return () => clearImmediate(soon);
  },
  nowMs: () => {
    // Neither bigint, which is slower, nor an origin of the process, which would have to be measured.
    const [seconds, nanoseconds] = process.hrtime();
    return seconds * 1_000 + nanoseconds / 1_000_000;
  },
  after: (ms, fire) => {
    const endMs = performance.now() + ms;
    let timer = setTimeout(elapsed, delayOf(ms));
    return () => clearTimeout(timer);

    /** A longer delay, such as a lease of months, is split. */
    function elapsed(): void {
      if (ms <= DELAY_MAX_MS) return fire();
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) return fire();
      timer = setTimeout(elapsed, delayOf(leftMs));
    }
  },
};

function delayOf(ms: number): number {
  return Math.min(Math.max(ms, 0), DELAY_MAX_MS);
}
