/**
 * The scenarios that agents on every engine play as processes: what happens in each, step by step. transcripts/ has
 * what comes of it.
 */

import { ANDROID, VAULT } from '../../targets/lab/machine/board.ts';
import { BACK, LENT, type Stage } from './stage.ts';

/** A title, and what is done. */
export interface Scenario {
  readonly title: string;
  play(stage: Stage): Promise<void>;
}

const lend = (stage: Stage, terms = {}) =>
  stage.step(`a program asks for it${wordsOfTerms(terms)}`, LENT, () => stage.ask(terms));
const giveBack = (stage: Stage) => stage.step('the program gives it back', BACK, () => stage.giveBack());

/** By the name of its transcript. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'lend-and-return': {
    title: 'A program asks, holds it, and gives it back; twice.',
    play: async (stage) => {
      for (let round = 0; round < 2; round++) {
        await lend(stage);
        await giveBack(stage);
      }
    },
  },
  'declined-by-policy': {
    title: 'The owner’s policy declines a purpose, and a lease: nothing moves.',
    play: async (stage) => {
      for (const terms of [{ purpose: 'browse' }, { leaseMs: 60_001 }]) {
        await stage.step(`a program asks for it${wordsOfTerms(terms)}`, BACK, async () => {
          await stage.ask(terms);
          await stage.hears('declined');
        });
      }
    },
  },
  'lease-runs-out': {
    title:
      'A lease ends. The program gives back in time; its driver takes a while, in which the agent answers.',
    play: async (stage) => {
      stage.shut(VAULT);
      await stage.step(
        'a program asks for it, leaseMs 1500, noticeMs 5000; it is told when the lease is over',
        LENT,
        async () => {
          await stage.ask({ leaseMs: 1_500, noticeMs: 5_000 });
          await stage.hears('recalled');
        },
      );
      await stage.step(
        'it gives back; the driver takes its time',
        { ...LENT, vault: 'suspending' },
        () => void stage.giveBack(),
      );
      await stage.step('the driver is suspended', BACK, async () => {
        stage.open(VAULT);
        await stage.hears('return');
      });
    },
  },
  'lease-runs-out-without-notice': {
    title: 'A lease without a notice ends: the agent gives back at once, whatever its program does.',
    play: async (stage) => {
      await stage.step('a program asks for it, leaseMs 1500, noticeMs 0', BACK, async () => {
        await stage.ask({ leaseMs: 1_500, noticeMs: 0 });
        await stage.hears('returned');
      });
    },
  },
  'lease-renewed': {
    title: 'A program extends its lease in place; what is beyond the owner’s policy is declined.',
    play: async (stage) => {
      await lend(stage);
      for (const leaseMs of [30_000, 60_001])
        await stage.step(`the program renews it, leaseMs ${leaseMs}`, LENT, () => stage.renew(leaseMs));
      await giveBack(stage);
    },
  },
  'recalled-by-owner': {
    title: 'The owner wants it back before the lease is over.',
    play: async (stage) => {
      await lend(stage);
      await stage.step('the owner recalls it within 5000 ms; the program is told', LENT, async () => {
        await stage.recall(5_000);
        await stage.hears('recalled');
      });
      await giveBack(stage);
    },
  },
  'given-up-before-the-grant': {
    title: 'The program gives up while the owner suspends its driver: the owner resumes it.',
    play: async (stage) => {
      stage.shut(ANDROID);
      await stage.step(
        'a program asks for it; the owner’s driver takes its time',
        { android: 'suspending', vault: 'pending', holder: ANDROID },
        () => stage.ask(),
      );
      await stage.step(
        'the program gives up; the owner hears of it',
        { android: 'suspending', vault: 'pending', holder: ANDROID },
        async () => {
          const heard = stage.logs(ANDROID, 'withdraw-late');
          await stage.giveBack();
          await heard;
        },
      );
      await stage.step('the owner’s driver is suspended at last', BACK, () => stage.open(ANDROID));
      // The epoch of its reservation is used up.
      await lend(stage);
      await giveBack(stage);
    },
  },
  'one-program-at-a-time': {
    title: 'Who holds asks again, and so does another program: neither is a renewal, nothing moves.',
    play: async (stage) => {
      await lend(stage);
      await stage.step('the program asks again', LENT, async () => {
        await stage.ask({ leaseMs: 20_000 });
        await stage.hears('inUse');
      });
      await stage.step('another program asks', LENT, () => stage.askAsAnother());
      await giveBack(stage);
    },
  },
  'program-ends': {
    title: 'The program that holds it ends: its connection was the lease.',
    play: async (stage) => {
      await lend(stage);
      await stage.step('the program ends', BACK, () => stage.leave());
    },
  },
  'borrower-killed': {
    title: 'The borrower’s agent is killed while it holds. Its next run, on the owner’s engine, gives back.',
    play: async (stage) => {
      await lend(stage);
      await stage.step('kill -9 of the borrower’s agent', { android: 'lent', holder: VAULT }, () =>
        stage.kill(VAULT),
      );
      await stage.step('its next run', BACK, () => stage.startAgain(VAULT, ANDROID));
      await lend(stage);
      await giveBack(stage);
      await stage.restore(VAULT);
    },
  },
  'owner-killed': {
    title:
      'The owner’s agent is killed while it lends. Its next run, on the borrower’s engine, gets it back.',
    play: async (stage) => {
      await lend(stage);
      await stage.step('kill -9 of the owner’s agent', { vault: 'held', holder: VAULT }, () =>
        stage.kill(ANDROID),
      );
      await stage.step('its next run', LENT, () => stage.startAgain(ANDROID, VAULT));
      await giveBack(stage);
      await stage.restore(ANDROID);
    },
  },
  'one-agent-at-a-time': {
    title: 'A second agent over the same state folder, on either engine, ends at once.',
    play: async (stage) => {
      for (const vm of [ANDROID, VAULT])
        await stage.step(`a second agent of ${VAULT}, on the engine of ${vm}`, BACK, () =>
          stage.twin(VAULT, vm),
        );
    },
  },
};

function wordsOfTerms(terms: Readonly<Record<string, unknown>>): string {
  return Object.entries(terms)
    .map(([name, value]) => `, ${name} ${value}`)
    .join('');
}
