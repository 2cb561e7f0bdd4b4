/**
 * How much one guest may send: a token bucket in bytes. What exceeds it is dropped before it costs more than a look.
 *
 * It keeps a flooding guest from filling another guest's queue and from keeping the host busy with MACs. The
 * figures are far above honest traffic: a handover moves about ten frames of less than 1 KiB.
 */

/** Sustained: 2,000 of the longest frames or 32,000 of the shortest each second. */
const BYTES_PER_MS = 8 * 1024;
/** At once: half of what a receiver's queue takes, so that one sender alone cannot fill it. */
const BURST_BYTES = 128 * 1024;
/** What a frame costs at least, since short ones are work as well. */
const FRAME_COST_BYTES = 256;

/** The allowance of one connection. */
export class Allowance {
  #leftBytes = BURST_BYTES;
  #filledMs: number;

  constructor(nowMs: number) {
    this.#filledMs = nowMs;
  }

  /** Returns whether a frame of `bytes` may pass now, and takes it off. */
  take(bytes: number, nowMs: number): boolean {
    const refill = Math.max(0, nowMs - this.#filledMs) * BYTES_PER_MS;
    this.#filledMs = nowMs;
    this.#leftBytes = Math.min(BURST_BYTES, this.#leftBytes + refill);
    const cost = Math.max(bytes, FRAME_COST_BYTES);
    if (cost > this.#leftBytes) return false;
    this.#leftBytes -= cost;
    return true;
  }
}
