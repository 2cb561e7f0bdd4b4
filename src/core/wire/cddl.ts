/**
 * Renders the wire format as CDDL (RFC 8610), from the same descriptions as the codec. Pure.
 *
 * Its output is docs/wire.cddl; a test compares the two. With it, RFC 9052 and RFC 5869, an implementation in another
 * language can interoperate. Not needed at run time.
 */

import { ID_BYTES_MAX } from '../protocol/ids.ts';
import {
  CONSENT_BYTES_MAX,
  CONSENT_FIELDS,
  HOST_TIME_BYTES,
  type MessageType,
} from '../protocol/messages.ts';
import type { Field, Fields, FieldType } from '../protocol/schema.ts';
import { BUNDLE_FIELDS } from './digest.ts';
import { HANDSHAKE_MESSAGES, SESSION_MESSAGES } from './handshake.ts';
import {
  BOOT_ID_BYTES,
  DEPTH_MAX,
  ENVELOPE_VERSION,
  FRAME_BYTES_MAX,
  ITEMS_MAX,
  KID_BYTES_MAX,
  PROTOCOL_VERSION,
  RESOURCE_NAME_BYTES_MAX,
  TAG_BYTES,
} from './limits.ts';

/** Returns the whole specification as CDDL text. */
export function renderCddl(): string {
  const structs = new Map<string, Fields>();
  const rules = [
    section('Messages under the handshake keys (channel h)'),
    ...renderMessages('handshake-message', HANDSHAKE_MESSAGES, structs),
    section('Messages under the keys of a session (channel m)'),
    ...renderMessages('session-message', SESSION_MESSAGES, structs),
    section('Consent (channel c), sealed by the borrower, opened by the host alone'),
    renderMap('consent-claims', CONSENT_FIELDS, structs),
    section('Canonical definition of a bundle; its digest is SHA-256 over the encoding'),
    renderMap('bundle-definition', BUNDLE_FIELDS, structs),
  ];
  return `${[HEADER, ENVELOPE, KEY_SCHEDULE, NAMES, ...rules, ...renderStructs(structs)].join('\n\n')}\n`;
}

/** Renders every message of a set as a payload rule, and the choice between them. */
function renderMessages(
  choice: string,
  types: Readonly<Record<string, MessageType>>,
  structs: Map<string, Fields>,
): string[] {
  const names = Object.keys(types).map(kebab);
  const payloads = Object.entries(types).map(([kind, type]) => {
    const name = kebab(kind);
    const seq = choice === 'handshake-message' ? '0' : 'seq';
    const hostTime = choice === 'handshake-message' ? '' : '? 2 => hostTime, ';
    return [
      `; ${type.from} to ${type.to}: ${type.says}`,
      `${name} = { 0 => ${type.number}, 1 => ${seq}, ${hostTime}3 => ${name}-body }`,
      renderMap(`${name}-body`, type.fields, structs),
    ].join('\n');
  });
  return [`${choice} = ${names.join(' /\n  ')}`, ...payloads];
}

/** Renders one map. Adds its structs to `structs`. */
function renderMap(name: string, fields: Fields, structs: Map<string, Fields>): string {
  const rows = Object.entries(fields).sort(([, a], [, b]) => a.key - b.key);
  if (rows.length === 0) return `${name} = {}`;
  return [`${name} = {`, ...rows.map(([field, row]) => renderField(field, row, structs)), '}'].join('\n');
}

function renderField(name: string, field: Field, structs: Map<string, Fields>): string {
  const entry = `  ${field.optional ? '? ' : ''}${field.key} => ${renderType(field.type, structs)},`;
  return entry.length < COMMENT_COLUMN
    ? `${entry.padEnd(COMMENT_COLUMN)} ; ${name}`
    : `  ; ${name}\n${entry}`;
}

function renderType(type: FieldType, structs: Map<string, Fields>): string {
  switch (type.kind) {
    case 'uint':
      return 'uint32';
    case 'bool':
      return 'bool';
    case 'id':
      return 'name';
    case 'resource':
      return 'resource-name';
    case 'text':
      return `tstr .size (0..${type.bytesMax})`;
    case 'bytes':
      return type.bytesMin === type.bytesMax
        ? `bstr .size ${type.bytesMax}`
        : `bstr .size (${type.bytesMin}..${type.bytesMax})`;
    case 'enum':
      return renderEnum(type.names);
    case 'struct':
      structs.set(type.name, type.fields);
      return type.name;
    case 'list':
      return `[0*${type.itemsMax} ${renderType(type.item, structs)}]`;
  }
}

