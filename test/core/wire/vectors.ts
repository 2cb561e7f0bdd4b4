/**
 * Makes the vectors of the present version of the protocol, test/vectors/vN/messages.json: for every engine and
 * language.
 *
 * `npx vitest run test/wire -u` writes them anew. Once a version is released its bytes never change: a change makes
 * another version, and another folder.
 */

import { DEFAULT_MACHINE, HOST } from '../../../src/core/protocol/ids.ts';
import { encodeCbor } from '../../../src/core/wire/codec.ts';
import { sealMac0 } from '../../../src/core/wire/cose.ts';
import { bundleDigest, canonicalBundle } from '../../../src/core/wire/digest.ts';
import { type Channel, createEnvelopeKey } from '../../../src/core/wire/envelope.ts';
import { HANDSHAKE_CODEC, SESSION_CODEC } from '../../../src/core/wire/payload.ts';
import { SAMPLE_BUNDLE } from './bundles.ts';
import {
  ANDROID,
  HANDSHAKE_SAMPLES,
  HOST_TIME,
  hex,
  LARGEST_CONSENT,
  PAIR_KEY,
  PIN_PAD,
  party,
  pattern,
  RELEASE,
  SESSION_SAMPLES,
  SMALLEST_CONSENT,
  sealed,
} from './samples.ts';

/** Returns the whole file. Byte strings stand as `{"hex": …}`. */
export function renderVectors(): string {
  const vectors = {
    about: 'Rendered by test/wire/vectors.ts; byte strings stand as {"hex": ...}.',
    session: SESSION_SAMPLES.map(({ name, message }, index) => {
      const [seq, hostTime] = index % 2 === 0 ? [1, undefined] : [0xffff_ffff, HOST_TIME];
      const encoded = SESSION_CODEC.encode(message, seq, hostTime);
      return {
        name,
        message,
        seq,
        ...(hostTime && { hostTime }),
        bytes: encoded.ok ? hex(encoded.bytes) : encoded,
      };
    }),
    handshake: HANDSHAKE_SAMPLES.map(({ name, message }) => {
      const encoded = HANDSHAKE_CODEC.encode(message as never, 0);
      return { name, message, seq: 0, bytes: encoded.ok ? hex(encoded.bytes) : encoded };
    }),
    envelopes: (['h', 'm', 'c'] as const).map(envelope),
    conversation: conversation(),
    bundle: { canonical: hex(canonicalBundle(SAMPLE_BUNDLE)), digest: hex(bundleDigest(SAMPLE_BUNDLE)) },
  };
  return `${JSON.stringify(vectors, showBytes, 1)}\n`;
}

/** One frame under a key that is given directly. */
function envelope(channel: Channel) {
  const key = pattern(0x80, 32);
  const route = { from: ANDROID, to: PIN_PAD, channel, generation: 1 };
  const payload = encodeCbor(['payload', 1, Uint8Array.of(2, 3)]);
  return { key, route, payload, frame: sealMac0(createEnvelopeKey(key, route, DEFAULT_MACHINE), payload) };
}

const TABLE_ID = pattern(0x70, 8);

/** An agent meets the host, asks, is answered, consents. All keys follow from the pair key. */
function conversation() {
  const [agentChallenge, hostChallenge] = [pattern(0xa0, 16), pattern(0xb0, 16)];
  const agentBootId = pattern(0x20, 16);
  const hostBootId = pattern(0x30, 16);
  const agent = party(PIN_PAD, HOST, { bootId: agentBootId });
  const host = party(HOST, PIN_PAD, { bootId: hostBootId, tableId: TABLE_ID });
  const hello = agent.start(agentChallenge);
  const helloAnswered = hello.flatMap((frame) => host.receive(frame, hostChallenge).frames);
  const helloFinished = helloAnswered.flatMap((frame) => agent.receive(frame).frames);
  const finishedAgain = helloFinished.flatMap((frame) => host.receive(frame).frames);
  for (const frame of finishedAgain) agent.receive(frame);
  return {
    machine: DEFAULT_MACHINE,
    generation: 1,
    pairKey: PAIR_KEY,
    tableId: TABLE_ID,
    agentBootId,
    hostBootId,
    agentChallenge,
    hostChallenge,
    agentIncarnation: 5,
    hostIncarnation: 1,
    frames: [
      ...[hello, helloAnswered, helloFinished, finishedAgain].flat(),
      sealed(agent, RELEASE),
      sealed(host, RELEASE, HOST_TIME),
    ],
    consents: [SMALLEST_CONSENT, LARGEST_CONSENT].map((claims) => ({
      claims,
      bytes: hex(agent.sealConsent(claims) ?? new Uint8Array()),
    })),
  };
}

function showBytes(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? { hex: hex(value) } : value;
}
