/**
 * The payload of an envelope: message number, sequence number, the host's timestamp token, and fields. Pure.
 *
 *     {0: message number, 1: sequence number, ? 2: timestamp token, 3: fields}
 *
 * One codec for the messages of core/protocol/messages.ts inside a session, one for the handshake.
 */

import { isUint32 } from '../protocol/ids.ts';
import { HOST_TIME_BYTES, type MessageType } from '../protocol/messages.ts';
import type { ValueOf } from '../protocol/schema.ts';
import { type CborValue, type CodecFault, compile, decodeCbor, encodeCbor } from './codec.ts';
import { HANDSHAKE_MESSAGES, SESSION_MESSAGES } from './handshake.ts';

/** A set of message types by name. */
export type MessageTypes = Readonly<Record<string, MessageType>>;
/** Any message of the set `M`: its kind and its fields. */
export type AnyOf<M extends MessageTypes> = {
  readonly [K in keyof M & string]: { readonly kind: K } & ValueOf<M[K]['fields']>;
}[keyof M & string];

/** Why a payload could not be encoded or decoded. */
export interface PayloadFault {
  readonly ok: false;
  /** `payload`: the outer map is malformed. `number`: no message of the set has this number. */
  readonly reason: CodecFault['reason'] | 'payload' | 'number';
  /** Message and path of the faulty field, for a log. */
  readonly field: string;
}

/** A decoded payload. */
export interface Payload<M> {
  readonly ok: true;
  readonly message: M;
  readonly seq: number;
  readonly hostTime?: Uint8Array;
}

/** Encoder and decoder for one set of messages. */
export interface PayloadCodec<M> {
  /** Returns the bytes of `message` under `seq` (uint32), with the host's `hostTime` of 16 bytes if given. */
  encode(
    message: M,
    seq: number,
    hostTime?: Uint8Array,
  ): { readonly ok: true; readonly bytes: Uint8Array } | PayloadFault;
  /** Returns the message in authenticated `bytes`, or why there is none. Never throws. */
  decode(bytes: Uint8Array): Payload<M> | PayloadFault;
}

/** Compiles the codec of a set of messages. */
export function payloadCodec<M extends MessageTypes>(types: M): PayloadCodec<AnyOf<M>> {
  const rows = Object.entries(types).map(([kind, type]) => ({
    kind,
    number: type.number,
    shape: compile(type.fields),
  }));
  const byKind = new Map(rows.map((row) => [row.kind, row]));
  const byNumber = new Map(rows.map((row) => [row.number, row]));

  return {
    encode(message, seq, hostTime) {
      const row = byKind.get(message.kind);
      if (row === undefined) return { ok: false, reason: 'number', field: message.kind };
      if (!isUint32(seq)) return { ok: false, reason: 'payload', field: 'seq' };
      if (hostTime !== undefined && hostTime.length !== HOST_TIME_BYTES) {
        return { ok: false, reason: 'payload', field: 'hostTime' };
      }
      const body = row.shape.toMap(message as never);
      if (!body.ok) return { ...body, field: pathOf(row.kind, body.field) };
      const payload = new Map<number, CborValue>();
      payload.set(KEY_NUMBER, row.number);
      payload.set(KEY_SEQ, seq);
      if (hostTime !== undefined) payload.set(KEY_HOST_TIME, hostTime);
      payload.set(KEY_BODY, body.map);
      return { ok: true, bytes: encodeCbor(payload) };
    },

    decode(bytes) {
      const decoded = decodeCbor(bytes);
      if (!decoded.ok) return decoded;
      const outer = readOuter(decoded.value);
      if (outer === undefined) return { ok: false, reason: 'payload', field: '' };
      const row = byNumber.get(outer.number);
      if (row === undefined) return { ok: false, reason: 'number', field: String(outer.number) };
      const body = row.shape.fromMap(outer.body);
      if (!body.ok) return { ...body, field: pathOf(row.kind, body.field) };
      const message = Object.assign({ kind: row.kind }, body.value) as unknown as AnyOf<M>;
      const { seq, hostTime } = outer;
      return hostTime === undefined ? { ok: true, message, seq } : { ok: true, message, seq, hostTime };
    },
  };
}

/** Codec for a session: every message of the protocol, and the end of the handshake. */
export const SESSION_CODEC: PayloadCodec<AnyOf<typeof SESSION_MESSAGES>> = payloadCodec(SESSION_MESSAGES);
/** Codec for the handshake. */
export const HANDSHAKE_CODEC: PayloadCodec<AnyOf<typeof HANDSHAKE_MESSAGES>> =
  payloadCodec(HANDSHAKE_MESSAGES);

interface Outer {
  readonly number: number;
  readonly seq: number;
  readonly hostTime: Uint8Array | undefined;
  readonly body: unknown;
}

function readOuter(value: unknown): Outer | undefined {
  if (!(value instanceof Map)) return undefined;
  const number: unknown = value.get(KEY_NUMBER);
  const seq: unknown = value.get(KEY_SEQ);
  const hostTime: unknown = value.get(KEY_HOST_TIME);
  if (!isUint32(number) || !isUint32(seq) || !value.has(KEY_BODY)) return undefined;
  if (value.size !== (hostTime === undefined ? 3 : 4)) return undefined;
  if (hostTime === undefined) return { number, seq, hostTime, body: value.get(KEY_BODY) };
  if (!(hostTime instanceof Uint8Array) || hostTime.length !== HOST_TIME_BYTES) return undefined;
  return { number, seq, hostTime: new Uint8Array(hostTime), body: value.get(KEY_BODY) };
}

function pathOf(kind: string, field: string): string {
  return field === '' ? kind : `${kind}.${field}`;
}

const KEY_NUMBER = 0;
const KEY_SEQ = 1;
const KEY_HOST_TIME = 2;
const KEY_BODY = 3;
