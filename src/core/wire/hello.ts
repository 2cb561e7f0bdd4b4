/** Makes the handshake payloads from a party's configuration. Pure; session.ts seals them. */

import { HOST, type Incarnation } from '../protocol/ids.ts';
import { isGeneration } from './envelope.ts';
import type { HelloAnsweredFields } from './handshake.ts';
import {
  BOOT_ID_BYTES,
  GENERATIONS_MAX,
  HELLO_CHALLENGE_BYTES,
  PAIR_KEY_BYTES,
  TABLE_ID_BYTES,
} from './limits.ts';
import { newestFirst } from './pair-keys.ts';
import { HANDSHAKE_CODEC } from './payload.ts';
import type { SessionConfig } from './session-io.ts';

/** `helloAnswered.version` when there is no common version. Versions count from 1. */
export const NO_VERSION = 0;
/** `yourIncarnation` of a hello from an agent, which does not know it. Incarnations count from 1. */
export const NOT_TOLD = 0 as Incarnation;
/** Table id of a party without a table. */
export const NO_TABLE_ID: Uint8Array = new Uint8Array(TABLE_ID_BYTES);

/** Throws a RangeError that names the fault of `config`, so that later steps cannot fail. */
export function checkConfig(config: SessionConfig): void {
  const { us, peer, bootId, versions } = config;
  if (us === peer) throw new RangeError(`${us} cannot be its own peer`);
  checkKeys(config);
  if (bootId.length !== BOOT_ID_BYTES) {
    throw new RangeError(`boot id of ${bootId.length} bytes, expected ${BOOT_ID_BYTES}`);
  }
  if (versions.min <= NO_VERSION || versions.min > versions.max) {
    throw new RangeError(`versions ${versions.min} to ${versions.max}: expected a range from 1`);
  }
  if (us === HOST && config.peerIncarnation === NOT_TOLD) {
    throw new RangeError(`incarnation of ${peer}: required at the host`);
  }
  encodeHello(config, config.incarnation, new Uint8Array(HELLO_CHALLENGE_BYTES));
}

function checkKeys({ us, peer, pairKeys }: SessionConfig): void {
  const keys = newestFirst(pairKeys);
  const name = `pair key of ${us} and ${peer}`;
  if (keys.length < 1 || keys.length > GENERATIONS_MAX) {
    throw new RangeError(`${name}: ${keys.length} generations, expected 1 to ${GENERATIONS_MAX}`);
  }
  if (new Set(keys.map(({ generation }) => generation)).size < keys.length) {
    throw new RangeError(`${name}: two of generation ${keys[0]!.generation}`);
  }
  for (const { generation, key } of keys) {
    if (!isGeneration(generation)) throw new RangeError(`${name}: generation ${generation}, expected from 1`);
    if (key.length !== PAIR_KEY_BYTES) {
      throw new RangeError(`${name}: ${key.length} bytes, expected ${PAIR_KEY_BYTES}`);
    }
  }
}

/** Table id for our messages; zeros at an agent. */
export function tableIdOf({ us, tableId }: SessionConfig): Uint8Array {
  return (us === HOST ? tableId : undefined) ?? NO_TABLE_ID;
}

/** Returns the payload of a hello. */
export function encodeHello(
  config: SessionConfig,
  incarnation: Incarnation,
  challenge: Uint8Array,
): Uint8Array {
  const { us, bootId, versions, bundles } = config;
  return bytesOf(
    HANDSHAKE_CODEC.encode(
      {
        kind: 'hello',
        versionMin: versions.min,
        versionMax: versions.max,
        bootId,
        incarnation,
        yourIncarnation: us === HOST ? config.peerIncarnation : NOT_TOLD,
        challenge,
        bundles,
        tableId: tableIdOf(config),
      },
      HANDSHAKE_SEQ,
    ),
  );
}

/** Returns the payload of an answer to a hello. */
export function encodeAnswer(
  config: SessionConfig,
  answer: Pick<HelloAnsweredFields, 'version' | 'incarnation' | 'yourIncarnation' | 'challenge' | 'answered'>,
): Uint8Array {
  const { bootId, versions, bundles } = config;
  return bytesOf(
    HANDSHAKE_CODEC.encode(
      {
        ...answer,
        kind: 'helloAnswered',
        versionMin: versions.min,
        versionMax: versions.max,
        bootId,
        bundles,
        tableId: tableIdOf(config),
      },
      HANDSHAKE_SEQ,
    ),
  );
}

/** Our own fields were checked when the session object was made; only a challenge can have a wrong length. */
function bytesOf(payload: ReturnType<typeof HANDSHAKE_CODEC.encode>): Uint8Array {
  if (!payload.ok) throw new RangeError(`${payload.field}: ${payload.reason}`);
  return payload.bytes;
}

/** Handshake messages are distinguished by their challenges, not by a number. */
const HANDSHAKE_SEQ = 0;
