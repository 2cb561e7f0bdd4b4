/** Broken protocols, which the search must find out: without this it would prove nothing. */
import { describe, expect, it } from 'vitest';
import { BORROWER_TABLE } from '../../src/core/agent/borrower.ts';
import type { BorrowerInput } from '../../src/core/agent/borrower-state.ts';
import { HOST_TABLE } from '../../src/core/host/host-table.ts';
import { incarnation as life } from '../../src/core/protocol/ids.ts';
import { resumeEarly, skipEpochCheck } from '../../targets/lab/sabotage/sabotage.ts';
import { explore } from './explore.ts';
import { STATES_MAX } from './searches.ts';
import { BROKEN, type Broken, forgetEndpoints, SETTINGS, type Settings, USUAL } from './settings.ts';
import { settled } from './transitions.ts';
import { type Budget, NONE } from './world.ts';
import { initialWorld } from './world-host.ts';

/** A borrower that takes any answer for one to its own request. */
function credulous(table: typeof BORROWER_TABLE): typeof BORROWER_TABLE {
  return {
    ...table,
    run: (state, input, config) => {
      if (!('message' in input)) return table.run(state, input, config);
      const message = { ...input.message, requestId: state.requestId };
      return table.run(state, { ...input, message } as BorrowerInput, config);
    },
  };
}

/** A borrower that says reject once, then release. */
function forbearing(table: typeof BORROWER_TABLE): typeof BORROWER_TABLE {
  return {
    ...table,
    run: (state, input, config) => {
      const step = table.run(state, input, config);
      return { ...step, state: { ...step.state, rejected: undefined } };
    },
  };
}

/** A host that lets go of an ended VM at once. */
function hasty(table: typeof HOST_TABLE): typeof HOST_TABLE {
  return {
    ...table,
    run: (state, input, config) => {
      const step = table.run(state, input, config);
      if (input.on !== 'vmExited') return step;
      const { vm, incarnation = life(1) } = input;
      return { ...step, effects: [{ do: 'acknowledgeExit', vm, incarnation } as const, ...step.effects] };
    },
  };
}

describe('a broken protocol is found out:', () => {
  const CONTROLS: readonly (readonly [string, Broken, Partial<Budget>, RegExp, Partial<Settings>?])[] = [
    [
      'a host that takes commands of old epochs',
      { host: skipEpochCheck(HOST_TABLE) },
      { borrow: 1, giveBack: 1, duplicate: 1, fire: 1 },
      /^(S\d|L1)|Violation: (S\d|L1)/,
    ],
    [
      'a borrower that resumes early',
      { borrower: resumeEarly(BORROWER_TABLE) },
      { borrow: 1 },
      /S2|two hooks/,
    ],
    ['a host that writes nothing down', { isForgetful: true }, { borrow: 1, crashHost: 1 }, /S\d|L1/],
    [
      'a lease that nobody keeps the time of',
      { timeless: { timer: 'lease', parties: ['host', 'b'] } },
      { borrow: 1 },
      /L1/,
    ],
    [
      'an owner that is told once, and never asks',
      { timeless: { timer: 'query', parties: ['o'] } },
      { borrow: 1, fire: 2, lose: 1 },
      /L1/,
    ],
    ['a host that frees an ended VM at once', { host: hasty(HOST_TABLE) }, { borrow: 1, exit: 1 }, /M5/],
    [
      'a borrower that takes any answer for its own',
      { borrower: credulous(BORROWER_TABLE) },
      { borrow: 2, giveBack: 1 },
      /S5: b resumes/,
      { ownTerms: true },
    ],
    [
      'a borrower that rejects once, then releases',
      { borrower: forbearing(BORROWER_TABLE) },
      { borrow: 1, lose: 1, fire: 1 },
      /R86/,
      { stranger: 'b' },
    ],
    [
      'a host that starts before what the last one ordered has ended',
      {},
      { borrow: 1, crashHost: 1 },
      /S[137]/,
      { waits: false },
    ],
  ];

  it.each(CONTROLS.map((control) => ({ name: control[0], control })))(
    '$name',
    ({ control: [, broken, budget, words, settings] }) => {
      try {
        const cold = initialWorld({ ...NONE, ...budget });
        const warm = settled({ ...cold, budget: NONE }, cold.budget);
        BROKEN.present = broken;
        SETTINGS.present = { ...USUAL, ...settings };
        forgetEndpoints();
        const { violation } = explore(warm, [], STATES_MAX);
        expect(violation?.error).toMatch(words);
      } finally {
        BROKEN.present = {};
        SETTINGS.present = USUAL;
        forgetEndpoints();
      }
    },
    60_000,
  );
});
