/**
 * Makes the text of test/vectors/messages.json: bytes that must never change, for every engine and language.
 *
 * `npx vitest run test/core/wire -u` writes it anew. A change of existing bytes is a change of the protocol version.
 */

import { HOST } from '../../../src/core/protocol/ids.ts';
import { encodeCbor } from '../../../src/core/wire/codec.ts';
import { sealMac0 } from '../../../src/core/wire/cose.ts';
import { bundleDigest, canonicalBundle } from '../../../src/core/wire/digest.ts';
import { type Channel, createEnvelopeKey } from '../../../src/core/wire/envelope.ts';
import { HANDSHAKE_CODEC, SESSION_CODEC } from '../../../src/core/wire/payload.ts';
import { SAMPLE_BUNDLE } from './bundles.ts';
import {
  ANDROID,
  HANDSHAKE_SAMPLES,
  hex,
  LARGEST_CONSENT,
  PAIR_KEY,
  PIN_PAD,
  party,
  pattern,
  RELEASE,
  SESSION_SAMPLES,
  SMALLEST_CONSENT,
  STAMP,
  sealed,
} from './samples.ts';

/** Returns the whole file. Byte strings stand as `{"hex": …}`. */
export function renderVectors(): string {
  const vectors = {
    about: 'Rendered by test/core/wire/vectors.ts; byte strings stand as {"hex": ...}.',
    session: SESSION_SAMPLES.map(({ name, message }, index) => {
      const [seq, stamp] = index % 2 === 0 ? [1, undefined] : [0xffff_ffff, STAMP];
      const encoded = SESSION_CODEC.encode(message, seq, stamp);
      return {
        name,
        message,
        seq,
        ...(stamp && { stamp }),
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
  const route = { from: ANDROID, to: PIN_PAD, channel };
  const payload = encodeCbor(['payload', 1, Uint8Array.of(2, 3)]);
  return { key, route, payload, frame: sealMac0(createEnvelopeKey(key, route), payload) };
}

/** An agent meets the host, asks, is answered, consents. All keys follow from the pair key. */
function conversation() {
  const [agentChallenge, hostChallenge] = [pattern(0xa0, 16), pattern(0xb0, 16)];
  const agentBootId = pattern(0x20, 16);
  const hostBootId = pattern(0x30, 16);
  const agent = party(PIN_PAD, HOST, { bootId: agentBootId });
  const host = party(HOST, PIN_PAD, { bootId: hostBootId });
  const hello = agent.start(agentChallenge);
  const helloAnswered = hello.flatMap((frame) => host.receive(frame, hostChallenge).frames);
  const helloFinished = helloAnswered.flatMap((frame) => agent.receive(frame).frames);
  const finishedAgain = helloFinished.flatMap((frame) => host.receive(frame).frames);
  for (const frame of finishedAgain) agent.receive(frame);
  return {
    pairKey: PAIR_KEY,
    agentBootId,
    hostBootId,
    agentChallenge,
    hostChallenge,
    agentIncarnation: 5,
    hostIncarnation: 1,
    frames: [
      ...[hello, helloAnswered, helloFinished, finishedAgain].flat(),
      sealed(agent, RELEASE),
      sealed(host, RELEASE, STAMP),
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
