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
  // One that is longer than what a hang may take as it is stays so.
  ['12', 100_000, 100_000],
])('at pace %s a limit of %i ms is %i ms', (pace, ms, stretched) => {
  vi.stubEnv('BATON_PACE', pace);
  expect(paced(ms)).toBe(stretched);
});
