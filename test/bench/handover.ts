/**
 * How long a handover takes, against programs that make the same crossings with the same bytes and the same records
 * made durable. Product and relays take turns round by round, so that what else the machine does hits all.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HOST } from '../../src/protocol/ids.ts';
import { Fleet, MEDIA, type Medium } from './fleet.ts';
import { MemoryWorld } from './memory-world.ts';
import { KINDS, type Kind, type Mark, type Marks } from './party.ts';
import type { Report } from './report.ts';
import { takeScript } from './script.ts';
import { median } from './statistics.ts';

/** What the design allows (section 7). */
const RATIO_MAX = 1.5;
/**
 * Rounds before the first that counts, as in a daemon that has run for a while: engines compile what is called often, and
 * the product has ten times the code of a relay. After 300 rounds its ratios are a tenth higher.
 */
const WARM_UP_ROUNDS = 3_000;
/** Rest after half a round, in ms: confirmations arrive, and what nobody waits for is written. */
const REST_MS = 2;
const ROUNDS = 500;
const ROUNDS_FULL = 3_000;
/** Rounds in one process are cheap. */
const MEMORY_ROUNDS = 2_000;

const SPANS: readonly {
  readonly bench: string;
  readonly from: Mark;
  readonly to: Mark;
  readonly hasBar: boolean;
}[] = [
  { bench: 'handover', from: 'asked', to: 'granted', hasBar: true },
  { bench: 'blackout', from: 'suspended', to: 'resumed', hasBar: false },
  { bench: 'give-back', from: 'returning', to: 'ownerResumed', hasBar: false },
];

/** Runs all media. */
export async function benchHandover(report: Report, isFull: boolean): Promise<void> {
  for (const medium of MEDIA) {
    const whyNot = Fleet.whyNot(medium);
    if (whyNot) report.skip('handover', medium, whyNot);
    else await benchMedium(report, medium, isFull ? ROUNDS_FULL : ROUNDS);
  }
  benchMemory(report);
  countCrossings(report);
}

async function benchMedium(report: Report, medium: Medium, rounds: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'baton-bench-'));
  const fleets = KINDS.map((kind) => ({ kind, fleet: new Fleet() }));
  try {
    for (const { kind, fleet } of fleets) await fleet.start(kind, medium, join(folder, kind));
    for (let round = 0; round < WARM_UP_ROUNDS + rounds; round++) {
      // Nobody is always the one after the pause, or always the one after a certain other.
      const first = round % fleets.length;
      for (const { fleet } of [...fleets.slice(first), ...fleets.slice(0, first)]) await fleet.round(REST_MS);
    }
    const marks = new Map<Kind, Marks>();
    for (const { kind, fleet } of fleets) marks.set(kind, await fleet.marks());
    for (const span of SPANS) addSpan(report, medium, span, (kind) => medianSpan(marks.get(kind)!, span));
  } finally {
    for (const { fleet } of fleets) fleet.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function medianSpan(marks: Marks, { from, to }: { from: Mark; to: Mark }): number {
  const lengths = marks[to].map((end, round) => end - marks[from][round]!);
  return median(lengths.slice(WARM_UP_ROUNDS));
}

function addSpan(
  report: Report,
  medium: Medium,
  { bench, hasBar }: { bench: string; hasBar: boolean },
  spanOf: (kind: Kind) => number,
): void {
  for (const kind of KINDS) {
    if (kind === 'product') continue;
    const baseline = { name: `${kind} relay`, value: spanOf(kind) };
    const row = { bench, case: medium, value: spanOf('product'), unit: 'ms', baseline };
    report.compare(row, hasBar ? RATIO_MAX : undefined);
  }
}

/** In one process a relay would cost nothing: the figure is the product's own work, all three parties together. */
function benchMemory(report: Report): void {
  const world = new MemoryWorld();
  const lengths = { handover: [] as number[], 'give-back': [] as number[] };
  for (let round = 0; round < WARM_UP_ROUNDS + MEMORY_ROUNDS; round++) {
    const asked = performance.now();
    world.lend();
    lengths.handover.push(performance.now() - asked);
    world.settle();
    const returning = performance.now();
    world.giveBack();
    lengths['give-back'].push(performance.now() - returning);
    world.settle();
  }
  for (const [bench, values] of Object.entries(lengths)) {
    report.add({ bench, case: 'memory', value: 1_000 * median(values.slice(WARM_UP_ROUNDS)), unit: 'µs' });
  }
}

/** Crossings on the way that is waited for, from the script and what one message takes (test/transport/crossings). */
function countCrossings(report: Report): void {
  const { sendings, marks, asked, returned } = takeScript();
  const numberOf = (deeds: typeof asked) =>
    deeds.flatMap((deed) => (deed.do === 'send' ? [deed.sending.number] : []));
  const ways = {
    handover: [...numberOf(asked), marks.lend, marks.granted],
    blackout: [marks.lend, marks.granted],
    'give-back': [...numberOf(returned), marks.back],
  };
  for (const medium of ['stream', 'mqtt']) {
    const cost = (number: number) => {
      const { from, to } = sendings[number]!;
      return medium === 'mqtt' || (from !== HOST && to !== HOST) ? 2 : 1;
    };
    for (const [way, numbers] of Object.entries(ways)) {
      const value = numbers.reduce((sum, number) => sum + cost(number), 0);
      report.add({ bench: 'crossings', case: `${way} ${medium}`, value, unit: 'crossings' });
    }
  }
}
