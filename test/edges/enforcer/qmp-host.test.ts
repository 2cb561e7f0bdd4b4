/** The enforcer `qmp` under a host: restarts, and a borrower that hangs. */

import { expect, it } from 'vitest';
import { openQmpEnforcer, type QmpEnforcer } from '../../../src/edges/enforcer/kinds/qmp/qmp-enforcer.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { TERMS, UnisolatedWorld } from '../../support/unisolated-world.ts';
import { Feeder, key } from './fake-qmp.ts';
import { ADDRESS, android, options, reset, streams, vault } from './qmp-rig.ts';

it('routes nothing after a restart of the host until it grants anew, and the owner is granted', () => {
  const made: { enforcer?: QmpEnforcer } = {};
  const world = new UnisolatedWorld([ANDROID, VAULT], [PANEL], () => made.enforcer!);
  reset(world.clock);
  const openAt = (machineBoot: string) => {
    openQmpEnforcer({ ...options(), machineBoot }, (opened) => {
      made.enforcer = opened as QmpEnforcer;
    });
    world.clock.advance(20);
  };
  openAt('one');
  world.startHost();
  world.startAgent(ANDROID, 'active');
  world.startAgent(VAULT, 'suspended');
  world.clock.advance(1_500);
  const borrow = () => world.agents.get(VAULT)!.borrow(PANEL.id, { ...TERMS, evidence: 'asserted' });
  borrow();
  world.clock.advance(200);
  expect(world.host.views()[0]).toMatchObject({ holder: VAULT, confirmed: true });
  world.host.stop();
  made.enforcer!.close();
  world.clock.advance(20);
  openAt('two');
  new Feeder(streams, ADDRESS.input).send(key('1', true), key('1', false));
  world.startHost();
  world.clock.advance(4_000);
  expect(vault.seen).toEqual([]);
  expect(world.host.views()[0]).toMatchObject({ state: 'held', holder: ANDROID, confirmed: true });
  expect(world.told(VAULT).at(-1)).toBe('returned');
  expect(world.drivers.get(VAULT)!.status).toBe('suspended');
  borrow();
  world.clock.advance(300);
  expect(world.host.views()[0]).toMatchObject({ holder: VAULT, confirmed: true });
});

it('takes a bundle from a borrower that hangs, under a host', () => {
  const made: { enforcer?: QmpEnforcer } = {};
  const world = new UnisolatedWorld([ANDROID, VAULT], [PANEL], () => made.enforcer!);
  reset(world.clock);
  openQmpEnforcer(options(), (opened) => {
    made.enforcer = opened as QmpEnforcer;
  });
  world.clock.advance(20);
  world.startHost();
  world.startAgent(ANDROID, 'active');
  world.startAgent(VAULT, 'suspended');
  world.clock.advance(1_500);
  const terms = { ...TERMS, evidence: 'asserted', leaseMs: 1_500, noticeMs: 200 } as const;
  world.agents.get(VAULT)!.borrow(PANEL.id, terms);
  world.clock.advance(200);
  expect(world.host.views()[0]).toMatchObject({ holder: VAULT, confirmed: true });
  const feeder = new Feeder(streams, ADDRESS.input);
  feeder.send(key('1', true), key('1', false));
  world.clock.advance(10);
  // Guest and agent hang: nothing is answered, by QMP or by the agent.
  world.drivers.get(VAULT)!.next = { suspend: 'hang', quiesce: 'hang' };
  vault.reactions.set('*', 'silence');
  world.clock.advance(4_000);
  expect(world.host.views()[0]).toMatchObject({ state: 'held', holder: ANDROID, confirmed: true });
  feeder.send(key('2', true));
  world.clock.advance(10);
  expect([vault.seen, android.seen]).toEqual([['+1', '-1'], ['+2']]);
});
