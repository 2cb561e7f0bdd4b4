/**
 * Explicit-state search over the real tables and the real remap procedure: two VMs, one bundle, a network that
 * loses, repeats and reorders, timers that fire when they like, and crashes of every party.
 *
 * Checked in every state: S1 and S3 (at every grant), S2 (at every resume), S4 and S5 (at every step of the host),
 * S7 (in every stable state), M5 (at every release of memory), and L1: from every state, once faults stop, a fair
 * schedule comes to rest. State counts are pinned: a change that moves one was meant to, or is a defect.
 */
import { describe, expect, it } from 'vitest';
import { BORROWER_TABLE, type BorrowerInput, HOST_TABLE, OWNER_TABLE } from '../../src/protocol/index.ts';
import { resumeEarly, skipEpochCheck } from '../../src/simulation/lies.ts';
import { explore, type Situation } from './explore.ts';
import { B, O, SETTINGS, type Settings, USUAL } from './settings.ts';
import { settled } from './transitions.ts';
import { type Budget, initialWorld, seen, TABLES, type World } from './world.ts';

const NONE: Budget = {
  borrow: 0,
  giveBack: 0,
  recall: 0,
  lose: 0,
  duplicate: 0,
  fire: 0,
  crashAgent: 0,
  crashHost: 0,
  exit: 0,
  failCall: 0,
  hookFail: 0,
  lift: 0,
};

const heldBy = (world: World, vm: string) => world.host?.name === 'held' && world.host.holder?.vm === vm;
const attempting = (world: World, cause: string) => world.host?.attempt?.cause === cause;

/** Situations that must occur somewhere, or the search proves nothing. */
const SITUATIONS: readonly Situation[] = [
  [
    'the borrower holds and its driver works',
    (w) => heldBy(w, B) && w.b.driverActive && w.b.state?.name === 'held',
  ],
  [
    'the owner holds again after a loan',
    (w) => heldBy(w, O) && w.host!.holder!.epoch > 2 && w.o.state?.name === 'held',
  ],
  [
    'both drivers are suspended while the bundle moves',
    (w) => w.host?.name === 'moving' && !w.o.driverActive && !w.b.driverActive,
  ],
  ['the old holder still reaches something by a cache', (w) => w.machine.some((r) => r.stale !== undefined)],
  ['some resources are granted, others not yet', (w) => new Set(w.machine.map((r) => r.now)).size > 1],
  ['a lend was rolled back', (w) => attempting(w, 'rollback')],
  ['a grant failed and the bundle goes forward to the owner', (w) => attempting(w, 'forwardBack')],
  ['a lease was ended by force', (w) => attempting(w, 'expiry') && w.host!.attempt!.forced],
  [
    'a borrower did not confirm in time',
    (w) => w.host?.holder?.ending?.cause === 'noConfirm' || attempting(w, 'noConfirm'),
  ],
  ['the bundle is parked for the guard time', (w) => w.host?.name === 'parked' && w.host.guard],
  ['the bundle is in quarantine, isolation unproved', (w) => w.host?.quarantine?.isolated === false],
  ['the bundle is in quarantine, isolated', (w) => w.host?.quarantine?.isolated === true],
  ['the borrower VM ended while it held', (w) => attempting(w, 'exit') && w.host!.attempt!.from?.vm === B],
  ['the owner VM ended while the bundle was lent', (w) => heldBy(w, B) && !w.running.includes(O)],
  [
    'the host restarted in the middle of a remap',
    (w) => w.host?.name === 'starting' && w.machine.some((r) => r.now === undefined),
  ],
  ['the host died while a borrower held', (w) => w.host === undefined && w.disk.holder?.vm === B],
  [
    'a reservation lapsed while the owner was suspending',
    (w) => w.o.state?.name === 'suspending' && w.o.state.dropped !== undefined,
  ],
  ['a grant that nobody wants any more', (w) => heldBy(w, B) && w.b.state?.name === 'releasing'],
  ['a resume was overtaken', (w) => w.b.state?.name === 'resuming' && w.b.state.overtaken],
  ['an agent restarted while it held', (w) => heldBy(w, B) && w.b.state?.name === 'unknown'],
  [
    'an owner gave up on a silent host',
    (w) => w.o.state?.name === 'held' && w.host?.reservation !== undefined,
  ],
];

/**
 * Budgets, with the number of states that each search must find, and what is unusual about its world. `cold`: from the
 * first start of both agents.
 */
