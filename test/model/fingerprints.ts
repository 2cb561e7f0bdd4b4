/**
 * Sets of 64-bit fingerprints, 11 to 27 bytes each: of what was reached only this is kept. Two different values
 * have the same one with probability n² / 2⁶⁵ among n: 1 in 10⁷ for two million, 1 in 10⁵ for twenty
 * million. A value that is taken for another is left out, so that a search that finds nothing may have missed it
 * with that probability.
 */

/** Two halves of 32 bits. */
export interface Fingerprint {
  readonly high: number;
  readonly low: number;
}

/** Returns the fingerprint of `count` integers: two rounds of MurmurHash3's mixing, with different constants. */
export function fingerprintOf(numbers: Int32Array, count: number): Fingerprint {
  let high = 0x9747b28c;
  let low = 0x3c6ef372;
  for (let i = 0; i < count; i++) {
    const number = numbers[i]!;
    high = Math.imul(high ^ Math.imul(number, 0xcc9e2d51), 0x1b873593);
    high = (high << 13) | (high >>> 19);
    low = Math.imul(low + Math.imul(number, 0x85ebca6b), 0xc2b2ae35);
    low ^= low >>> 15;
  }
  const first = finished(high ^ count);
  const second = finished(low ^ first);
  // The set has no place for two zeros.
  return { high: first, low: first === 0 && second === 0 ? 1 : second };
}

/** The last round of MurmurHash3: each bit of the result depends on each bit. */
function finished(hash: number): number {
  let mixed = hash ^ (hash >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) | 0;
}

/** Part of a table that may be in use before it grows. */
const LOAD_MAX = 0.7;

/** A set of fingerprints, as a table with open addresses. */
export class FingerprintSet {
  #size = 0;
  #slots = 1 << 10;
  /** High and low half of each slot; two zeros: empty. */
  #table = new Int32Array(2 * this.#slots);

  get size(): number {
    return this.#size;
  }

  has(one: Fingerprint): boolean {
    return this.#table[this.#find(one) + 1] !== 0 || this.#table[this.#find(one)] !== 0;
  }

  /** Returns false when it was there already. */
  add(one: Fingerprint): boolean {
    const at = this.#find(one);
    if (this.#table[at] !== 0 || this.#table[at + 1] !== 0) return false;
    this.#table[at] = one.high;
    this.#table[at + 1] = one.low;
    this.#size += 1;
    if (this.#size > this.#slots * LOAD_MAX) this.#grow();
    return true;
  }

  /** The slot of a fingerprint, or the empty one where it belongs. */
  #find({ high, low }: Fingerprint): number {
    const table = this.#table;
    const mask = this.#slots - 1;
    for (let slot = (low ^ Math.imul(high, 0x9e3779b1)) & mask; ; slot = (slot + 1) & mask) {
      const [a, b] = [table[2 * slot]!, table[2 * slot + 1]!];
      if ((a === high && b === low) || (a === 0 && b === 0)) return 2 * slot;
    }
  }

  #grow(): void {
    const before = this.#table;
    this.#slots *= 2;
    this.#table = new Int32Array(2 * this.#slots);
    for (let i = 0; i < before.length; i += 2) {
      const [high, low] = [before[i]!, before[i + 1]!];
      if (high === 0 && low === 0) continue;
      const at = this.#find({ high, low });
      this.#table[at] = high;
      this.#table[at + 1] = low;
    }
  }
}
