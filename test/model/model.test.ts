/**
 * Explicit-state search over the real tables and the real remap procedure: two VMs, one bundle, a network that
 * loses, repeats and reorders, timers that fire when they like, and crashes of every party.
 */
import { describe, expect, it } from 'vitest';
import { explore, type Situation } from './explore.ts';
import { B, type Budget, initialWorld, O, type World } from './world.ts';

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
};

const heldBy = (world: World, vm: string) => world.host?.name === 'held' && world.host.holder?.vm === vm;

const SITUATIONS: readonly Situation[] = [
  [
    'the borrower holds and its driver works',
    (w) => heldBy(w, B) && w.b.driverActive && w.b.state?.name === 'held',
  ],
  [
    'the owner holds again after a loan',
    (w) => heldBy(w, O) && w.host!.holder!.epoch > 2 && w.o.state?.name === 'held',
  ],
];

function search(
  name: string,
  budget: Partial<Budget>,
  situations: readonly Situation[],
  statesMax = 400_000,
) {
  const found = explore(initialWorld({ ...NONE, ...budget }), situations, statesMax);
  console.log(`${name}: ${found.states} states, ${found.transitions} transitions`);
  return found;
}

describe('all schedules of', () => {
  it.each<[string, Partial<Budget>]>([
    ['plain', { borrow: 1, giveBack: 1 }],
    ['timers', { borrow: 1, fire: 1 }],
    ['loss', { borrow: 1, lose: 1 }],
    ['duplicates', { borrow: 1, duplicate: 1 }],
    ['agents die', { borrow: 1, crashAgent: 1, giveBack: 1 }],
    ['host dies', { borrow: 1, crashHost: 1, giveBack: 1 }],
    ['vms exit', { borrow: 1, exit: 1, giveBack: 1 }],
    ['failures', { borrow: 1, failCall: 1, hookFail: 1, giveBack: 1 }],
  ])('%s', (name, budget) => {
    const found = search(name, budget, SITUATIONS);
    expect(found.violation).toBeUndefined();
  });
});
