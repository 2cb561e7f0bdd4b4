/** An owner whose whole system wants to sleep calls in what it lent, and lends nothing until it is awake (M11). */

import { beforeEach, expect, test } from 'vitest';
import { NoneEnforcer } from '../../../src/edges/enforcer/kinds/none/none-enforcer.ts';
import type { EnforcerEvent } from '../../../src/ports/enforcer.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { TERMS, UnisolatedWorld } from '../../support/unisolated-world.ts';

const VMS = [ANDROID, VAULT];

class Rig extends NoneEnforcer {
  tell: (event: EnforcerEvent) => void = () => {};

  override onEvent(listener?: (event: EnforcerEvent) => void): void {
    if (listener) this.tell = listener;
  }
}

let rig: Rig;
let world: UnisolatedWorld;
beforeEach(() => {
  rig = new Rig({ bundles: [PANEL], vms: VMS, machineBoot: '1' });
  world = new UnisolatedWorld(VMS, [PANEL], () => rig);
  world.startHost();
  world.startAgent(ANDROID, 'active');
  world.startAgent(VAULT, 'suspended');
  world.clock.advance(1_500);
});

const holder = () => world.host.views()[0]!.holder;
const borrow = () => {
  world.agents.get(VAULT)!.borrow(PANEL.id, TERMS);
  world.clock.advance(100);
};
/** What the owner answers, as it comes. */
function sleep(graceMs: number, waitMs: number): [boolean, readonly string[]][] {
  const said: [boolean, readonly string[]][] = [];
  world.agents.get(ANDROID)!.sleep(graceMs, waitMs, (...answer) => said.push(answer));
  return said;
}
const wake = () => world.agents.get(ANDROID)!.wake();

test('with nothing lent it may sleep at once', () => {
  expect(sleep(500, 5_000)).toEqual([[true, []]]);
});

test('a lent bundle is called in, and its driver has resumed before the system may sleep', () => {
  borrow();
  expect(holder()).toBe(VAULT);
  const said = sleep(500, 5_000);
  world.clock.advance(300);
  expect(said).toEqual([]);
  world.clock.advance(700);
  expect(said).toEqual([[true, []]]);
  expect(holder()).toBe(ANDROID);
  expect(world.drivers.get(ANDROID)!.calls.at(-1)).toMatch(/^resume/);
});

test('the borrower is recalled once', () => {
  borrow();
  // The host's heartbeats come in meanwhile.
  sleep(2_500, 5_000);
  world.clock.advance(4_000);
  const recalls = world.notices.filter(({ notice }) => notice.notice === 'recalled');
  expect(recalls).toMatchObject([{ vm: VAULT, notice: { ms: 2_500, cause: 'reclaim' } }]);
});

test('while it sleeps it lends nothing; awake it does again', () => {
  sleep(500, 5_000);
  borrow();
  expect(world.notices.at(-1)!.notice).toMatchObject({ notice: 'declined', reason: 'policy' });
  expect(holder()).toBe(ANDROID);
  wake();
  borrow();
  expect(holder()).toBe(VAULT);
});

test('a loan that is on its way is waited for, and called in', () => {
  world.agents.get(VAULT)!.borrow(PANEL.id, TERMS);
  while (world.agents.get(ANDROID)!.views()[0]!.state !== 'suspending') world.clock.step();
  const said = sleep(200, 5_000);
  world.clock.advance(1_000);
  expect(said).toEqual([[true, []]]);
  expect(world.notices.filter(({ notice }) => notice.notice === 'granted')).toHaveLength(1);
  expect(holder()).toBe(ANDROID);
});

test('a bundle that does not come back in time keeps the system awake, and requests are heard', () => {
  borrow();
  world.drivers.get(VAULT)!.next = { suspend: 'hang' };
  const said = sleep(200, 1_000);
  world.clock.advance(2_000);
  expect(said).toEqual([[false, ['panel']]]);
  world.agents.get(VAULT)!.stop();
  world.drivers.get(VAULT)!.next = {};
  rig.tell({ kind: 'vmExited', vm: VAULT });
  rig.tell({ kind: 'vmStarting', vm: VAULT });
  world.startAgent(VAULT, 'suspended');
  world.clock.advance(3_000);
  borrow();
  expect(holder()).toBe(VAULT);
});

test('a wake ends the sleep that is under way', () => {
  borrow();
  const said = sleep(2_000, 5_000);
  world.clock.advance(100);
  wake();
  world.clock.advance(5_000);
  expect(said).toEqual([[false, ['panel']]]);
});
