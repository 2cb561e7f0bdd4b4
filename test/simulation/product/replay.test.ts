/** A seed plays the same run each time; BATON_SEED names one to play again, with its transcript. */

import { expect, it } from 'vitest';
import { failureText } from './campaign.ts';
import { play, storyOf } from './story.ts';

const SEED = Number(process.env['BATON_SEED'] ?? 2);

it(`seed ${SEED} plays the same run each time`, async () => {
  console.log(`seed ${SEED}`);
  const once = await play(storyOf(SEED), true);
  expect(once.begun).toBeGreaterThan(0);
  expect((await play(storyOf(SEED), true)).transcript).toEqual(once.transcript);
  if (process.env['BATON_SEED'] === undefined) return;
  console.log(once.transcript.join('\n'));
  if (once.findings.length > 0) expect.fail(await failureText(once));
});
