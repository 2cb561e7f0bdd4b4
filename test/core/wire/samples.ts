/**
 * Messages, keys and sessions that the tests of the wire share. Everything is fixed: same bytes in every run.
 */

import { HOST, type Incarnation, UINT32_MAX, type VmId, vmId } from '../../../src/core/protocol/ids.ts';
import { CONSENT_FIELDS, type ConsentClaims, type Message } from '../../../src/core/protocol/messages.ts';
import type { Fields, FieldType } from '../../../src/core/protocol/schema.ts';
import { HANDSHAKE_MESSAGES, SESSION_MESSAGES } from '../../../src/core/wire/handshake.ts';
import { PROTOCOL_VERSION } from '../../../src/core/wire/limits.ts';
import { Session } from '../../../src/core/wire/session.ts';
import type { SessionConfig } from '../../../src/core/wire/session-io.ts';

export const ANDROID = vmId('android');
export const PIN_PAD = vmId('pin-pad');

/** Returns `length` bytes that all differ from those of another `first`. */
export function pattern(first: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (first + index * 7) & 0xff);
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export function unhex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** Returns the smallest value of a description: no optional field, empty lists, zeros. */
export function smallest(fields: Fields): Record<string, unknown> {
  const needed = Object.entries(fields).filter(([, field]) => !field.optional);
  return Object.fromEntries(needed.map(([name, field]) => [name, extreme(field.type, false)]));
}

/** Returns the largest value of a description: every field, full lists, longest names. */
export function largest(fields: Fields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, extreme(field.type, true)]));
}

function extreme(type: FieldType, isLargest: boolean): unknown {
  switch (type.kind) {
    case 'uint':
      return isLargest ? UINT32_MAX : 0;
    case 'bool':
      return isLargest;
    case 'id':
      return isLargest ? `v${'0'.repeat(31)}` : 'a';
    case 'resource':
      return isLargest ? `v${'0'.repeat(31)}.interrupt19` : 'a.mmio0';
    case 'text':
      return isLargest ? 'ä€'.repeat(Math.floor(type.bytesMax / 5)) + 'x'.repeat(type.bytesMax % 5) : '';
    case 'bytes':
      return pattern(1, isLargest ? type.bytesMax : type.bytesMin);
    case 'enum':
      return isLargest ? type.names[type.names.length - 1] : type.names[0];
    case 'struct':
      return isLargest ? largest(type.fields) : smallest(type.fields);
    case 'list':
      return isLargest ? Array.from({ length: type.itemsMax }, () => extreme(type.item, true)) : [];
  }
}

/** The two extremes of every message that travels in a session. */
export const SESSION_SAMPLES = extremesOf(SESSION_MESSAGES) as readonly { name: string; message: Message }[];
/** The two extremes of every message of the handshake. */
export const HANDSHAKE_SAMPLES = extremesOf(HANDSHAKE_MESSAGES);

export const SMALLEST_CONSENT = smallest(CONSENT_FIELDS) as unknown as ConsentClaims;
export const LARGEST_CONSENT = largest(CONSENT_FIELDS) as unknown as ConsentClaims;

function extremesOf(types: Readonly<Record<string, { readonly fields: Fields }>>) {
  return Object.entries(types).flatMap(([kind, { fields }]) => [
    { name: `${kind}, smallest`, message: { kind, ...smallest(fields) } },
    { name: `${kind}, largest`, message: { kind, ...largest(fields) } },
  ]);
}

export const PAIR_KEY = pattern(0x10, 32);
export const HOST_TIME = pattern(0x60, 16);
/** A message of average size. */
export const RELEASE: Message = { kind: 'release', bundle: 'touch', epoch: 7 } as Message;

let challenges = 0;
/** Returns a challenge that was never returned before. */
export function freshChallenge(): Uint8Array {
  challenges++;
  return Uint8Array.from({ length: 16 }, (_, index) => (index < 4 ? challenges >> (8 * index) : 0xc0));
}

/** Returns one party's side of a pair. */
export function party(us: VmId, peer: VmId, changes: Partial<SessionConfig> = {}): Session {
  return new Session({
    us,
    peer,
    pairKeys: PAIR_KEY,
    bootId: pattern(us.length, 16),
    incarnation: (us === HOST ? 1 : 0) as Incarnation,
    peerIncarnation: (us === HOST ? 5 : 0) as Incarnation,
    versions: { min: PROTOCOL_VERSION, max: PROTOCOL_VERSION },
    bundles: [],
    ...changes,
  });
}

/** Carries `frames` to `to` and what it answers back to `from`, until nobody has anything to say. */
export function deliver(frames: readonly Uint8Array[], to: Session, from: Session): void {
  let [queue, receiver, sender] = [frames, to, from];
  for (let round = 0; queue.length > 0; round++) {
    if (round === 8) throw new Error('the two parties do not stop talking');
    queue = queue.flatMap((frame) => receiver.receive(frame, freshChallenge()).frames);
    [receiver, sender] = [sender, receiver];
  }
}

/** Returns an agent and the host with a session between them. */
export function connected(changes: Partial<SessionConfig> = {}): { agent: Session; host: Session } {
  const agent = party(PIN_PAD, HOST, changes);
  const host = party(HOST, PIN_PAD);
  deliver(agent.start(freshChallenge()), host, agent);
  return { agent, host };
}

/** Returns the frame of a message that must be sealable. */
export function sealed(session: Session, message: Message, hostTime?: Uint8Array): Uint8Array {
  const result = session.seal(message, hostTime);
  if (!result.ok) throw new Error(`not sealed: ${result.reason} ${result.field}`);
  return result.frame;
}
