/** The keys that a pair of parties shares, as configured: at most two are valid at a time. Pure. */

/** One key of a pair. */
export interface PairKey {
  /** Which key it is, from 1; a rotation makes the next one. */
  readonly generation: number;
  /** 32 bytes. */
  readonly key: Uint8Array;
}

/** The keys of a pair that are valid now: one, which is generation 1, or up to two with their generations. */
export type PairKeys = Uint8Array | readonly PairKey[];

/** Returns the valid keys of a pair, the newest first. */
export function newestFirst(keys: PairKeys): readonly PairKey[] {
  if (keys instanceof Uint8Array) return [{ generation: 1, key: keys }];
  return [...keys].sort((a, b) => b.generation - a.generation);
}
