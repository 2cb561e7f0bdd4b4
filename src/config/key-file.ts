/** Reads key files: name of the peer → the valid keys of the pair. Pure. */

import type { PairKey } from '../core/wire/pair-keys.ts';
import { parsePairKeys } from './pair-keys.ts';
import { readConfig, refuseAt } from './read.ts';
import { KEYS_SCHEMA } from './shared-parts.ts';

/** Returns the keys of each peer. Throws a ConfigError that describes the fault. */
export function readKeyFile(file: string, text: string): ReadonlyMap<string, readonly PairKey[]> {
  const keys = readConfig(KEYS_SCHEMA, file, text) as Readonly<Record<string, string>>;
  const pairs = Object.entries(keys).map(([name, value]): [string, readonly PairKey[]] => {
    const pair = parsePairKeys(value);
    if (pair[0]!.generation === pair[1]?.generation)
      refuseAt(file, text, [name], `two keys of generation ${pair[0]!.generation}: expected two numbers`);
    return [name, pair];
  });
  return new Map(pairs);
}
