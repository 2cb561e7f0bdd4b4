/**
 * The key schedule: HKDF with SHA-256 (RFC 5869) from the 32-byte pair key. Pure.
 *
 *     handshake: PRK = Extract(salt = "baton handshake", IKM = pair key)
 *                key = Expand(PRK, info = CBOR ["baton handshake", 2, sender, receiver], 32)
 *     session:   PRK = Extract(salt = initiator's challenge || responder's challenge, IKM = pair key)
 *                key = Expand(PRK, info = CBOR ["baton session", version, channel, sender, receiver,
 *                                               [initiator, its incarnation, its boot id],
 *                                               [responder, its incarnation, its boot id]], 32)
 *
 * Names are text; boot ids and challenges are byte strings of 16 bytes; CBOR in the deterministic profile.
 * Other boots, incarnations or challenges give other keys, so that recorded messages fail to verify (M6).
 */

import type { Incarnation, VmId } from '../protocol/ids.ts';
import { asciiBytes, concatBytes } from './bytes.ts';
import { encodeCbor } from './codec.ts';
import type { Mac0Key } from './cose.ts';
import { type Channel, createEnvelopeKey } from './envelope.ts';
import { hkdfExpand, hkdfExtract } from './hash.ts';
import { ENVELOPE_VERSION, KEY_BYTES } from './limits.ts';
import type { PairKey } from './pair-keys.ts';

/** The route of a key, without the channel. */
export interface Way {
  readonly machine: string;
  readonly from: VmId;
  readonly to: VmId;
}

/** One party of a session. */
export interface SessionParty {
  readonly id: VmId;
  readonly incarnation: Incarnation;
  /** 16 bytes each. */
  readonly bootId: Uint8Array;
  readonly challenge: Uint8Array;
}

/** The parameters that both parties agreed on. */
export interface SessionTranscript {
  readonly version: number;
  readonly initiator: SessionParty;
  readonly responder: SessionParty;
}

/** Returns the key for handshake messages from `from` to `to`. */
export function handshakeKey({ generation, key }: PairKey, { machine, from, to }: Way): Mac0Key {
  const prk = hkdfExtract(asciiBytes(HANDSHAKE_LABEL), key);
  const info = encodeCbor([HANDSHAKE_LABEL, ENVELOPE_VERSION, from, to]);
  return createEnvelopeKey(hkdfExpand(prk, info, KEY_BYTES), { from, to, channel: 'h', generation }, machine);
}

/**
 * Returns the function that derives a session's keys: for messages in each direction (`m`), and for consents (`c`).
 */
export function sessionKeys(
  { generation, key }: PairKey,
  machine: string,
  transcript: SessionTranscript,
): (from: VmId, to: VmId, channel: Channel) => Mac0Key {
  const { initiator, responder, version } = transcript;
  const prk = hkdfExtract(concatBytes(initiator.challenge, responder.challenge), key);
  return (from, to, channel) => {
    const info = encodeCbor([
      SESSION_LABEL,
      version,
      channel,
      from,
      to,
      [initiator.id, initiator.incarnation, initiator.bootId],
      [responder.id, responder.incarnation, responder.bootId],
    ]);
    return createEnvelopeKey(hkdfExpand(prk, info, KEY_BYTES), { from, to, channel, generation }, machine);
  };
}

const HANDSHAKE_LABEL = 'baton handshake';
const SESSION_LABEL = 'baton session';
