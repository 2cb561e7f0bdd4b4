/**
 * The small parts: routes, text, sequence numbers, digests.
 */

import { describe, expect, test } from 'vitest';
import type { BundleDefinition } from '../../../src/core/protocol/bundle.ts';
import { DEFAULT_MACHINE } from '../../../src/core/protocol/ids.ts';
import { openMac0, sealMac0 } from '../../../src/core/wire/cose.ts';
import { bundleDigest } from '../../../src/core/wire/digest.ts';
import { createEnvelopeKey, routeOf } from '../../../src/core/wire/envelope.ts';
import { ReplayWindow, SendCounter } from '../../../src/core/wire/sequence.ts';
import { clipText, utf8Length } from '../../../src/core/wire/utf8.ts';
import { SAMPLE_BUNDLE } from './bundles.ts';
import { ANDROID, hex, PAIR_KEY, PIN_PAD, unhex } from './samples.ts';

describe('routeOf', () => {
  const route = { from: ANDROID, to: PIN_PAD, channel: 'm', generation: 1 } as const;
  const frame = sealMac0(createEnvelopeKey(PAIR_KEY, route, DEFAULT_MACHINE), Uint8Array.of(1));
  const withKid = (kid: string) => {
    const bytes = Uint8Array.from(kid, (character) => character.charCodeAt(0));
    const long = (length: number) =>
      (length < 24 ? '' : '58') + (length < 24 ? 0x40 + length : length).toString(16);
    const header = `a2010504${long(bytes.length)}${hex(bytes)}`;
    return unhex(`d184${long(header.length / 2)}${header}a0`);
  };

  test('reads sender, receiver, channel and generation', () => {
    expect(routeOf(frame)).toEqual(route);
    expect(routeOf(withKid('a/b/c/1'))).toEqual({ from: 'a', to: 'b', channel: 'c', generation: 1 });
    expect(routeOf(withKid('a/b/h/4294967295'))?.generation).toBe(0xffff_ffff);
  });

  test.each([
    '',
    'a/b',
    'a/b/m',
    'a/b/x/1',
    'a/b/mm/1',
    'A/b/m/1',
    'a//m/1',
    '/b/m/1',
    'a/b/c/m',
    'a/b/m/1/1',
    'a/b/m/0',
    'a/b/m/01',
    'a/b/m/+1',
    'a/b/m/',
    'a/b/m/1e3',
    'a/b/m/4294967296',
    `a/b/m/${'1'.repeat(90)}`,
  ])('refuses the key id "%s"', (kid) => {
    expect(routeOf(withKid(kid))).toBeUndefined();
  });

  test('refuses every frame that is cut inside the header', () => {
    const headerEnd = frame.indexOf(0xa0);
    const routed = Array.from({ length: headerEnd }, (_, length) => routeOf(frame.subarray(0, length)));
    expect(routed.every((one) => one === undefined)).toBe(true);
  });

  test.each([
    ['another tag', 'd2844aa2010504'],
    ['no tag', '844aa2010504'],
    ['another algorithm', 'd1844aa201040445612f622f63'],
    ['bytes after the key id', 'd1844ba201050445612f622f6300'],
    ['a long head', 'd184580aa201050445612f622f63'],
  ])('refuses %s', (_what, bytes) => {
    expect(routeOf(unhex(bytes))).toBeUndefined();
  });

  test('is no proof: a frame of another channel does not open', () => {
    expect(
      openMac0(createEnvelopeKey(PAIR_KEY, { ...route, channel: 'c' }, DEFAULT_MACHINE), frame),
    ).toBeUndefined();
  });
});

describe('text', () => {
  test.each([
    ['', 0],
    ['abc', 3],
    ['ä', 2],
    ['€', 3],
    ['😀', 4],
    ['\ud83d', -1],
    ['\ude00', -1],
    ['\ude00\ud83d', -1],
    ['a\ufeff', 4],
    ['\ufeffa', -1],
  ])('%j has %i bytes', (text, bytes) => {
    expect(utf8Length(text)).toBe(bytes);
  });

  test.each([
    ['abc', 3, 'abc'],
    ['abc', 2, 'ab'],
    ['aä', 2, 'a'],
    ['😀😀', 7, '😀'],
    ['a\ud83db', 9, 'a?b'],
    ['\ufeffa', 9, '?a'],
    ['abc', 0, ''],
  ])('%j clipped to %i bytes is %j', (text, bytesMax, clipped) => {
    expect(clipText(text, bytesMax)).toBe(clipped);
  });
});

