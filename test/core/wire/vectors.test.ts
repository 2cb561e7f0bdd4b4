/**
 * The committed vectors of every released version: pinned bytes, and for each of them decode, encode, round trip and
 * truncation. A version that is still spoken stays understood, byte for byte.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { decode as decodeCborg } from 'cborg';
import { describe, expect, it, test } from 'vitest';
import { HOST } from '../../../src/core/protocol/ids.ts';
import { CONSENT_BYTES_MAX } from '../../../src/core/protocol/messages.ts';
import { decodeCbor } from '../../../src/core/wire/codec.ts';
import { openMac0, sealMac0 } from '../../../src/core/wire/cose.ts';
import { createEnvelopeKey, type Route, routeOf } from '../../../src/core/wire/envelope.ts';
import { PROTOCOL_VERSION } from '../../../src/core/wire/limits.ts';
import { HANDSHAKE_CODEC, type PayloadCodec, SESSION_CODEC } from '../../../src/core/wire/payload.ts';
import { scan } from '../../../src/core/wire/scanner.ts';
import { hex, PIN_PAD, party, unhex } from './samples.ts';
import { renderVectors } from './vectors.ts';

interface PayloadVector {
  readonly name: string;
  readonly message: { readonly kind: string };
  readonly seq: number;
  readonly hostTime?: Uint8Array;
  readonly bytes: string;
}

interface EnvelopeVector {
  readonly key: Uint8Array;
  readonly route: Route;
  readonly payload: Uint8Array;
  readonly frame: Uint8Array;
}

const FOLDER = new URL('../../vectors/', import.meta.url);
const VERSIONS = readdirSync(FOLDER).filter((name) => /^v[0-9]+$/.test(name));
const read = (version: string) =>
  JSON.parse(readFileSync(new URL(`${version}/messages.json`, FOLDER), 'utf8'), (_key, value) =>
    typeof value?.hex === 'string' ? unhex(value.hex) : value,
  );

test('the vectors of the present version are what this code makes', async () => {
  const present = `v${PROTOCOL_VERSION}`;
  await expect(renderVectors()).toMatchFileSnapshot(`../../vectors/${present}/messages.json`);
  expect(VERSIONS).toContain(present);
});

describe.each(VERSIONS)('version %s', (version) => {
  const file = read(version);

  describe.each([
    ['session', SESSION_CODEC as PayloadCodec<never>, file.session as PayloadVector[]],
    ['handshake', HANDSHAKE_CODEC as PayloadCodec<never>, file.handshake as PayloadVector[]],
  ] as const)('%s payloads', (_set, codec, vectors) => {
    test.each(vectors)('$name decodes and encodes', ({ message, seq, hostTime, bytes }) => {
      expect(codec.decode(unhex(bytes))).toEqual({ ok: true, message, seq, ...(hostTime && { hostTime }) });
      const encoded = codec.encode(message as never, seq, hostTime);
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
    const { machine } = file.conversation;

    test.each(file.envelopes as EnvelopeVector[])(
      'channel $route.channel seals to the vector and opens',
      ({ key, route, payload, frame }) => {
        const macKey = createEnvelopeKey(key, route, machine);
        expect(hex(sealMac0(macKey, payload))).toBe(hex(frame));
        expect(openMac0(macKey, frame)).toEqual(payload);
        expect(routeOf(frame)).toEqual(route);
        expect(scan(frame, { outerTag: 17 })).toBe('ok');
        expect(openMac0(createEnvelopeKey(key, route, 'other'), frame)).toBeUndefined();
      },
    );

    test.each(file.envelopes as EnvelopeVector[])(
      'channel $route.channel cut or changed at any byte is refused',
      ({ key, route, frame }) => {
        const macKey = createEnvelopeKey(key, route, machine);
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

  it('has a conversation that both parties understand', () => {
    const { frames, agentBootId, hostBootId, agentChallenge, hostChallenge, consents } = file.conversation;
    const { machine, generation, pairKey, tableId } = file.conversation;
    const versions = { min: Number(version.slice(1)), max: Number(version.slice(1)) };
    const common = { machine, pairKeys: [{ generation, key: pairKey }], versions };
    const agent = party(PIN_PAD, HOST, { ...common, bootId: agentBootId });
    const host = party(HOST, PIN_PAD, { ...common, bootId: hostBootId, tableId });
    const [hello, answer, finished, finishedAgain, fromAgent, fromHost] = frames;
    expect(agent.start(agentChallenge)).toEqual([hello]);
    expect(host.receive(hello, hostChallenge).frames).toEqual([answer]);
    const installed = agent.receive(answer);
    expect(installed.frames).toEqual([finished]);
    expect(installed.events).toMatchObject([{ kind: 'up', tableId }]);
    expect(host.receive(finished).frames).toEqual([finishedAgain]);
    expect(agent.receive(finishedAgain).drop).toBeUndefined();
    expect(host.receive(fromAgent).message?.message.kind).toBe('release');
    expect(agent.receive(fromHost).message?.message.kind).toBe('release');
    for (const { claims, bytes } of consents) expect(host.openConsent(unhex(bytes))).toEqual(claims);
    expect(consents[1].bytes.length / 2).toBeLessThanOrEqual(CONSENT_BYTES_MAX);
  });
});

/** The second opinion: rejects what it can of what the profile lacks. */
const CBORG_STRICT = { strict: true, rejectDuplicateMapKeys: true, allowIndefinite: false, useMaps: true };
