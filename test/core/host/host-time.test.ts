/** Timestamp tokens of the host: of which boot they are, and how old. */

import { expect, it } from 'vitest';
import { HostTimes, makeHostTime, readHostTime } from '../../../src/core/host/host-time.ts';

const ONE = Uint8Array.from({ length: 16 }, (_, index) => index + 1);
const TWO = Uint8Array.from({ length: 16 }, (_, index) => index + 2);
/** More milliseconds than 32 bits hold. */
const LATE_MS = 2 ** 32 + 5_000;

it.each([0, 7, 5_000, LATE_MS])('a timestamp token of %i ms is as old as the time that went by', (atMs) => {
  expect(readHostTime(ONE, atMs, makeHostTime(ONE, atMs))).toEqual({ sameBoot: true, ageMs: 0 });
  expect(readHostTime(ONE, atMs + 250, makeHostTime(ONE, atMs))).toEqual({ sameBoot: true, ageMs: 250 });
});

it('one of another boot is told from ours', () => {
  expect(readHostTime(ONE, 10, makeHostTime(TWO, 10)).sameBoot).toBe(false);
});

it('one from the future has a negative age', () => {
  expect(readHostTime(ONE, 10, makeHostTime(ONE, 40)).ageMs).toBe(-30);
});

it('those of one millisecond are the same, those of the next are not', () => {
  const hostTimes = new HostTimes(ONE);
  expect(hostTimes.at(3.2)).toBe(hostTimes.at(3.9));
  expect(hostTimes.at(4)).not.toEqual(hostTimes.at(3));
});