/** Renders a choice of numbers; the names are comments. A long choice gets one line per number. */
function renderEnum(names: readonly string[]): string {
  const choices = names.map((name, index) => `${name}: ${index}`);
  const short = `&( ${choices.join(', ')} )`;
  return short.length < COMMENT_COLUMN ? short : `&(\n    ${choices.join(',\n    ')},\n  )`;
}

/** Renders the collected structs, and those that they use. */
function renderStructs(structs: Map<string, Fields>): string[] {
  const rendered = [section('Parts of the above')];
  // A Map is iterated in insertion order, including entries added meanwhile.
  for (const [name, fields] of structs) rendered.push(renderMap(name, fields, structs));
  return rendered;
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function section(title: string): string {
  return `; ---- ${title} ----`;
}

const COMMENT_COLUMN = 44;

const HEADER = `\
; The wire format of Baton, protocol version ${PROTOCOL_VERSION}. Rendered by src/core/wire/cddl.ts; do not edit.
;
; Everything is CBOR (RFC 8949) in core deterministic encoding (section 4.2.1): shortest heads, definite
; lengths, map keys rising. Unsigned integers are below 2^32. There are no negative integers, floats, tags
; (except 17 around a frame), null or undefined. Text is well-formed UTF-8 that does not start with U+FEFF.
; A receiver refuses everything else, unknown keys too. A frame has at most ${FRAME_BYTES_MAX} bytes; a payload
; nests at most ${DEPTH_MAX} deep and has at most ${ITEMS_MAX} items, keys and containers counted.
; On a byte stream each frame stands behind its length: 4 bytes, big endian.`;

const ENVELOPE = `${section('Envelope: COSE_Mac0 (RFC 9052), HMAC 256/256')}

frame = #6.17([
  protected: bstr .cbor protected-header,
  unprotected: {},
  payload: bstr .cbor (handshake-message / session-message / consent-claims),
  tag: bstr .size ${TAG_BYTES},
])

protected-header = {
  1 => 5,                                    ; alg: HMAC 256/256
  4 => bstr .size (7..${KID_BYTES_MAX}),                  ; kid: the bytes of "sender/receiver/channel/generation"
}
; generation: which key of the pair, 1 to 4294967295, in decimal digits without a leading zero.

; The tag is over this, in the bytes as received:
mac-structure = [
  context: "MAC0",
  protected: bstr .cbor protected-header,
  external_aad: bstr .cbor external-data,
  payload: bstr,
]

external-data = [envelope-version: ${ENVELOPE_VERSION}, machine: name, sender: name, receiver: name, channel]

; h: handshake, m: messages of a session, c: consent
channel = "h" / "m" / "c"

; A consent is a whole frame of channel c; where it travels inside a message it has at most ${CONSENT_BYTES_MAX} bytes.
consent = bstr .cbor frame`;

const KEY_SCHEDULE = `${section('Keys: HKDF with SHA-256 (RFC 5869), 32 bytes each')}

; handshake, for each direction:
;   PRK = HKDF-Extract(salt = "baton handshake", IKM = pair key of 32 bytes)
;   key = HKDF-Expand(PRK, info = encoded handshake-info, 32)
handshake-info = ["baton handshake", envelope-version: ${ENVELOPE_VERSION}, sender: name, receiver: name]

; session, for each direction of channel m, and for channel c from agent to host:
;   PRK = HKDF-Extract(salt = challenge of hello || challenge of hello-answered, IKM = pair key)
;   key = HKDF-Expand(PRK, info = encoded session-info, 32)
; The incarnation of an agent with a session to the host is what the host told it (yourIncarnation), else
; what it claimed. A session is installed by the initiator when its challenge is answered, by the responder
; when the first frame under the new keys verifies. Sequence numbers start at 1 in each direction and key.
session-info = [
  "baton session", version: uint32, channel, sender: name, receiver: name,
  initiator: party, responder: party,
]
party = [name, incarnation: uint32, boot-id: bstr .size ${BOOT_ID_BYTES}]`;

const NAMES = `${section('Common types')}

uint32 = uint .size 4
seq = 1..4294967295
; Opaque; on messages from the host only.
hostTime = bstr .size ${HOST_TIME_BYTES}
; Of a machine, a VM, a bundle or a device.
name = tstr .regexp "[a-z][a-z0-9._-]{0,${ID_BYTES_MAX - 1}}"
; A device, a dot, a kind and a number below 20; at most ${RESOURCE_NAME_BYTES_MAX} bytes.
resource-name = tstr .regexp "[a-z][a-z0-9._-]{0,${ID_BYTES_MAX - 1}}\\\\.(mmio|interrupt|stream)(1?[0-9])"`;
