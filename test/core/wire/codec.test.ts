/**
 * What the codec refuses in payloads that the scanner lets pass, and what it hands out.
 */

import { describe, expect, test } from 'vitest';
import { uint } from '../../../src/core/protocol/schema.ts';
import { type CborValue, compile, encodeCbor } from '../../../src/core/wire/codec.ts';
import { SESSION_CODEC } from '../../../src/core/wire/payload.ts';
import { HOST_TIME, pattern, RELEASE } from './samples.ts';

type Entries = readonly (readonly [number, CborValue])[];
const map = (...entries: Entries) => new Map<number, CborValue>(entries);

/** A payload of `release` whose parts can be replaced. */
const BODY: Entries = [
  [1, 'touch'],
  [2, 7],
];
const payload = (...entries: Entries) => SESSION_CODEC.decode(encodeCbor(map(...entries)));
const release = (...body: Entries) => payload([0, 23], [1, 1], [3, map(...body)]);
const fault = (...body: Entries) => payload([0, 32], [1, 1], [3, map(...body)]);

test('the payload that the tables below damage is good', () => {
  expect(release(...BODY)).toEqual({ ok: true, message: RELEASE, seq: 1 });
});

describe('outer map', () => {
  test.each<[string, Entries]>([
    [
      'no number',
      [
        [1, 1],
        [3, map(...BODY)],
      ],
    ],
    [
      'no sequence number',
      [
        [0, 23],
        [3, map(...BODY)],
      ],
    ],
    [
      'no body',
      [
        [0, 23],
        [1, 1],
      ],
    ],
    [
      'text as number',
      [
        [0, 'release'],
        [1, 1],
        [3, map(...BODY)],
      ],
    ],
    [
      'text as sequence number',
      [
        [0, 23],
        [1, '1'],
        [3, map(...BODY)],
      ],
    ],
    [
      'a short timestamp token',
      [
        [0, 23],
        [1, 1],
        [2, pattern(1, 15)],
        [3, map(...BODY)],
      ],
    ],
    [
      'a timestamp token that is no byte string',
      [
        [0, 23],
        [1, 1],
        [2, 1],
        [3, map(...BODY)],
      ],
    ],
    [
      'an unknown key',
      [
        [0, 23],
        [1, 1],
        [3, map(...BODY)],
        [4, 0],
      ],
    ],
    [
      'an unknown key beside a timestamp token',
      [
        [0, 23],
        [1, 1],
        [2, HOST_TIME],
        [3, map(...BODY)],
        [4, 0],
      ],
    ],
  ])('%s is refused', (_what, entries) => {
    expect(payload(...entries)).toMatchObject({ ok: false, reason: 'payload' });
  });

  test('a payload that is no map is refused', () => {
    expect(SESSION_CODEC.decode(encodeCbor([23, 1]))).toMatchObject({ ok: false, reason: 'payload' });
  });

  test.each([0, 10, 34, 40, 64, 999])('message number %i is unknown in a session', (number) => {
    expect(payload([0, number], [1, 1], [3, map()])).toMatchObject({ ok: false, reason: 'number' });
  });
});

