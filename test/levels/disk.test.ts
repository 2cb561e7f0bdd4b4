/** Nobody waits for a disk: what is made durable in more handovers than a block of epochs has, and what that costs. */

import { expect, it } from 'vitest';
import { BLOCK } from '../../src/core/host/bounds.ts';
import { NoneEnforcer } from '../../src/edges/enforcer/kinds/none/none-enforcer.ts';
import { ANDROID, PANEL, VAULT } from '../../targets/lab/machine/board.ts';
import { TERMS, UnisolatedWorld } from '../support/unisolated-world.ts';

const VMS = [ANDROID, VAULT];

/** Lends and gives back `times` times; returns how long each took, from the request to the owner's resumed driver. */
function handovers(times: number, fsyncMs: number) {
  const world = new UnisolatedWorld(
    VMS,
    [PANEL],
    () => new NoneEnforcer({ bundles: [PANEL], vms: VMS, machineBoot: '1' }),
  );
  const write = world.bounds.write.bind(world.bounds);
  world.bounds.write = (record, done) => {
    world.clock.after(fsyncMs, () => write(record, done));
  };
  world.startHost();
  world.clock.advance(1_000);
  world.startAgent(ANDROID, 'active');
  world.startAgent(VAULT, 'suspended');
  world.clock.advance(2_000);
  const vault = world.agents.get(VAULT)!;
  const state = (vm: typeof VAULT) => world.agents.get(vm)!.view(PANEL.id).state;
  const tookMs: number[] = [];
  const until = (isSo: () => boolean) => {
    for (let step = 0; !isSo(); step++) {
      if (step > 10_000) throw new Error(`not so: ${state(ANDROID)}, ${state(VAULT)}`);
      world.clock.advance(1);
    }
  };
  for (let i = 0; i < times; i++) {
    const beganMs = world.clock.nowMs();
    vault.borrow(PANEL.id, TERMS);
    until(() => state(VAULT) === 'held' && state(ANDROID) === 'lent');
    vault.giveBack(PANEL.id);
    until(() => state(VAULT) === 'idle' && state(ANDROID) === 'held');
    tookMs.push(world.clock.nowMs() - beganMs);
    world.clock.advance(5);
  }
  return { world, tookMs };
}

it('nothing but the bounds is made durable: by no journal, and twice in a block of epochs', () => {
  const times = BLOCK / 2 + 100;
  const { world, tookMs } = handovers(times, 0);
  expect(tookMs).toHaveLength(times);
  // Each takes two epochs: more than a block.
  expect(world.host.views()[0]!.epoch).toBeGreaterThan(BLOCK);
  expect([world.journal, ...world.journals.values()].map(({ syncs }) => syncs)).toEqual([0, 0, 0]);
  expect(world.bounds.writes).toBeLessThanOrEqual(4);
  expect(world.bounds.writes).toBeGreaterThanOrEqual(2);
});

/** Handovers, of two epochs each, in which a block is renewed. */
const RENEWING = BLOCK / 4 + 50;

it('a disk whose fsync takes 20 ms costs no handover anything, nor does one that takes a second', () => {
  const [fast, slow, slowest] = [0, 20, 1_000].map((fsyncMs) => handovers(RENEWING, fsyncMs).tookMs);
  expect(Math.max(...slow!)).toBe(Math.max(...fast!));
  expect(Math.max(...slowest!)).toBe(Math.max(...fast!));
});
