/**
 * The host's heartbeat notices when the host itself did not run: stopped by a signal or with its machine, or starved.
 * Pure.
 */

/** Interval of heartbeats, in milliseconds. Agents take a stamp of four of them for fresh. */
export const HEARTBEAT_MS = 1_000;
/** A heartbeat so late, in ms, is told: a machine under load is late by tenths of a second. */
const LATE_MS = 2_000;

/** The beats of one host. */
export class Pulse {
  #beatMs: number | undefined;
  #stopped: { readonly forMs: number; readonly endedMs: number } | undefined;

  /** It beats. Returns for how long the host did not run, in ms, if it did not. */
  beat(nowMs: number): number | undefined {
    const lateMs = this.#beatMs === undefined ? 0 : nowMs - this.#beatMs - HEARTBEAT_MS;
    this.#beatMs = nowMs;
    if (lateMs < LATE_MS) return undefined;
    this.#stopped = { forMs: Math.round(lateMs), endedMs: nowMs };
    return this.#stopped.forMs;
  }

  /** The last time that the host did not run: for how long, and how long ago that ended, in ms. */
  stopped(nowMs: number): { readonly forMs: number; readonly agoMs: number } | null {
    if (!this.#stopped) return null;
    return { forMs: this.#stopped.forMs, agoMs: Math.round(nowMs - this.#stopped.endedMs) };
  }
}

/** What the log says of it. */
export function stoppedText(ms: number): string {
  return (
    `the host did not run for ${(ms / 1_000).toFixed(1)} s: it was stopped, or had no time; ` +
    'leases and deadlines went on'
  );
}
