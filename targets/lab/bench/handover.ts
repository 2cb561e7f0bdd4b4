/**
 * How long a handover takes, against programs that make the same crossings with the same bytes and the same records
 * made durable. Product and relays take turns round by round, so that what else the machine does hits all.
 */

import { HOST } from '../../../src/core/protocol/ids.ts';
import { NODE } from './engines.ts';
import { Fleet, MEDIA } from './fleet.ts';
import { MemoryWorld } from './memory-world.ts';
import type { Report } from './report.ts';
import { addSpans, playRounds } from './rounds.ts';
import { takeScript } from './script.ts';
import { median } from './statistics.ts';

/** What the design allows (section 7). */
const RATIO_MAX = 1.5;
/**
 * Rounds before the first that counts, as in a daemon that has run for a while: engines compile what is called often,
 * and the product has ten times the code of a relay. After 300 rounds its ratios are a tenth higher.
 */
const WARM_UP_ROUNDS = 3_000;
const ROUNDS = 500;
const ROUNDS_FULL = 3_000;
/** Rounds in one process are cheap. */
const MEMORY_ROUNDS = 2_000;
/** What Node is to take over a UNIX stream, in ms, syncs of the machine's disk included. */
const NODE_STREAM_MS = 1;

/** Runs all media. */
export async function benchHandover(report: Report, isFull: boolean): Promise<void> {
  const script = takeScript();
  for (const medium of MEDIA) {
    const whyNot = Fleet.whyNot(medium);
    if (whyNot) {
      report.skip('handover', medium, whyNot);
      continue;
    }
    const counted = isFull ? ROUNDS_FULL : ROUNDS;
    const medians = await playRounds({ medium, engine: NODE, script, warmUp: WARM_UP_ROUNDS, counted });
    addSpans(report, medium, medians, { bare: RATIO_MAX, enveloped: RATIO_MAX });
    if (medium === 'stream-unix') {
      const value = medians.product.handover;
      report.limit({ bench: 'handover', case: `${medium} on Node`, value, unit: 'ms' }, NODE_STREAM_MS);
    }
  }
  benchMemory(report);
  countCrossings(report);
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

/** Crossings on the way that is waited for, from the script and what a message takes (edges/transport/crossings). */
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
