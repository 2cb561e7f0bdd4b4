/**
 * The keys of one pair as a key file writes them: `KEY`, which is generation 1, or `N:KEY`, or two of these while keys
 * are exchanged: `2:KEY 1:KEY`. Pure.
 */

import type { PairKey } from '../core/wire/pair-keys.ts';

const KEY = '[0-9a-f]{64}';
const NUMBERED = `[1-9][0-9]{0,8}:${KEY}`;
/** What the keys of a pair look like. */
export const PAIR_KEYS_PATTERN = `^(?:${KEY}|${NUMBERED}(?: ${NUMBERED})?)$`;

/** Returns the keys that `text`, which fits the pattern, stands for: one or two. */
export function parsePairKeys(text: string): readonly PairKey[] {
  return text.split(' ').map((part) => {
    const colon = part.indexOf(':');
    const generation = colon < 0 ? 1 : Number(part.slice(0, colon));
    return { generation, key: bytesOf(part.slice(colon + 1)) };
  });
}

/** Whether the keys of two files for their pair do not fit: no common generation, or another key in one. */
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
