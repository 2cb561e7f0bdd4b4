/** The machine's clock: waits that are longer than one timer of Node takes. */

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CLOCK } from '../../targets/node/system/clock.ts';

const DAY_MS = 86_400_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

test('a wait of 60 days ends after 60 days, not after the 24.8 that a timer takes', () => {
  let fired = 0;
  CLOCK.after(60 * DAY_MS, () => {
    fired += 1;
  });
  vi.advanceTimersByTime(60 * DAY_MS - 1);
  expect(fired).toBe(0);
  vi.advanceTimersByTime(1);
  expect(fired).toBe(1);
  vi.advanceTimersByTime(60 * DAY_MS);
  expect(fired).toBe(1);
});

test('it can be cancelled in any of its parts', () => {
  const cancel = CLOCK.after(60 * DAY_MS, () => {
    throw new Error('it was cancelled');
  });
  vi.advanceTimersByTime(30 * DAY_MS);
  cancel();
  vi.advanceTimersByTime(60 * DAY_MS);
  expect(vi.getTimerCount()).toBe(0);
});
