/** Silence when idle: the owner holds, nobody waits, so nobody is woken for nothing. And who has to know, is told. */

import { expect, it } from 'vitest';
import { NoneEnforcer } from '../../src/edges/enforcer/kinds/none/none-enforcer.ts';
import { ANDROID, PANEL, VAULT } from '../../targets/lab/machine/board.ts';
import { TERMS, UnisolatedWorld } from '../support/unisolated-world.ts';

const VMS = [ANDROID, VAULT];
const MINUTES = 10;

/** A world that has come to rest, and what happens in it from then on: frames that are sent, timers that run out. */
function rested(agents: readonly (typeof ANDROID)[]) {
  const world = new UnisolatedWorld(
    VMS,
    [PANEL],
    () => new NoneEnforcer({ bundles: [PANEL], vms: VMS, machineBoot: '1' }),
  );
  const seen = { frames: 0, timers: 0 };
  const after = world.clock.after.bind(world.clock);
  world.clock.after = (ms, fire) =>
    after(ms, () => {
      seen.timers += 1;
      fire();
    });
  world.startHost();
  for (const vm of agents) world.startAgent(vm, vm === ANDROID ? 'active' : 'suspended');
  world.clock.advance(5 * 60_000);
  world.network.tap = (what) => {
    if (what === 'sent') seen.frames += 1;
  };
  seen.timers = 0;
  return { world, seen };
}

it('R110 nothing is sent, and no timer runs out more than three times a minute, in all processes together', () => {
  const { world, seen } = rested(VMS);
  world.clock.advance(MINUTES * 60_000);
  expect(seen.frames).toBe(0);
  expect(seen.timers / MINUTES).toBeLessThanOrEqual(3);
});

it('a borrower that is absent costs each other party a few wakeups a minute', () => {
  const { world, seen } = rested([ANDROID]);
  world.clock.advance(MINUTES * 60_000);
  expect(seen.frames / MINUTES).toBeLessThanOrEqual(2.5);
  // Of host and owner together.
  expect(seen.timers / MINUTES).toBeLessThanOrEqual(6);
});

it('R110 the first borrow after ten idle minutes asks for a fresh token, once, and is granted', () => {
  const { world } = rested(VMS);
  world.clock.advance(10 * 60_000);
  world.agents.get(VAULT)!.borrow(PANEL.id, TERMS);
  world.clock.advance(100);
  expect(world.told(VAULT)).toEqual(['granted']);
});

it('the parties of a lent bundle hear of the host every second, and of nothing once it is back', () => {
  const { world, seen } = rested(VMS);
  world.agents.get(VAULT)!.borrow(PANEL.id, { ...TERMS, leaseMs: 600_000 });
  world.clock.advance(1_000);
  seen.frames = 0;
  world.clock.advance(60_000);
  // Two parties; and the owner asks now and then what has become of its bundle.
  expect(seen.frames).toBeGreaterThanOrEqual(2 * 59);
  world.agents.get(VAULT)!.giveBack(PANEL.id);
  world.clock.advance(5_000);
  seen.frames = 0;
  world.clock.advance(60_000);
  expect(seen.frames).toBe(0);
});