describe('sequence numbers', () => {
  test('rise from 1 and end at 2^32 - 1', () => {
    const counter = new SendCounter();
    expect(counter.peek()).toBe(1);
    const last = new SendCounter(0xffff_ffff);
    expect([last.peek(), last.isEnding]).toEqual([0xffff_ffff, true]);
    last.take();
    expect(last.peek()).toBeUndefined();
  });

  test('number 0 is never taken', () => {
    expect(new ReplayWindow().accept(0)).toBe(false);
  });

  test('the window agrees with a plain set, for numbers in any order', () => {
    const window = new ReplayWindow();
    const seen = new Set<number>();
    let [highest, state, disagreements] = [0, 12345, 0];
    for (let round = 0; round < 50_000; round++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const seq = Math.max(1, highest + ((state >>> 16) % 140) - ((state >>> 9) % 8 === 0 ? 10 : 100));
      const expected = !seen.has(seq) && highest - seq < 64;
      if (window.accept(seq) !== expected) disagreements++;
      seen.add(seq);
      highest = Math.max(highest, seq);
    }
    expect(disagreements).toBe(0);
  });
});

describe('digest of a bundle', () => {
  const digest = hex(bundleDigest(SAMPLE_BUNDLE));

  /** Rebuilds an object with the keys of every object in reverse order. */
  function reversed(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(reversed);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .map(([key, one]) => [key, reversed(one)])
        .reverse(),
    );
  }

  /** Returns a definition with one leaf changed, for every leaf. */
  function variants(value: unknown): unknown[] {
    if (typeof value === 'number') return [value === 388 ? 389 : value + 4096];
    if (typeof value === 'string') return value in OTHERS ? [OTHERS[value]] : [`${value}x`];
    const list = Object.entries(value as object).filter(([key]) => key !== 'device' && key !== 'kind');
    return list.flatMap(([key, one]) =>
      variants(one).map((changed) => {
        const copy = structuredClone(value) as Record<string, unknown>;
        copy[key] = changed;
        return copy;
      }),
    );
  }

  const OTHERS: Record<string, unknown> = {
    hypervisor: 'owner',
    level: 'edge',
    driver: 'reset',
    reset: 'driver',
    'touch.mmio0': 'touch.mmio1',
    'touch.interrupt0': 'touch.interrupt1',
    'panel.stream0': 'panel.stream1',
  };

  test('does not depend on the order of keys', () => {
    expect(hex(bundleDigest(reversed(SAMPLE_BUNDLE) as BundleDefinition))).toBe(digest);
  });

  test('is another for every single change', () => {
    const changed = variants(SAMPLE_BUNDLE).flatMap((variant) => {
      const bundle = variant as { devices: { id: string; resources: object[] }[] };
      // A renamed device renames the device of its resources, else the definition contradicts itself.
      for (const device of bundle.devices)
        for (const one of device.resources) Object.assign(one, { device: device.id });
      return [hex(bundleDigest(bundle as unknown as BundleDefinition))];
    });
    expect(changed.length).toBeGreaterThan(20);
    expect(new Set([digest, ...changed]).size).toBe(changed.length + 1);
  });

  test('depends on the order of devices', () => {
    const swapped = { ...SAMPLE_BUNDLE, devices: [...SAMPLE_BUNDLE.devices].reverse() };
    expect(hex(bundleDigest(swapped))).not.toBe(digest);
  });

  test.each([
    ['an address that is not aligned', { physical: 0xa9_0010 }],
    ['an address above 2^44', { physical: 2 ** 44 }],
    ['a resource of another device', { device: 'panel' }],
    ['a name that is none', { id: 'Touch' }],
  ])('%s is refused with the field named', (_what, change) => {
    const bundle = structuredClone(SAMPLE_BUNDLE) as unknown as { devices: { resources: object[] }[] };
    Object.assign(bundle.devices[0]!.resources[0]!, change);
    expect(() => bundleDigest(bundle as unknown as BundleDefinition)).toThrow(RangeError);
  });
});
