import { expect, it } from 'vitest';
import { type Fingerprint, FingerprintSet, fingerprintOf } from './fingerprints.ts';

const of = (...numbers: number[]): Fingerprint => fingerprintOf(Int32Array.from(numbers), numbers.length);

it('a set has what was added, once, through every growth', () => {
  const set = new FingerprintSet();
  for (let round = 0; round < 2; round++)
    for (let i = 0; i < 50_000; i++) expect(set.add(of(i % 100, i)), `${i}`).toBe(round === 0);
  expect(set.size).toBe(50_000);
  expect(set.has(of(7, 107))).toBe(true);
  expect(set.has(of(7, 108))).toBe(false);
});

it('numbers that lie close to each other, in any place, have different fingerprints, in each half', () => {
  const halves = [new Set<number>(), new Set<number>()];
  let count = 0;
  for (let a = 0; a < 40; a++)
    for (let b = 0; b < 40; b++)
      for (let c = 0; c < 40; c++) {
        const { high, low } = of(a, b, 0, c);
        halves[0]!.add(high);
        halves[1]!.add(low);
        count += 1;
      }
  // Of 64,000 values of 32 bits, 0.5 pairs are expected to agree by chance.
  for (const half of halves) expect(half.size).toBeGreaterThan(count - 8);
});

it('a list is not that with a zero behind it, nor in another order', () => {
  const all = [of(), of(0), of(0, 0), of(1, 2), of(2, 1), of(1, 2, 0)].map(
    ({ high, low }) => `${high} ${low}`,
  );
  expect(new Set(all).size).toBe(all.length);
});
