/**
 * The one source of chance of a simulated machine: seeded, so that a seed replays a run.
 *
 * By convention 0 is the laziest answer: hardware that puts everything off as long as it may.
 */

/** Returns an integer from 0 to `bound` - 1. */
export type Random = (bound: number) => number;

/** A generator with the given seed: xorshift32 (Marsaglia 2003), good enough to choose schedules. */
export function seededRandom(seed: number): Random {
  // Zero is the one state xorshift never leaves; the multiplier spreads neighbouring seeds.
  let state = (Math.imul(seed + 1, 0x9e37_79b1) ^ 0x5bd1_e995) >>> 0 || 1;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % bound;
  };
}
