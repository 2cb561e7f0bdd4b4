/** A token bucket that limits a guest, independent of its reconnects. Pure. */

/** Parameters of a bucket. */
export interface AllowanceTerms {
  /** Burst size. */
  readonly most: number;
  /** Rate per millisecond. */
  readonly perMs: number;
}

/**
 * Bytes from one guest to others. The limit keeps a flooding guest from filling another guest's queue and from
 * keeping its agent busy with MACs. Normal traffic is far less: a handover moves about ten frames of less than 1 KiB.
 * Burst: half of a receiver's queue. Rate: 1,000 of the shortest frames a second, of which an agent verifies 20,000
 * and more.
 */
export const FRAMES_TO_GUESTS: AllowanceTerms = { most: 128 * 1024, perMs: 256 };
/** Smallest cost of a frame, in bytes, since short ones are work too. */
export const FRAME_COST_BYTES = 256;
/** Connections of one guest: a restarting agent dials a few times, and then at most twice a second. */
export const DIALS: AllowanceTerms = { most: 10, perMs: 1 / 500 };

/** One bucket, full at its start. */
export class Allowance {
  readonly #terms: AllowanceTerms;
  #left: number;
  #filledMs: number;

  constructor(terms: AllowanceTerms, nowMs: number) {
    this.#terms = terms;
    this.#left = terms.most;
    this.#filledMs = nowMs;
  }

  /** Returns whether `cost` is allowed now, and subtracts it. */
  take(cost: number, nowMs: number): boolean {
    const { most, perMs } = this.#terms;
    this.#left = Math.min(most, this.#left + Math.max(0, nowMs - this.#filledMs) * perMs);
    this.#filledMs = nowMs;
    if (cost > this.#left) return false;
    this.#left -= cost;
    return true;
  }
}
