/**
 * HMAC, HKDF and COSE_Mac0 against published vectors, and the one answer to everything that does not verify.
 */

import { readFileSync } from 'node:fs';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { describe, expect, test } from 'vitest';
import { encodeCbor } from '../../../src/core/wire/codec.ts';
import { createMac0Key, openMac0, sealMac0 } from '../../../src/core/wire/cose.ts';
import { beginMac, hkdfExpand, hkdfExtract } from '../../../src/core/wire/hash.ts';
import { FRAME_BYTES_MAX } from '../../../src/core/wire/limits.ts';
import { scan } from '../../../src/core/wire/scanner.ts';
import { hex, pattern, unhex } from './samples.ts';

function load(name: string): Record<string, string>[] {
  return JSON.parse(readFileSync(new URL(`../../vectors/${name}`, import.meta.url), 'utf8')).cases;
}

test.each(load('rfc4231.json'))('RFC 4231 case $case', ({ key, data, tag }) => {
  const text = unhex(data!);
  for (const split of [0, 1, text.length]) {
    const made = new Uint8Array(32);
    beginMac(unhex(key!), text.subarray(0, split)).finish(text.subarray(split), made);
    expect(hex(made)).toBe(tag);
  }
});

test.each(load('rfc5869.json'))('RFC 5869 case $case', ({ ikm, salt, info, bytes, prk, okm }) => {
  const extracted = hkdfExtract(unhex(salt!), unhex(ikm!));
  expect(hex(extracted)).toBe(prk);
  expect(hex(hkdfExpand(extracted, unhex(info!), Number(bytes)))).toBe(okm);
});

describe('cose-wg/Examples', () => {
  const cases = load('cose-wg.json');
  const byExpectation = (expected: string) => cases.filter(({ expect }) => expect === expected);
  /** Protected header of the examples: {1: 5}. */
  const header = unhex('a10105');
  const none = new Uint8Array();

  test.each(byExpectation('verifies'))('$file verifies and is sealed to the same bytes', ({ key, frame }) => {
    const macKey = createMac0Key(unhex(key!), header, none);
    const payload = openMac0(macKey, unhex(frame!));
    expect(payload && String.fromCharCode(...payload)).toBe('This is the content.');
    expect(hex(sealMac0(macKey, payload!)).toUpperCase()).toBe(frame);
  });

  test.each(byExpectation('fails'))('$file fails', ({ key, frame }) => {
    expect(openMac0(createMac0Key(unhex(key!), header, none), unhex(frame!))).toBeUndefined();
  });

  test.each(byExpectation('outOfProfile'))('$file is refused as out of profile', ({ key, frame }) => {
    expect(openMac0(createMac0Key(unhex(key!), header, none), unhex(frame!))).toBeUndefined();
  });

  test('mac-pass-02: external data enters the tag as published', () => {
    const { key, frame } = cases.find(({ file }) => file === 'mac0-tests/mac-pass-02.json')!;
    const macKey = createMac0Key(unhex(key!), none, unhex('ff00ee11dd22cc33bb44aa559966'));
    const sealed = sealMac0(macKey, unhex('546869732069732074686520636f6e74656e742e'));
    expect(hex(sealed.subarray(-32)).toUpperCase()).toBe(frame!.slice(-64));
  });
});

describe('our frames', () => {
  const header = encodeCbor(
    new Map<number, number | Uint8Array>([
      [1, 5],
      [4, Uint8Array.of(1)],
    ]),
  );
  const key = createMac0Key(pattern(1, 32), header, Uint8Array.of(2));

  test.each([0, 1, 23, 24, 255, 256, 3000])(
    'a payload of %i bytes survives, in the shortest form',
    (length) => {
      const frame = sealMac0(key, pattern(3, length));
      expect(scan(frame, { outerTag: 17 })).toBe('ok');
      expect(openMac0(key, frame)).toEqual(pattern(3, length));
    },
  );

  test('a long head of the payload is refused even under a right tag', () => {
    const structure = (content: string) => `84644d414330${'46'}${hex(header)}4102${content}`;
    const frame = (content: string) => {
      const tag = hmac(sha256, pattern(1, 32), unhex(structure(content)));
      return unhex(`${hex(key.head)}${content}5820${hex(tag)}`);
    };
    expect(openMac0(key, frame('420102'))).toEqual(Uint8Array.of(1, 2));
    expect(openMac0(key, frame('58020102'))).toBeUndefined();
    expect(openMac0(key, frame('5900020102'))).toBeUndefined();
  });

  test.each([
    ['another key', createMac0Key(pattern(2, 32), header, Uint8Array.of(2))],
    ['another external data', createMac0Key(pattern(1, 32), header, Uint8Array.of(3))],
    ['another header', createMac0Key(pattern(1, 32), Uint8Array.of(0xa0), Uint8Array.of(2))],
  ])('%s does not open them', (_what, other) => {
    expect(openMac0(other, sealMac0(key, pattern(3, 30)))).toBeUndefined();
  });

  test('a frame above the limit is refused before it is hashed', () => {
    expect(openMac0(key, sealMac0(key, new Uint8Array(FRAME_BYTES_MAX)))).toBeUndefined();
  });

  test('a key of the wrong length is our own mistake', () => {
    expect(() => createMac0Key(new Uint8Array(31), header, header)).toThrow(RangeError);
  });
});
