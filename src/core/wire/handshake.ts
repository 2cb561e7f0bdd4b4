/**
 * The messages that set up a session. Pure data; session.ts processes them.
 *
 *     initiator                                     responder
 *       hello              -- channel h, handshake key -->
 *                          <-- channel h, handshake key --   helloAnswered
 *       helloFinished      -- channel m, session key   -->
 *                          <-- channel m, session key  --   helloFinished (tells the initiator to stop retrying)
 *
 * The layout of `hello` and `helloAnswered` is fixed from version 2 on, so that any two versions can
 * negotiate.
 */

import type { BundleId, Incarnation } from '../protocol/ids.ts';
import { DIGEST_BYTES, MESSAGES, type MessageType } from '../protocol/messages.ts';
import {
  BOOL,
  bytes,
  type Fields,
  id,
  list,
  required,
  struct,
  uint,
  type ValueOf,
} from '../protocol/schema.ts';
import { BOOT_ID_BYTES, HELLO_BUNDLES_MAX, HELLO_CHALLENGE_BYTES, TABLE_ID_BYTES } from './limits.ts';

/** A sender's definition of a bundle. */
const BUNDLE_DIGEST = struct('bundle-digest', {
  bundle: required(1, id<BundleId>()),
  digest: required(2, bytes(DIGEST_BYTES)),
});
export type BundleDigest = NonNullable<(typeof BUNDLE_DIGEST)['of']>;

const HELLO_FIELDS = {
  /** Lowest and highest protocol version that the sender speaks. */
  versionMin: required(1, uint()),
  versionMax: required(2, uint()),
  /** Random, new at every start of the sender's process. */
  bootId: required(3, bytes(BOOT_ID_BYTES)),
  /** The sender's own incarnation; 0 if not known yet. */
  incarnation: required(4, uint<Incarnation>()),
  /** The receiver's incarnation, if the host is the sender; else 0. */
  yourIncarnation: required(5, uint<Incarnation>()),
  challenge: required(6, bytes(HELLO_CHALLENGE_BYTES)),
  bundles: required(7, list(BUNDLE_DIGEST, HELLO_BUNDLES_MAX)),
  /** From the host: the id of its table, within which epochs compare. From an agent: zeros. */
  tableId: required(8, bytes(TABLE_ID_BYTES)),
} satisfies Fields;
export type HelloFields = ValueOf<typeof HELLO_FIELDS>;

const HELLO_ANSWERED_FIELDS = {
  /** The highest common version; 0: none, and no session. */
  version: required(1, uint()),
  versionMin: required(2, uint()),
  versionMax: required(3, uint()),
  bootId: required(4, bytes(BOOT_ID_BYTES)),
  incarnation: required(5, uint<Incarnation>()),
  /** From the host: the receiver's incarnation, which replaces its claim. Otherwise the claim, repeated. */
  yourIncarnation: required(6, uint<Incarnation>()),
  challenge: required(7, bytes(HELLO_CHALLENGE_BYTES)),
  /** The challenge of the answered hello. */
  answered: required(8, bytes(HELLO_CHALLENGE_BYTES)),
  bundles: required(9, list(BUNDLE_DIGEST, HELLO_BUNDLES_MAX)),
  /** As in `hello`. */
  tableId: required(10, bytes(TABLE_ID_BYTES)),
} satisfies Fields;
export type HelloAnsweredFields = ValueOf<typeof HELLO_ANSWERED_FIELDS>;

/** Messages under the handshake keys. Their sequence number is 0: the challenges make them unique. */
export const HANDSHAKE_MESSAGES = {
  hello: {
    number: 64,
    from: 'initiator',
    to: 'responder',
    says: 'Asks for a session. It proves nothing, since it may be a replay.',
    fields: HELLO_FIELDS,
  },
  helloAnswered: {
    number: 65,
    from: 'responder',
    to: 'initiator',
    says: 'Proves to the initiator that the responder is alive, and challenges the initiator.',
    fields: HELLO_ANSWERED_FIELDS,
  },
} as const satisfies Record<string, MessageType>;

/** Messages that keep a session, under its own keys. The protocol's tables never see them. */
export const SESSION_CONTROL = {
  helloFinished: {
    number: 66,
    from: 'initiator, then responder',
    to: 'the other',
    says: 'The sender uses the session. Any other message under its keys proves the same.',
    fields: {
      /** The receiver’s challenge of this handshake. */
      answered: required(1, bytes(HELLO_CHALLENGE_BYTES)),
    },
  },
  alive: {
    number: 67,
    from: 'either',
    to: 'the other',
    says: 'The sender is alive and has this session. Sent for a status request; no state changes.',
    fields: {
      /** Whether the receiver must answer, with one that does not ask. */
      asks: required(1, BOOL),
    },
  },
} as const satisfies Record<string, MessageType>;

/** Messages under the keys of a session. */
export const SESSION_MESSAGES = { ...MESSAGES, ...SESSION_CONTROL } as const satisfies Record<
  string,
  MessageType
>;
