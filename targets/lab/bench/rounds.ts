/**
 * Product and relays take turns round by round on one medium and one engine, so that what else the machine does hits
 * all.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Fleet, type Medium } from './fleet.ts';
import { KINDS, type Kind, type Mark } from './party.ts';
import type { Report } from './report.ts';
import type { Script } from './script.ts';
import { median } from './statistics.ts';

/** Rest after half a round, in ms: confirmations arrive, and what nobody waits for is written. */
const REST_MS = 2;

/** What is measured of a round, between which moments. */
export const SPANS = {
  /** From the borrower's request to its notice that it has the bundle. */
  handover: ['asked', 'granted'],
  blackout: ['suspended', 'resumed'],
  'give-back': ['returning', 'ownerResumed'],
} as const satisfies Readonly<Record<string, readonly [Mark, Mark]>>;
export type Span = keyof typeof SPANS;

/** What is played, and how often. */
export interface Rounds {
  readonly medium: Medium;
  /** Words that start a party on the engine of owner and borrower. */
  readonly engine: readonly string[];
  readonly script: Script;
  /** Rounds before the first that counts, and those that count. */
  readonly warmUp: number;
  readonly counted: number;
}

/** Medians of one kind, in ms. */
export type SpanMedians = Readonly<Record<Span, number>>;

/** Plays them; resolves with the medians of product and relays. */
export async function playRounds(rounds: Rounds): Promise<Readonly<Record<Kind, SpanMedians>>> {
  const { medium, engine, script, warmUp, counted } = rounds;
  const folder = mkdtempSync(join(tmpdir(), 'baton-bench-'));
  const fleets = KINDS.map((kind) => ({ kind, fleet: new Fleet() }));
  try {
    for (const { kind, fleet } of fleets)
      await fleet.start({ kind, medium, engine, folder: join(folder, kind), script });
    for (let round = 0; round < warmUp + counted; round++) {
      // Nobody is always the one after the pause, or always the one after a certain other.
      const first = round % fleets.length;
      for (const { fleet } of [...fleets.slice(first), ...fleets.slice(0, first)]) await fleet.round(REST_MS);
    }
    const medians = {} as Record<Kind, SpanMedians>;
    for (const { kind, fleet } of fleets) medians[kind] = await mediansOf(fleet, warmUp);
    return medians;
  } finally {
    for (const { fleet } of fleets) fleet.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function mediansOf(fleet: Fleet, since: number): Promise<SpanMedians> {
  const medians = {} as Record<Span, number>;
  for (const [span, [from, to]] of Object.entries(SPANS)) {
    const starts = await fleet.moments(from, since);
    const ends = await fleet.moments(to, since);
    medians[span as Span] = median(ends.map((end, round) => end - starts[round]!));
  }
  return medians;
}

/** Adds the product's spans against each relay. `ratioMax`: what a handover may cost, by relay. */
export function addSpans(
  report: Report,
  which: string,
  medians: Readonly<Record<Kind, SpanMedians>>,
  ratioMax: Partial<Record<Kind, number>>,
): void {
  for (const bench of Object.keys(SPANS) as Span[]) {
    for (const kind of KINDS) {
      if (kind === 'product') continue;
      const baseline = { name: `${kind} relay`, value: medians[kind][bench] };
      const row = { bench, case: which, value: medians.product[bench], unit: 'ms', baseline };
      report.compare(row, bench === 'handover' ? ratioMax[kind] : undefined);
    }
  }
}
