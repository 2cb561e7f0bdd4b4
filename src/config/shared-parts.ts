/** Schemas shared by the configurations of agent and host, and the key file. Pure. */

import { CLOSED } from '../common/fields.ts';
import { Type } from '../common/schema.ts';
import { DEFAULT_MACHINE, ID_PATTERN, ID_WORDS, PARTY_PATTERN } from '../core/protocol/ids.ts';
import { PAIR_KEYS_PATTERN } from './pair-keys.ts';

export const LEVEL = Type.Union(
  ['debug', 'info', 'warn', 'error'].map((level) => Type.Literal(level)),
  { default: 'info', description: 'the lowest level that is logged' },
);
export const BUNDLES = Type.String({ description: 'the bundle file, the same for all parties' });
export const CONTROL = Type.String({
  description: 'path of the control socket; its folder is created with mode 0700 if missing',
});

export const MACHINE = Type.Optional(
  Type.String({
    pattern: ID_PATTERN,
    title: ID_WORDS,
    default: DEFAULT_MACHINE,
    description: 'name of the machine, the same for all its parties; needed where machines share a broker',
  }),
);

/** Schema of a key file: 32 bytes in hexadecimal per peer, or two keys with their generations. */
export const KEYS_SCHEMA = Type.Record(
  Type.String({ pattern: PARTY_PATTERN }),
  Type.String({
    pattern: PAIR_KEYS_PATTERN,
    title: '64 digits 0 to 9, a to f: openssl rand -hex 32',
    secret: true,
    description:
      'the key that this party and that peer share; two, with their generations, while they are ' +
      'exchanged: "2:KEY 1:KEY"',
  }),
  { ...CLOSED, description: 'name of the peer (a VM, or "host") → key' },
);
