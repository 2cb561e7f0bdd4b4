/** What must not grow: the cost of a handover with bundles and history. */

import type { BundleDefinition } from '../../../src/core/protocol/bundle.ts';
import type { BundleId } from '../../../src/core/protocol/ids.ts';
import { PANEL } from '../machine/board.ts';
import { MemoryWorld } from './memory-world.ts';
import type { Report } from './report.ts';
import { median } from './statistics.ts';

/** Worlds that take turns, and rounds of each turn. */
const BUNDLE_COUNTS = [1, 4, 16];
const TURNS = 60;
const TURN_ROUNDS = 48;
const WARM_UP_ROUNDS = 3_000;
/** Rounds between the two times that a world with a history is looked at. */
const HISTORY_ROUNDS = 20_000;
/** Flat, within what one core of a shared machine gives. */
const RATIO_MAX = 1.2;

/** Cost of a round as bundles and history grow. */
export function benchScale(report: Report): void {
  const worlds = BUNDLE_COUNTS.map((count) => worldOf(count));
  const times = measure(worlds);
  const [one, ...more] = times as [number, ...number[]];
  const unit = 'µs a round';
  more.forEach((value, index) => {
    const name = `${BUNDLE_COUNTS[index + 1]} bundles`;
    report.compare(
      { bench: 'scale', case: name, value, unit, baseline: { name: '1 bundle', value: one } },
      RATIO_MAX,
    );
  });
  const old = worldOf(1);
  for (let round = 0; round < HISTORY_ROUNDS; round++) old.next();
  const [fresh, aged] = measure([worldOf(1), old]) as [number, number];
  const name = `after ${HISTORY_ROUNDS} handovers`;
  report.compare(
    { bench: 'scale', case: name, value: aged, unit, baseline: { name: 'fresh', value: fresh } },
    RATIO_MAX,
  );
}

interface Turning {
  /** A round of the next bundle. */
  next(): void;
}

function worldOf(count: number): Turning {
  const bundles: BundleDefinition[] = Array.from({ length: count }, (_, index) => ({
    ...PANEL,
    id: `panel${index}` as BundleId,
  }));
  const world = new MemoryWorld({ bundles });
  let turn = 0;
  const next = () => {
    world.round(bundles[turn % count]!.id);
    turn += 1;
  };
  for (let round = 0; round < WARM_UP_ROUNDS; round++) next();
  return { next };
}

/** The median time of a round in each world, in µs; the worlds take turns. */
function measure(worlds: readonly Turning[]): number[] {
  const samples = worlds.map(() => [] as number[]);
  for (let turn = 0; turn < TURNS; turn++) {
    worlds.forEach((world, index) => {
      const start = performance.now();
      for (let round = 0; round < TURN_ROUNDS; round++) world.next();
      samples[index]!.push((1_000 * (performance.now() - start)) / TURN_ROUNDS);
    });
  }
  return samples.map(median);
}
