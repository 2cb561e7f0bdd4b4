/**
 * Runs of the whole product: at least BATON_SIMULATED handovers, every fault in every phase, no finding. Two test files
 * play half of them each, at the same time. BATON_SEED: the round of all
 * cells with which they begin.
 */

import { expect, it } from 'vitest';
import { paced } from '../../support/pace.ts';
import { CELLS, campaign, emptyCells, emptyReport, failureText, tableText } from './campaign.ts';

/** Handovers of both halves together, and of them the least share that its new holder has confirmed. */
const HANDOVERS = Number(process.env['BATON_SIMULATED'] ?? 20_000);
const CONFIRMED_SHARE = 0.3;
/** A cell that is empty after all runs is played for again, so many times. */
const AGAIN_MAX = 20;
/** Rounds of all cells that the runs before do not come to. */
const AGAIN_FROM = 1_000_000;
/** Longest time of a run, in ms, on a quiet machine: ten times what it takes. */
const RUN_MS = 2_000;
/** Handovers that a run has at least, on average. */
const RUN_HANDOVERS = 20;

/** Plays half of the runs: every other seed, and so every other cell. */
export function runHalf(half: 0 | 1): void {
  const first = Number(process.env['BATON_SEED'] ?? 0) * CELLS;
  const limitMs = paced((HANDOVERS / RUN_HANDOVERS) * RUN_MS);
  it(
    `half ${half}: no property breaks, and every fault meets every phase`,
    async () => {
      console.log(`seeds from ${first + half}, every other one`);
      const report = emptyReport();
      const mine = () => emptyCells(report).filter((cell) => cell % 2 === half);
      const isEnough = () => report.runs >= CELLS / 2 && report.begun >= HANDOVERS / 2;
      await campaign(report, everyOther(first + half), isEnough);
      for (let again = 1; again <= AGAIN_MAX && !report.failure && mine().length > 0; again++) {
        const seeds = mine().map((cell) => cell + first + CELLS * AGAIN_FROM * again);
        await campaign(report, seeds);
      }
      const { runs, begun, confirmed, failure } = report;
      console.log(`${runs} runs, ${begun} handovers, ${confirmed} confirmed`);
      console.log(tableText(report));
      if (failure) expect.fail(await failureText(failure));
      expect(mine()).toEqual([]);
      expect(begun).toBeGreaterThanOrEqual(HANDOVERS / 2);
      expect(confirmed / begun).toBeGreaterThan(CONFIRMED_SHARE);
    },
    limitMs,
  );
}

function* everyOther(first: number): Iterable<number> {
  for (let seed = first; ; seed += 2) yield seed;
}
