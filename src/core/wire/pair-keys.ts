/** The configured keys of a pair of parties: at most two are valid at a time. Pure. */

/** One key of a pair. */
export interface PairKey {
  /** Its generation, from 1; a rotation makes the next one. */
  readonly generation: number;
  /** 32 bytes. */
  readonly key: Uint8Array;
}

/** The valid keys of a pair: one key, which is generation 1, or up to two with their generations. */
export type PairKeys = Uint8Array | readonly PairKey[];

/** Returns the valid keys of a pair, the newest first. */
export function newestFirst(keys: PairKeys): readonly PairKey[] {
  if (keys instanceof Uint8Array) return [{ generation: 1, key: keys }];
  return [...keys].sort((a, b) => b.generation - a.generation);
}
