/** What must not grow: memory with the handovers done, and the cost of one with bundles and history. */

import { fork } from 'node:child_process';
import type { BundleDefinition, BundleId } from '../../src/protocol/index.ts';
import { PANEL } from '../../src/simulation/machine/board.ts';
import { MemoryWorld } from './memory-world.ts';
import type { Report } from './report.ts';
import { median, type Slope, slopeOf } from './statistics.ts';

/** Handovers whose memory is watched, each with its way back. */
const SLOPE_ROUNDS = 10_000;
const SLOPE_ROUNDS_FULL = 100_000;
/** Looks at the heap, evenly spread. */
const SLOPE_LOOKS = 100;
/** Rounds before the first look: code is compiled, lists of last events are full, journals compact. */
const SLOPE_WARM_UP_ROUNDS = 10_000;

/** What the process that is watched is told, and says. */
interface SlopeSaying extends Slope {
  readonly meanBytes: number;
}

/** Memory over many handovers, in a process of its own that may collect garbage when told. */
export function benchMemorySlope(report: Report, isFull: boolean): Promise<void> {
  const rounds = isFull ? SLOPE_ROUNDS_FULL : SLOPE_ROUNDS;
  const child = fork(process.argv[1]!, ['--slope', String(rounds)], { execArgv: ['--expose-gc'] });
  return new Promise((resolve, reject) => {
    child.once('exit', (status) => reject(new Error(`the process that was watched ended with ${status}`)));
    child.once('message', ({ slope, halfWidth, meanBytes }: SlopeSaying) => {
      child.removeAllListeners('exit');
      child.disconnect();
      const which = `over ${rounds} handovers`;
      const bar = { text: '0 within its 95 % interval', holds: Math.abs(slope) <= halfWidth };
      report.add({ bench: 'memory-slope', case: which, value: slope, unit: 'bytes a handover', bar });
      report.add({
        bench: 'memory-slope',
        case: 'half of the interval',
        value: halfWidth,
        unit: 'bytes a handover',
      });
      report.add({ bench: 'memory-slope', case: 'heap in use', value: meanBytes / 1024, unit: 'KiB' });
      resolve();
    });
  });
}

/** The process that is watched: host, owner and borrower in one. */
export function runSlope(rounds: number): void {
  const collect = (globalThis as { gc?: () => void }).gc;
  if (!collect) throw new Error('started without --expose-gc');
  const world = new MemoryWorld();
  for (let round = 0; round < SLOPE_WARM_UP_ROUNDS; round++) world.round();
  const [done, used] = [[] as number[], [] as number[]];
  const each = rounds / SLOPE_LOOKS;
  for (let look = 1; look <= SLOPE_LOOKS; look++) {
    for (let round = 0; round < each; round++) world.round();
    // Once more for what the first collection has let go of.
    collect();
    collect();
    done.push(look * each);
    used.push(process.memoryUsage().heapUsed);
  }
  process.send?.({
    ...slopeOf(done, used),
    meanBytes: used.reduce((sum, bytes) => sum + bytes, 0) / used.length,
  });
}

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
