/** Detects that the host itself did not run: stopped by a signal or with its machine, or without CPU time. Pure. */

/** Smallest delay of a timer that is reported, in ms. Under load a timer is late by tenths of a second. */
const LATE_MS = 2_000;

/** The last time that the host did not run. */
export class Pulse {
  #stopped: { readonly forMs: number; readonly endedMs: number } | undefined;

  /** A timer expired late. Returns for how long the host did not run, in ms, once for each time. */
  late(lateMs: number, nowMs: number): number | undefined {
    if (lateMs < LATE_MS) return undefined;
    // Other timers are late for the same reason.
    if (this.#stopped && nowMs - lateMs < this.#stopped.endedMs) return undefined;
    this.#stopped = { forMs: Math.round(lateMs), endedMs: nowMs };
    return this.#stopped.forMs;
  }

  /** Returns the last time that the host did not run: for how long, and how long ago that ended, in ms. */
  stopped(nowMs: number): { readonly forMs: number; readonly agoMs: number } | null {
    if (!this.#stopped) return null;
    return { forMs: this.#stopped.forMs, agoMs: Math.round(nowMs - this.#stopped.endedMs) };
  }
}

/** Returns the text for the log. */
export function stoppedText(ms: number): string {
  return (
    `the host did not run for ${(ms / 1_000).toFixed(1)} s: it was stopped, or had no CPU time; ` +
    'leases and deadlines continued'
  );
}
