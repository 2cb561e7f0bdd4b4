/**
 * Explicit-state search over the real tables and the real remap procedure: two VMs, one bundle, a network that
 * loses, repeats and reorders, timers that fire when they like, and crashes of every party.
 *
 * Checked in every state: S1 and S3 (at every grant), S2 (at every resume), S4 and S5 (at every step of the host),
 * S7 (in every stable state), M5 (at every release of memory), and L1: from every state, once faults stop, a fair
 * schedule comes to rest. State counts are pinned: a change that moves one was meant to, or is a defect.
 *
 * Two test files do half of the searches each, at the same time, and pin what they reach; coverage.test.ts adds it up.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { paced } from '../support/pace.ts';
import { explore, type Situation } from './explore.ts';
import { B, C, O, SETTINGS, type Settings, USUAL } from './settings.ts';
import { settled } from './transitions.ts';
import { type Budget, NONE, seen, type World } from './world.ts';
import { initialWorld } from './world-host.ts';

const heldBy = (world: World, vm: string) => world.host?.name === 'held' && world.host.holder?.vm === vm;
const attempting = (world: World, cause: string) => world.host?.attempt?.cause === cause;

/** Situations that must occur somewhere, or the search proves nothing. */
export const SITUATIONS: readonly Situation[] = [
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
  ['the bundle is parked for the guard time', (w) => w.host?.name === 'parked' && w.host.isGuardTime],
  ['the bundle is in quarantine, isolation unproved', (w) => w.host?.quarantine?.isolated === false],
  ['the bundle is in quarantine, isolated', (w) => w.host?.quarantine?.isolated === true],
  ['the borrower VM ended while it held', (w) => attempting(w, 'exit') && w.host!.attempt!.from?.vm === B],
  ['the owner VM ended while the bundle was lent', (w) => heldBy(w, B) && !w.running.includes(O)],
  [
    'the host restarted in the middle of a remap',
    (w) => w.host?.name === 'starting' && w.machine.some((r) => r.now === undefined),
  ],
  ['the host died while a borrower held', (w) => w.host === undefined && w.disk.state?.holder?.vm === B],
  [
    'a reservation lapsed while the owner was suspending',
    (w) => w.o.state?.name === 'suspending' && w.o.state.dropped !== undefined,
  ],
  ['a grant that nobody wants any more', (w) => heldBy(w, B) && w.b.state?.name === 'releasing'],
  ['a resume was overtaken', (w) => w.b.state?.name === 'resuming' && w.b.state.overtaken],
  ['a lease was renewed', (w) => w.host?.holder?.lease?.renewal === 1 && w.b.state?.renewals === 1],
  [
    'the bundle is lent on, and its owner’s driver has not resumed',
    (w) => heldBy(w, O) && w.o.state?.name === 'offering' && !w.o.driverActive,
  ],
  ['a request waits while another VM holds', (w) => heldBy(w, C) && w.b.state?.name === 'queued'],
  ['an agent restarted while it held', (w) => heldBy(w, B) && w.b.state?.name === 'unknown'],
  [
    'an owner gave up on a silent host',
    (w) => w.o.state?.name === 'held' && w.host?.reservation !== undefined,
  ],
];

/** The largest searches run with BATON_SEARCHES=all alone (`.ci/scheduled`): they take as long as all others. */
const LARGEST = new Set([
  'forced returns',
  'a second loan',
  'a host that dies',
  'an enforcer that cannot force',
  'a borrower that rejects',
  'a lift',
  'a queue, and timers',
]);
const IS_WHOLE = process.env['BATON_SEARCHES'] === 'all';

/**
 * Budgets, with the number of states that each search must find, and what is unusual about its world. `cold`: from the
 * first start of both agents.
 */