describe('body', () => {
  test.each<[string, Entries, string, string]>([
    ['an unknown key', [...BODY, [4, 0]], 'unknownKey', 'release'],
    ['a missing field', [[1, 'touch']], 'missing', 'release.epoch'],
    [
      'a number as name',
      [
        [1, 7],
        [2, 7],
      ],
      'type',
      'release.bundle',
    ],
    [
      'a name that is none',
      [
        [1, 'Touch'],
        [2, 7],
      ],
      'type',
      'release.bundle',
    ],
    [
      'a name of 33 bytes',
      [
        [1, 'a'.repeat(33)],
        [2, 7],
      ],
      'type',
      'release.bundle',
    ],
    [
      'a truth value as number',
      [
        [1, 'touch'],
        [2, true],
      ],
      'type',
      'release.epoch',
    ],
  ])('%s is refused, with the field', (_what, entries, reason, field) => {
    expect(release(...entries)).toEqual({ ok: false, reason, field });
  });

  test('a body that is no map is refused', () => {
    expect(payload([0, 23], [1, 1], [3, 5])).toMatchObject({ ok: false, reason: 'type', field: 'release' });
  });

  test.each([
    ['touch.mmio0', true],
    ['touch.stream31', true],
    ['a.b.interrupt3', true],
    ['touch.mmio32', false],
    ['touch.mmio00', false],
    ['touch.mmio', false],
    ['touch.mmio1e1', false],
    ['touch.mmio-1', false],
    ['touch.dma0', false],
    ['.mmio0', false],
    ['mmio0', false],
    ['Touch.mmio0', false],
    [`${'a'.repeat(33)}.mmio0`, false],
  ])('resource name %s: %s', (name, isGood) => {
    const decoded = fault([1, 'b'], [2, 1], [3, name], [4, 0], [5, false], [8, 0], [9, 1]);
    expect(decoded.ok).toBe(isGood);
  });

  test('an enumeration ends at its last name', () => {
    const decoded = fault([1, 'b'], [2, 1], [3, 'a.mmio0'], [4, 2], [5, false], [8, 0], [9, 1]);
    expect(decoded).toEqual({ ok: false, reason: 'range', field: 'faultReported.by' });
  });

  test('byte strings are bounded on both sides', () => {
    const request = (consent: Uint8Array) =>
      payload(
        [0, 1],
        [1, 1],
        [3, map([1, 'b'], [2, ''], [3, 0], [4, 0], [5, consent], [6, 0], [7, 0], [8, 0])],
      );
    expect(request(pattern(1, 0))).toMatchObject({ reason: 'range', field: 'requestBorrow.consent' });
    expect(request(pattern(1, 320)).ok).toBe(true);
    expect(request(pattern(1, 321))).toMatchObject({ reason: 'range', field: 'requestBorrow.consent' });
  });

  test('text is bounded in bytes, not characters', () => {
    const reject = (what: string) => payload([0, 27], [1, 1], [3, map([1, 'b'], [2, 1], [3, what])]);
    expect(reject('€'.repeat(32)).ok).toBe(true);
    expect(reject('€'.repeat(33))).toMatchObject({ reason: 'range', field: 'reject.what' });
  });
});

test('byte strings come out as plain copies, also from a Buffer', () => {
  const encoded = SESSION_CODEC.encode(
    {
      kind: 'requestBorrow',
      bundle: 'b',
      purpose: '',
      leaseMs: 0,
      waitMs: 0,
      minHoldMs: 0,
      noticeMs: 0,
      requestId: 0,
      consent: pattern(1, 9),
    } as never,
    1,
    HOST_TIME,
  );
  const bytes = Buffer.from(encoded.ok ? encoded.bytes : []);
  const decoded = SESSION_CODEC.decode(bytes);
  bytes.fill(0);
  expect(decoded).toMatchObject({ hostTime: HOST_TIME, message: { consent: pattern(1, 9) } });
  expect(decoded.ok && Object.getPrototypeOf(decoded.hostTime)).toBe(Uint8Array.prototype);
});

test.each([
  ['a text with a lone surrogate', { ...RELEASE, kind: 'reject', what: 'a\ud800' }, 'reject.what'],
  ['a text with a leading byte order mark', { ...RELEASE, kind: 'reject', what: '\ufeffa' }, 'reject.what'],
  ['2^32', { ...RELEASE, epoch: 2 ** 32 }, 'release.epoch'],
  ['a fraction', { ...RELEASE, epoch: 1.5 }, 'release.epoch'],
])('%s is not encoded', (_what, message, field) => {
  expect(SESSION_CODEC.encode(message as never, 1)).toEqual({ ok: false, reason: 'range', field });
});

test('a description that uses a key twice is refused when it is compiled', () => {
  const field = { key: 1, type: uint(), optional: false };
  expect(() => compile({ a: field, b: field })).toThrow(RangeError);
});
