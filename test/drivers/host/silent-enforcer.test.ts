/** An enforcer that does not answer: it is not waited for for ever, not forgotten, and believed only in its turn. */

import { beforeEach, describe, expect, it } from 'vitest';
import type { VmId } from '../../../src/core/protocol/ids.ts';
import { NoneEnforcer } from '../../../src/edges/enforcer/kinds/none/none-enforcer.ts';
import type { EnforcerEvent } from '../../../src/ports/enforcer.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { TERMS, UnisolatedWorld } from '../../support/unisolated-world.ts';

const VMS = [ANDROID, VAULT];

/** An enforcer that keeps its answers to itself while it is stuck. */
class Rig extends NoneEnforcer {
  isStuck = false;
  readonly kept: (() => void)[] = [];
  readonly freed: VmId[] = [];
  tell: (event: EnforcerEvent) => void = () => {};

  override run(...[bundle, calls, done]: Parameters<NoneEnforcer['run']>): void {
    super.run(bundle, calls, (answers) => {
      if (this.isStuck) this.kept.push(() => done(answers));
      else done(answers);
    });
  }

  override onEvent(listener?: (event: EnforcerEvent) => void): void {
    if (listener) this.tell = listener;
  }

  override acknowledgeExit(vm?: VmId): void {
    this.freed.push(vm!);
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
  world.agents.get(VAULT)!.borrow(PANEL.id, TERMS);
  world.clock.advance(100);
  expect(view()).toMatchObject({ holder: VAULT, confirmed: true });
});

const view = () => world.host.views()[0]!;

describe('an enforcer that is stuck', () => {
  it('has its bundle in quarantine, is asked again, and frees no VM before isolation is proved', () => {
    rig.isStuck = true;
    rig.tell({ kind: 'vmExited', vm: VAULT });
    world.clock.advance(2_900);
    expect(view()).toMatchObject({ state: 'moving' });
    world.clock.advance(200);
    expect(view()).toMatchObject({ state: 'quarantined', reason: expect.stringContaining('fenceFailed') });
    const asked = rig.kept.length;
    world.clock.advance(20_000);
    expect(rig.kept.length - asked).toBe(4);
    expect(rig.freed).toEqual([]);
    rig.isStuck = false;
    world.clock.advance(5_000);
    expect(rig.freed).toEqual([VAULT]);
    expect(view()).toMatchObject({ state: 'quarantined' });
    world.host.lift(PANEL.id);
    world.clock.advance(5_000);
    expect(view()).toMatchObject({ state: 'held', holder: ANDROID });
    const held = view();
    for (const answer of rig.kept) answer();
    world.clock.advance(1_000);
    expect(view()).toMatchObject({ state: 'held', holder: ANDROID, epoch: held.epoch });
  });
});