const SEARCHES: readonly (readonly [string, 'cold' | 'warm', Partial<Budget>, number, Partial<Settings>?])[] =
  [
    ['a loan and its return', 'cold', { borrow: 1, giveBack: 1 }, 28_771],
    ['timers', 'cold', { borrow: 1, fire: 1 }, 21_358],
    ['repeated messages', 'cold', { borrow: 1, duplicate: 1 }, 9_342],
    ['forced returns', 'warm', { borrow: 1, fire: 2 }, 136_118],
    ['recalls', 'warm', { borrow: 1, recall: 1, fire: 1 }, 10_912],
    ['a second loan', 'warm', { borrow: 2, fire: 1 }, 263_968],
    ['lost messages', 'warm', { borrow: 1, lose: 1, fire: 1 }, 9_443],
    ['agents that die', 'warm', { borrow: 1, giveBack: 1, crashAgent: 1 }, 57_837],
    ['a host that dies', 'warm', { borrow: 1, crashHost: 2 }, 49_058],
    ['a host whose records are lost', 'warm', { borrow: 1, crashHost: 1 }, 15_077, { losesRecords: true }],
    ['a keeper that ends', 'cold', { borrow: 1, exit: 1 }, 15_403, { keeper: 'owner' }],
    ['VMs that exit', 'cold', { borrow: 1, exit: 1 }, 14_232],
    ['calls that fail', 'warm', { borrow: 1, giveBack: 1, failCall: 1 }, 47_987],
    ['two lost messages', 'warm', { borrow: 1, lose: 2, fire: 1 }, 12_438],
    ['an enforcer that cannot force', 'warm', { borrow: 1, fire: 2 }, 134_250, { forceRevoke: false }],
    ['a minimum hold time', 'warm', { borrow: 1, recall: 1, fire: 1 }, 10_806, { minHoldMs: 10 }],
    [
      'requests that are withdrawn',
      'warm',
      { borrow: 2, giveBack: 1 },
      73_869,
      { ownTerms: true, netMax: 3 },
    ],
    ['a borrower that rejects', 'warm', { borrow: 1, lose: 1, fire: 1, lift: 1 }, 84_892, { stranger: 'b' }],
    ['an owner that rejects', 'warm', { borrow: 1, giveBack: 1, lose: 1 }, 31_909, { stranger: 'o' }],
    ['a lift', 'warm', { borrow: 1, giveBack: 1, lift: 1 }, 120_181, { stranger: 'o' }],
    ['a renewal', 'warm', { borrow: 1, renew: 1, fire: 1 }, 11_183],
    ['a renewal, and its repetition', 'warm', { borrow: 1, renew: 1, duplicate: 1, lose: 1 }, 7_504],
    ['a queue of two', 'warm', { borrow: 1, giveBack: 1, third: 1 }, 1_289_954, { third: true }],
    ['a queue, and timers', 'warm', { borrow: 1, third: 1, fire: 1 }, 1_335_520, { third: true }],
    ['a queue, and lost messages', 'warm', { borrow: 1, third: 1, lose: 1 }, 27_909, { third: true }],
    ['hooks that fail', 'warm', { borrow: 1, giveBack: 1, hookFail: 2 }, 18_324],
  ];

/** Most states of one search: more means that it has become another. */
export const STATES_MAX = 2_000_000;

/** Runs every other search, and compares what they reach together with the file of that half. */
export function searchHalf(half: 0 | 1): void {
  const reached = new Set<string>();
  describe('every schedule of', () => {
    const mine = SEARCHES.filter(([name], index) => index % 2 === half && (IS_WHOLE || !LARGEST.has(name)));
    it.each(mine.map((search) => ({ name: search[0], search })))(
      '$name',
      ({ search: [name, start, budget, states, settings] }) => {
        SETTINGS.present = { ...USUAL, ...settings, stranger: undefined };
        const cold = initialWorld({ ...NONE, ...budget });
        const world = start === 'cold' ? cold : settled({ ...cold, budget: NONE }, cold.budget);
        SETTINGS.present = { ...USUAL, ...settings };
        const found = explore(world, SITUATIONS, STATES_MAX);
        SETTINGS.present = USUAL;
        console.log(`${name}: ${found.states} states, ${found.transitions} transitions`);
        for (const [situation, count] of found.sometimes) if (count > 0) reached.add(situation);
        expect(found.violation).toBeUndefined();
        expect(found.states).toBe(states);
      },
      paced(1_200_000),
    );

    it('reaches rows and situations as listed', async () => {
      const lines = [...seen, ...reached].sort();
      const file = join(import.meta.dirname, `reached/${half}.txt`);
      if (IS_WHOLE) return expect(`${lines.join('\n')}\n`).toMatchFileSnapshot(file);
      expect(lines.length).toBeGreaterThan(0);
      const listed = new Set(readFileSync(file, 'utf8').split('\n'));
      expect(lines.filter((line) => !listed.has(line))).toEqual([]);
    });
  });
}
