/**
 * The keys of one pair in a key file: `KEY`, which is generation 1, or `N:KEY`, or two of these during a key
 * rotation: `2:KEY 1:KEY`. Pure.
 */

import type { PairKey } from '../core/wire/pair-keys.ts';

const KEY = '[0-9a-f]{64}';
const NUMBERED = `[1-9][0-9]{0,8}:${KEY}`;
/** Pattern of the keys of a pair. */
export const PAIR_KEYS_PATTERN = `^(?:${KEY}|${NUMBERED}(?: ${NUMBERED})?)$`;

/** Returns the keys in `text`, which matches the pattern: one or two. */
export function parsePairKeys(text: string): readonly PairKey[] {
  return text.split(' ').map((part) => {
    const colon = part.indexOf(':');
    const generation = colon < 0 ? 1 : Number(part.slice(0, colon));
    return { generation, key: bytesOf(part.slice(colon + 1)) };
  });
}

/** Returns whether the keys of two files for their pair conflict: no common generation, or different keys in one. */
export function keysDiffer(ours: string, theirs: string): boolean {
  const byGeneration = new Map(parsePairKeys(ours).map(({ generation, key }) => [generation, key.join()]));
  const common = parsePairKeys(theirs).filter(({ generation }) => byGeneration.has(generation));
  return (
    common.length === 0 || common.some(({ generation, key }) => byGeneration.get(generation) !== key.join())
  );
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, at) =>
    Number.parseInt(hex.slice(2 * at, 2 * at + 2), 16),
  );
}
