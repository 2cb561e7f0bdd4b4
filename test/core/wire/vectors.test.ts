/**
 * The committed vectors: pinned bytes, and for each of them decode, encode, round trip and truncation.
 */

import { readFileSync } from 'node:fs';
import { decode as decodeCborg } from 'cborg';
import { describe, expect, test } from 'vitest';
import { HOST } from '../../../src/core/protocol/ids.ts';
import { CONSENT_BYTES_MAX } from '../../../src/core/protocol/messages.ts';
import { decodeCbor } from '../../../src/core/wire/codec.ts';
import { openMac0, sealMac0 } from '../../../src/core/wire/cose.ts';
import { createEnvelopeKey, type Route, routeOf } from '../../../src/core/wire/envelope.ts';
import { HANDSHAKE_CODEC, type PayloadCodec, SESSION_CODEC } from '../../../src/core/wire/payload.ts';
import { scan } from '../../../src/core/wire/scanner.ts';
import { hex, PIN_PAD, party, unhex } from './samples.ts';
import { renderVectors } from './vectors.ts';

interface PayloadVector {
  readonly name: string;
  readonly message: { readonly kind: string };
  readonly seq: number;
  readonly stamp?: Uint8Array;
  readonly bytes: string;
}

const FILE = JSON.parse(
  readFileSync(new URL('../../vectors/messages.json', import.meta.url), 'utf8'),
  (_key, value) => (typeof value?.hex === 'string' ? unhex(value.hex) : value),
);

test('the committed vectors are what this code makes', async () => {
  await expect(renderVectors()).toMatchFileSnapshot('../../vectors/messages.json');
});

describe.each([
  ['session', SESSION_CODEC as PayloadCodec<never>, FILE.session as PayloadVector[]],
  ['handshake', HANDSHAKE_CODEC as PayloadCodec<never>, FILE.handshake as PayloadVector[]],
] as const)('%s payloads', (_set, codec, vectors) => {
  test.each(vectors)('$name decodes', ({ message, seq, stamp, bytes }) => {
    expect(codec.decode(unhex(bytes))).toEqual({ ok: true, message, seq, ...(stamp && { stamp }) });
  });

  test.each(vectors)('$name encodes', ({ message, seq, stamp, bytes }) => {
    const encoded = codec.encode(message as never, seq, stamp);
    expect(encoded.ok && hex(encoded.bytes)).toBe(bytes);
  });

  test.each(vectors)('$name is in the profile, and cborg reads the same', ({ bytes }) => {
    const encoded = unhex(bytes);
    expect(scan(encoded)).toBe('ok');
    const decoded = decodeCbor(encoded);
    expect(decoded.ok && decoded.value).toEqual(decodeCborg(encoded, CBORG_STRICT));
  });

  test.each(vectors)('$name cut at any byte is refused', ({ bytes }) => {
    const encoded = unhex(bytes);
    const accepted = Array.from(encoded.keys()).filter(
      (length) => codec.decode(encoded.subarray(0, length)).ok,
    );
    expect(accepted).toEqual([]);
  });
});

describe('envelopes', () => {
  const envelopes: { key: Uint8Array; route: Route; payload: Uint8Array; frame: Uint8Array }[] =
    FILE.envelopes;

  test.each(envelopes)(
    'channel $route.channel seals to the vector and opens',
    ({ key, route, payload, frame }) => {
      const macKey = createEnvelopeKey(key, route);
      expect(hex(sealMac0(macKey, payload))).toBe(hex(frame));
      expect(openMac0(macKey, frame)).toEqual(payload);
      expect(routeOf(frame)).toEqual(route);
      expect(scan(frame, { outerTag: 17 })).toBe('ok');
    },
  );

  test.each(envelopes)(
    'channel $route.channel cut or changed at any byte is refused',
    ({ key, route, frame }) => {
      const macKey = createEnvelopeKey(key, route);
      const positions = Array.from(frame.keys());
      const cut = positions.filter((length) => openMac0(macKey, frame.subarray(0, length)) !== undefined);
      const changed = positions.filter((at) => {
        const copy = new Uint8Array(frame);
        copy[at]! ^= 1;
        return openMac0(macKey, copy) !== undefined;
      });
      expect([cut, changed]).toEqual([[], []]);
    },
  );
});

test('the recorded conversation is understood by both parties', () => {
  const { frames, agentBootId, hostBootId, agentChallenge, hostChallenge, consents } = FILE.conversation;
  const agent = party(PIN_PAD, HOST, { bootId: agentBootId });
  const host = party(HOST, PIN_PAD, { bootId: hostBootId });
  const [hello, answer, finished, finishedAgain, fromAgent, fromHost] = frames;
  expect(agent.start(agentChallenge)).toEqual([hello]);
  expect(host.receive(hello, hostChallenge).frames).toEqual([answer]);
  expect(agent.receive(answer).frames).toEqual([finished]);
  expect(host.receive(finished).frames).toEqual([finishedAgain]);
  expect(agent.receive(finishedAgain).drop).toBeUndefined();
  expect(host.receive(fromAgent).message?.message.kind).toBe('release');
  expect(agent.receive(fromHost).message?.message.kind).toBe('release');
  for (const { claims, bytes } of consents) expect(host.openConsent(unhex(bytes))).toEqual(claims);
  expect(consents[1].bytes.length / 2).toBeLessThanOrEqual(CONSENT_BYTES_MAX);
});

/** The second opinion: rejects what it can of what the profile lacks. */
const CBORG_STRICT = { strict: true, rejectDuplicateMapKeys: true, allowIndefinite: false, useMaps: true };
