/** A token bucket: how much of something a guest may do, however often it connects. */

/** What a bucket allows. */
export interface AllowanceTerms {
  /** At once. */
  readonly most: number;
  /** After that, for each millisecond. */
  readonly perMs: number;
}

/**
 * Bytes from one guest to others. It keeps a flooding guest from filling another guest's queue, and its agent from
 * being kept busy with MACs. Honest traffic is far less: a handover moves about ten frames of less than 1 KiB. At
 * once: half of what a receiver's queue takes. Sustained: 1,000 of the shortest frames a second, of which an agent
 * verifies 20,000 and more.
 */
export const FRAMES_TO_GUESTS: AllowanceTerms = { most: 128 * 1024, perMs: 256 };
/** What a frame costs at least, in bytes, since short ones are work as well. */
export const FRAME_COST_BYTES = 256;
/** Connections of one guest: an agent that restarts dials a few times, and then at most twice a second. */
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

  /** Returns whether `cost` is allowed now, and takes it off. */
  take(cost: number, nowMs: number): boolean {
    const { most, perMs } = this.#terms;
    this.#left = Math.min(most, this.#left + Math.max(0, nowMs - this.#filledMs) * perMs);
    this.#filledMs = nowMs;
    if (cost > this.#left) return false;
    this.#left -= cost;
    return true;
  }
}