const SEARCHES: readonly (readonly [string, 'cold' | 'warm', Partial<Budget>, number, Partial<Settings>?])[] =
  [
    ['a loan and its return', 'cold', { borrow: 1, giveBack: 1 }, 28_583],
    ['timers', 'cold', { borrow: 1, fire: 1 }, 20_719],
    ['repeated messages', 'cold', { borrow: 1, duplicate: 1 }, 9_149],
    ['forced returns', 'warm', { borrow: 1, fire: 2 }, 104_810],
    ['recalls', 'warm', { borrow: 1, recall: 1, fire: 1 }, 10_044],
    ['a second loan', 'warm', { borrow: 2, fire: 1 }, 124_245],
    ['lost messages', 'warm', { borrow: 1, lose: 1, fire: 1 }, 8_727],
    ['agents that die', 'warm', { borrow: 1, giveBack: 1, crashAgent: 1 }, 53_549],
    ['a host that dies', 'warm', { borrow: 1, crashHost: 2 }, 96_134],
    ['a host whose records are lost', 'warm', { borrow: 1, crashHost: 1 }, 22_667, { losesUnsynced: true }],
    ['VMs that exit', 'cold', { borrow: 1, exit: 1 }, 11_611],
    ['calls that fail', 'warm', { borrow: 1, giveBack: 1, failCall: 1 }, 45_342],
    ['two lost messages', 'warm', { borrow: 1, lose: 2, fire: 1 }, 11_602],
    ['a back end that cannot force', 'warm', { borrow: 1, fire: 2 }, 102_942, { forceRevoke: false }],
    ['a minimum tenure', 'warm', { borrow: 1, recall: 1, fire: 1 }, 9_941, { minTenureMs: 10 }],
    [
      'requests that are withdrawn',
      'warm',
      { borrow: 2, giveBack: 1 },
      56_442,
      { ownTerms: true, netMax: 3 },
    ],
    ['a borrower that rejects', 'warm', { borrow: 1, lose: 1, fire: 1, lift: 1 }, 78_269, { stranger: 'b' }],
    ['an owner that rejects', 'warm', { borrow: 1, giveBack: 1, lose: 1 }, 35_740, { stranger: 'o' }],
    ['a lift', 'warm', { borrow: 1, giveBack: 1, lift: 1 }, 151_386, { stranger: 'o' }],
    ['hooks that fail', 'warm', { borrow: 1, giveBack: 1, hookFail: 2 }, 23_224],
  ];

const STATES_MAX = 300_000;
const reached = new Map<string, number>();

describe('every schedule of', () => {
  it.each(SEARCHES.map((search) => ({ name: search[0], search })))(
    '$name',
    ({ search: [name, start, budget, states, settings] }) => {
      SETTINGS.present = { ...USUAL, ...settings, stranger: undefined };
      const cold = initialWorld({ ...NONE, ...budget });
      const world = start === 'cold' ? cold : settled({ ...cold, budget: NONE }, cold.budget);
      SETTINGS.present = { ...USUAL, ...settings };
      const found = explore(world, SITUATIONS, STATES_MAX);
      SETTINGS.present = USUAL;
      console.log(`${name}: ${found.states} states, ${found.transitions} transitions`);
      for (const [situation, count] of found.sometimes)
        reached.set(situation, (reached.get(situation) ?? 0) + count);
      expect(found.violation).toBeUndefined();
      expect(found.states).toBe(states);
    },
    120_000,
  );
});

describe('the searches together', () => {
  it('reach every named situation', () => {
    const table = [...reached].map(([situation, count]) => `${String(count).padStart(8)}  ${situation}`);
    console.log(table.join('\n'));
    expect([...reached].filter(([, count]) => count === 0).map(([situation]) => situation)).toEqual([]);
    expect(reached.size).toBeGreaterThanOrEqual(12);
  });

  it('fire most transition rows; the others are listed', () => {
    const rows = [
      ...OWNER_TABLE.rows.filter((row) => row.act).map((row) => `o:${row.name}`),
      ...BORROWER_TABLE.rows.filter((row) => row.act).map((row) => `b:${row.name}`),
      ...HOST_TABLE.rows.filter((row) => row.act).map((row) => `h:${row.name}`),
    ];
    expect(rows.filter((row) => !seen.has(row)).sort()).toMatchSnapshot();
  });
});

/** A host that writes nothing down. */
function forgetful(table: typeof HOST_TABLE): typeof HOST_TABLE {
  return {
    ...table,
    run: (state, input, config) => {
      const step = table.run(state, input, config);
      return { ...step, effects: step.effects.filter((effect) => effect.do !== 'persist') };
    },
  };
}

/** A table without one of its timers. */
function timeless<T extends typeof HOST_TABLE | typeof BORROWER_TABLE | typeof OWNER_TABLE>(
  table: T,
  timer: string,
): T {
  return {
    ...table,
    run: (state: never, input: never, config: never) => {
      const step = table.run(state, input, config);
      return {
        ...step,
        effects: (step.effects as readonly { timer?: string }[]).filter((effect) => effect.timer !== timer),
      };
    },
  } as T;
}

/** A borrower that takes any answer for one to its own request. */
function credulous(table: typeof BORROWER_TABLE): typeof BORROWER_TABLE {
  return {
    ...table,
    run: (state, input, config) => {
      if (!('message' in input)) return table.run(state, input, config);
      const message = { ...input.message, mark: state.mark };
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
      return { ...step, effects: [{ do: 'acknowledgeExit', vm: input.vm }, ...step.effects] };
    },
  };
}

describe('a broken protocol is found out:', () => {
  const CONTROLS: readonly (readonly [
    string,
    Partial<typeof TABLES>,
    Partial<Budget>,
    RegExp,
    Partial<Settings>?,
  ])[] = [
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
    [
      'a host that writes nothing down',
      { host: forgetful(HOST_TABLE) },
      { borrow: 1, crashHost: 1 },
      /S\d|L1/,
    ],
    [
      'a lease that nobody keeps the time of',
      { host: timeless(HOST_TABLE, 'lease'), borrower: timeless(BORROWER_TABLE, 'lease') },
      { borrow: 1 },
      /L1/,
    ],
    [
      'an owner that is told once, and never asks',
      { owner: timeless(OWNER_TABLE, 'query') },
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
      const right = { ...TABLES };
      try {
        const cold = initialWorld({ ...NONE, ...budget });
        const warm = settled({ ...cold, budget: NONE }, cold.budget);
        Object.assign(TABLES, broken);
        SETTINGS.present = { ...USUAL, ...settings };
        const { violation } = explore(warm, [], STATES_MAX);
        expect(violation?.error).toMatch(words);
      } finally {
        Object.assign(TABLES, right);
        SETTINGS.present = USUAL;
      }
    },
    60_000,
  );
});
