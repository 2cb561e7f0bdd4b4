/** Limits of tests that start programs. */

import { afterEach, expect, test, vi } from 'vitest';
import { paced } from '../support/pace.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

test.each([
  ['1', 8_000, 8_000],
  ['3.5', 8_000, 28_000],
  ['12', 8_000, 50_000],
  // Longer ones are of work, which takes its time on a slow machine.
  ['12', 100_000, 1_200_000],
])('at pace %s a limit of %i ms is %i ms', (pace, ms, stretched) => {
  vi.stubEnv('BATON_PACE', pace);
  expect(paced(ms)).toBe(stretched);
});
