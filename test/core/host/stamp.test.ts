/** Stamps of the host: of which boot they are, and how old. */

import { expect, it } from 'vitest';
import { makeStamp, readStamp, Stamper } from '../../../src/core/host/stamp.ts';

const ONE = Uint8Array.from({ length: 16 }, (_, index) => index + 1);
const TWO = Uint8Array.from({ length: 16 }, (_, index) => index + 2);
/** More milliseconds than 32 bits hold. */
const LATE_MS = 2 ** 32 + 5_000;

it.each([0, 7, 5_000, LATE_MS])('a stamp of %i ms is as old as the time that went by', (atMs) => {
  expect(readStamp(ONE, atMs, makeStamp(ONE, atMs))).toEqual({ sameBoot: true, ageMs: 0 });
  expect(readStamp(ONE, atMs + 250, makeStamp(ONE, atMs))).toEqual({ sameBoot: true, ageMs: 250 });
});

it('one of another boot is told from ours', () => {
  expect(readStamp(ONE, 10, makeStamp(TWO, 10)).sameBoot).toBe(false);
});

it('one from the future has a negative age', () => {
  expect(readStamp(ONE, 10, makeStamp(ONE, 40)).ageMs).toBe(-30);
});

it('those of one millisecond are the same, those of the next are not', () => {
  const stamper = new Stamper(ONE);
  expect(stamper.at(3.2)).toBe(stamper.at(3.9));
  expect(stamper.at(4)).not.toEqual(stamper.at(3));
});
