/**
 * Properties of scanner and codec over generated and damaged bytes. Each prints its seed first.
 */

import { decode as decodeCborg } from 'cborg';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeCbor, encodeCbor } from '../../../src/core/wire/codec.ts';
import { routeOf } from '../../../src/core/wire/envelope.ts';
import { FrameDecoder } from '../../../src/core/wire/framing.ts';
import { HANDSHAKE_CODEC, SESSION_CODEC } from '../../../src/core/wire/payload.ts';
import { scan } from '../../../src/core/wire/scanner.ts';
import { utf8Length } from '../../../src/core/wire/utf8.ts';
import {
  connected,
  freshChallenge,
  HANDSHAKE_SAMPLES,
  RELEASE,
  SESSION_SAMPLES,
  SMALLEST_CONSENT,
  sealed,
} from './samples.ts';

function seeded(title: string): number {
  const seed = Number(process.env['BATON_SEED'] ?? Date.now() % 0x7fff_ffff);
  console.log(`${title}: seed ${seed}`);
  return seed;
}

const text = fc.string({ unit: 'grapheme', maxLength: 120 }).filter((one) => utf8Length(one) >= 0);

/** Values of the profile, three containers deep at most. */
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 3 },
    fc.nat({ max: 0xffff_ffff }),
    fc.constantFrom(0, 23, 24, 255, 256, 65_535, 65_536, 0xffff_ffff),
    fc.boolean(),
    text,
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie('any'), { maxLength: 6 }),
    fc
      .uniqueArray(fc.tuple(fc.nat({ max: 300 }), tie('any')), { maxLength: 6, selector: ([key]) => key })
      .map((entries) => new Map(entries.sort(([a], [b]) => a - b))),
  ),
})).any as fc.Arbitrary<Parameters<typeof encodeCbor>[0]>;

test('whatever we encode is in the profile and comes back the same', () => {
  const seed = seeded('encode');
  const property = fc.property(value, (one) => {
    const bytes = encodeCbor(one);
    fc.pre(bytes.length <= 4096);
    expect(scan(bytes)).toBe('ok');
    const decoded = decodeCbor(bytes);
    expect(decoded.ok && plain(decoded.value)).toEqual(one);
  });
  fc.assert(property, { seed, numRuns: 2000 });
});

test('what the scanner accepts, cbor-x and cborg decode alike', () => {
  const seed = seeded('differential');
  let accepted = 0;
  const damaged = fc.tuple(value, fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 3 }));
  const property = fc.property(damaged, ([one, changes]) => {
    const bytes = encodeCbor(one);
    for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
    if (scan(bytes) !== 'ok') return;
    accepted++;
    const decoded = decodeCbor(bytes);
    expect(decoded.ok).toBe(true);
    expect(decoded.ok && plain(decoded.value)).toEqual(decodeCborg(bytes, CBORG_STRICT));
  });
  fc.assert(property, { seed, numRuns: 10_000 });
  expect(accepted).toBeGreaterThan(1000);
});

test('short random bytes: the same', () => {
  const seed = seeded('random');
  const property = fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
    if (scan(bytes) !== 'ok') return;
    const decoded = decodeCbor(bytes);
    expect(decoded.ok && plain(decoded.value)).toEqual(decodeCborg(bytes, CBORG_STRICT));
  });
  fc.assert(property, { seed, numRuns: 20_000 });
});

test('100 000 damaged messages never throw, and are quick', () => {
  const next = generator(seeded('damage'));
  const payloads = [
    ...SESSION_SAMPLES.map(({ message }) => SESSION_CODEC.encode(message, 1)),
    ...HANDSHAKE_SAMPLES.map(({ message }) => HANDSHAKE_CODEC.encode(message as never, 0)),
  ].flatMap((encoded) => (encoded.ok ? [encoded.bytes] : []));
  const outcomes = new Set<string>();
  for (let round = 0; round < 100_000; round++) {
    const bytes = damage(payloads[next() % payloads.length]!, next);
    for (const codec of [SESSION_CODEC, HANDSHAKE_CODEC]) {
      const decoded = codec.decode(bytes);
      outcomes.add(decoded.ok ? 'ok' : decoded.reason);
    }
  }
  // Guards against an empty test: most kinds of refusal must have been met.
  expect([...outcomes].sort()).toEqual(
    expect.arrayContaining(['key', 'missing', 'number', 'ok', 'truncated', 'type']),
  );
}, 60_000);

test('damaged frames never throw anywhere, and none verifies', () => {
  const next = generator(seeded('frames'));
  const { agent, host } = connected();
  const frames = [
    sealed(agent, RELEASE),
    ...agent.start(freshChallenge()),
    agent.sealConsent(SMALLEST_CONSENT)!,
  ];
  const decoder = new FrameDecoder();
  let taken = 0;
  for (let round = 0; round < 20_000; round++) {
    const original = frames[next() % frames.length]!;
    const frame = damage(original, next);
    routeOf(frame);
    decoder.push(frame);
    host.openConsent(frame);
    const isSame = frame.length === original.length && frame.every((byte, at) => byte === original[at]);
    if (!isSame && host.receive(frame, freshChallenge()).drop !== 'unverified') taken++;
  }
  expect(taken).toBe(0);
  expect(host.isUp).toBe(true);
}, 60_000);

/** Byte strings of cbor-x are Buffers on Node; compare bytes, not classes. */
function plain(decoded: unknown): unknown {
  if (decoded instanceof Uint8Array) return new Uint8Array(decoded);
  if (Array.isArray(decoded)) return decoded.map(plain);
  if (decoded instanceof Map) return new Map([...decoded].map(([key, one]) => [key, plain(one)]));
  return decoded;
}

/** A small generator (xorshift32), so that a seed replays a failure. */
function generator(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** Returns a copy with up to four bytes changed, cut out or doubled. */
function damage(bytes: Uint8Array, next: () => number): Uint8Array {
  let copy = Array.from(bytes);
  for (let changes = 1 + (next() % 4); changes > 0; changes--) {
    const at = next() % (copy.length + 1);
    const kind = next() % 8;
    if (kind < 5) copy[at % Math.max(1, copy.length)] = next() & 0xff;
    else if (kind === 5) copy.splice(at, 1 + (next() % 8));
    else if (kind === 6) copy = [...copy.slice(0, at), ...copy.slice(Math.max(0, at - (next() % 8)))];
    else copy = copy.slice(0, at);
  }
  return Uint8Array.from(copy);
}

const CBORG_STRICT = { strict: true, rejectDuplicateMapKeys: true, allowIndefinite: false, useMaps: true };
