/** Runs of the whole product with a safeguard switched off: the judges must find each, or runs would prove nothing. */

import { describe, expect, it } from 'vitest';
import { BORROWER_TABLE } from '../../../src/core/agent/borrower.ts';
import { resumeEarly } from '../../../targets/lab/sabotage/sabotage.ts';
import { paced } from '../../support/pace.ts';
import { play, storyOf } from './story.ts';
import type { Controls } from './world.ts';

/** Runs in which a control must be found. */
const RUNS = 40;

const CONTROLS: readonly (readonly [string, Controls, RegExp])[] = [
  ['pages stay mapped', { sabotages: ['skip-unmap'] }, /^(S1|S3|S7)/],
  ['nothing is synced', { sabotages: ['skip-sync'] }, /^(S1|S3|S6|S7)/],
  ['devices are not reset', { sabotages: ['skip-reset'] }, /^S6/],
  ['the TLB of the SMMU is not invalidated', { sabotages: ['smmu-tlbi'] }, /^(S1|S3|S7|M5)/],
  ['a borrower resumes early', { borrowerTable: resumeEarly(BORROWER_TABLE) }, /^S2/],
];

describe('runs find that', () => {
  it.each(CONTROLS.map(([name, controls, words]) => ({ name, controls, words })))(
    '$name',
    async ({ controls, words }) => {
      let found: string | undefined;
      for (let seed = 1; seed <= RUNS && found === undefined; seed++) {
        const { findings } = await play(storyOf(seed), false, controls);
        found = findings.map(({ property, text }) => `${property}: ${text}`).find((each) => words.test(each));
      }
      expect(found, `in ${RUNS} runs`).toBeDefined();
    },
    paced(60_000),
  );
});
