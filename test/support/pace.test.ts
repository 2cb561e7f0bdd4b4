import { expect, it } from 'vitest';
import { paced } from './pace.ts';

it.each([
  ['a quiet machine', 20_000, 1, 20_000],
  ['a slow one', 10_000, 2.5, 25_000],
  ['one so slow that a hang would last', 20_000, 12, 50_000],
  ['work, on a slow one', 60_000, 12, 720_000],
  ['work, for as long as a run may take', 120_000, 12, 900_000],
])('limits follow the pace: %s', (_name, ms, pace, limitMs) => {
  expect(paced(ms, pace)).toBe(limitMs);
});
