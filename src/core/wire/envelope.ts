/**
 * The envelope of a message: its sender, receiver, channel and key generation. Pure.
 *
 * Sender, receiver, channel and generation are readable in the key id, so that a router needs no key. The external
 * data bind machine, sender, receiver and channel. Every direction of every channel has its own key, so a frame that
 * is reflected, or moved to another pair or channel, does not verify.
 */

import { isId, isUint32, type VmId } from '../protocol/ids.ts';
import { asciiBytes, asciiText } from './bytes.ts';
import { encodeCbor } from './codec.ts';
import { createMac0Key, type Mac0Key } from './cose.ts';
import { ENVELOPE_VERSION, KID_BYTES_MAX } from './limits.ts';

/** The channel of a frame: `h` the handshake, `m` the messages of a session, `c` a consent. */
export type Channel = 'h' | 'm' | 'c';

/** The route that a frame claims. Nothing of it is proven before the frame is opened. */
export interface Route {
  readonly from: VmId;
  readonly to: VmId;
  readonly channel: Channel;
  /** Generation of the pair key, from 1. */
  readonly generation: number;
}

/** Returns `key` (32 bytes) as the key for frames of this route on `machine`. */
export function createEnvelopeKey(key: Uint8Array, route: Route, machine: string): Mac0Key {
  const { from, to, channel, generation } = route;
  const kid = asciiBytes(`${from}/${to}/${channel}/${generation}`);
  const protectedHeader = encodeCbor(
    new Map<number, number | Uint8Array>([
      [HEADER_ALG, ALG_HMAC_256],
      [HEADER_KID, kid],
    ]),
  );
  return createMac0Key(key, protectedHeader, encodeCbor([ENVELOPE_VERSION, machine, from, to, channel]));
}

/**
 * Returns the route in the key id of `frame`, or undefined if the frame does not start like one of ours. Reads at
 * most the first 91 bytes.
 */
export function routeOf(frame: Uint8Array): Route | undefined {
  if (frame[0] !== FRAME_TAG || frame[1] !== FRAME_ARRAY) return undefined;
  const header = shortByteString(frame, 2);
  if (header === undefined) return undefined;
  for (let index = 0; index < HEADER_START.length; index++) {
    if (header[index] !== HEADER_START[index]) return undefined;
  }
  const kid = shortByteString(header, HEADER_START.length);
  if (kid === undefined || kid.length > KID_BYTES_MAX) return undefined;
  if (kid.byteOffset + kid.length !== header.byteOffset + header.length) return undefined;
  return parseKid(asciiText(kid));
}

function parseKid(kid: string): Route | undefined {
  const first = kid.indexOf('/');
  const second = kid.indexOf('/', first + 1);
  const from = kid.slice(0, first);
  const to = kid.slice(first + 1, second);
  const third = kid.indexOf('/', second + 1);
  const channel = kid.slice(second + 1, third);
  const digits = kid.slice(third + 1);
  if (first < 0 || second < 0 || third < 0 || !isId(from) || !isId(to)) return undefined;
  if (channel !== 'h' && channel !== 'm' && channel !== 'c') return undefined;
  if (!isGeneration(Number(digits)) || String(Number(digits)) !== digits) return undefined;
  return { from: from as VmId, to: to as VmId, channel, generation: Number(digits) };
}

/** Returns whether `value` is a valid key generation: 1 to 2^32 - 1. */
export function isGeneration(value: unknown): value is number {
  return isUint32(value) && value > 0;
}

/**
 * Returns the content of the byte string at `at`, if it has fewer than 256 bytes, the shortest head, and is complete.
 */
function shortByteString(bytes: Uint8Array, at: number): Uint8Array | undefined {
  const head = bytes[at] ?? 0;
  const isLong = head === BYTES_8;
  if (!isLong && (head < BYTES_0 || head >= BYTES_8)) return undefined;
  const length = isLong ? (bytes[at + 1] ?? 0) : head - BYTES_0;
  const start = at + (isLong ? 2 : 1);
  if ((isLong && length < 24) || start + length > bytes.length) return undefined;
  return bytes.subarray(start, start + length);
}

/** Header parameters (RFC 9052 section 3.1) and algorithm (RFC 9053 section 3.1). */
const HEADER_ALG = 1;
const HEADER_KID = 4;
const ALG_HMAC_256 = 5;
/** The encoded header up to the key id: {1: 5, 4: … */
const HEADER_START = Uint8Array.of(0xa2, HEADER_ALG, ALG_HMAC_256, HEADER_KID);
const FRAME_TAG = 0xd1;
const FRAME_ARRAY = 0x84;
/** Heads of an empty byte string, and of one whose length is in the next byte. */
const BYTES_0 = 0x40;
const BYTES_8 = 0x58;
