/**
 * Agents on two engines over one way, as processes: they play every scenario, and what comes of it is the committed
 * transcript, the same for every pair. `cells.ts` has the pairs.
 */

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { castOfPair, missingFor, PAIRS, type Pair, type WAYS } from './cells.ts';
import { SCENARIOS } from './scenarios.ts';
import { Stage } from './stage.ts';

export const TRANSCRIPTS = join(import.meta.dirname, 'transcripts');

/** Every pair of engines over a way. */
export function complianceSuite(way: (typeof WAYS)[number]): void {
  for (const pair of PAIRS) if (pair.way === way) playAll(pair);
}

function playAll(pair: Pair): void {
  const name = `owner ${pair.owner}, borrower ${pair.borrower}, ${pair.way}`;
  const missing = missingFor(pair);
  // It is counted as skipped as well, and .ci/run lets nothing be.
  if (missing !== undefined) console.warn(`not run: ${name}: ${missing}`);
  describe.skipIf(missing !== undefined).sequential(name, () => {
    let stage: Stage;
    beforeAll(async () => {
      const { cast, way } = castOfPair(pair);
      stage = new Stage(cast, way);
      await stage.start();
    }, 30_000);
    afterAll(() => stage?.stop());

    it.each(Object.entries(SCENARIOS))('%s', async (name, { title, play }) => {
      await stage.begin(title);
      await play(stage);
      await expect(`${stage.lines.join('\n')}\n`).toMatchFileSnapshot(join(TRANSCRIPTS, `${name}.txt`));
    });
  });
}
