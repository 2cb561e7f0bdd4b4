/** L1, L3: a host that is killed while its last records are missing leaves nobody deaf, and forgets no quarantine. */
import { beforeEach, describe, expect, it } from 'vitest';
import { NoneEnforcer } from '../../src/edges/enforcer/kinds/none/none-enforcer.ts';
import type { EnforcerAnswer, EnforcerCall, EnforcerDescription } from '../../src/ports/enforcer.ts';
import { ANDROID, PANEL, VAULT } from '../../targets/lab/machine/board.ts';
import { TERMS, UnisolatedWorld } from '../support/unisolated-world.ts';

const VMS = [ANDROID, VAULT];
class Rig extends NoneEnforcer {
  failReset = false;
  override describe(): EnforcerDescription {
    const { capabilities, ...rest } = super.describe();
    return { ...rest, capabilities: { ...capabilities, forceRevoke: true } };
  }
  override run(...args: Parameters<NoneEnforcer['run']>): void {
    const [bundle, calls, done] = args;
    if (this.failReset && calls.some(({ op }: EnforcerCall) => op === 'reset')) {
      const answers: EnforcerAnswer[] = [{ ok: false, error: 'test: reset failed' }];
      return done(answers);
    }
    super.run(bundle, calls, done);
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
const view = () => world.host.views()[0]!;
const borrow = (ms = 100) => {
  world.agents.get(VAULT)!.borrow(PANEL.id, TERMS);
  world.clock.advance(ms);
};

function killHost() {
  // kill -9: nothing more is written
  world.journal.broken = 'killed';
  world.host.stop();
  world.journal.broken = undefined;
}

describe('a host killed within 50 ms of a rollback', () => {
  it('does not leave the owner deaf for ever', () => {
    rig.failReset = true; // one reset fails: the lend is rolled back to the owner
    world.agents.get(VAULT)!.borrow(PANEL.id, TERMS);
    for (let i = 0; i < 400 && !view().reason.includes('rollback'); i++) world.clock.advance(1);
    world.clock.advance(1); // the owner has heard, its resume hook runs
    const before = view();
    killHost();
    rig.failReset = false;
    world.startHost();
    world.clock.advance(60_000);
    const after = view();
    const told: unknown[] = [];
    for (let i = 0; i < 5; i++) {
      borrow(3_000);
      told.push(world.notices.filter(({ vm }) => vm === VAULT).at(-1)?.notice);
      world.clock.advance(60_000);
    }
    expect(after.epoch).toBeGreaterThanOrEqual(before.epoch); // S4: epochs only rise
    expect(told.some((n) => (n as { notice: string }).notice === 'granted')).toBe(true);
  });

  it('nor after a whole loan on a full disk, which began when the disk had room', () => {
    world.agents.get(VAULT)!.borrow(PANEL.id, TERMS);
    // The reservation is on disk; then the disk is full.
    for (let i = 0; i < 100 && !world.logs.some((l) => l.includes('"row":"prepare"')); i++)
      world.clock.advance(1);
    world.journal.broken = 'ENOSPC';
    world.clock.advance(200);
    world.agents.get(VAULT)!.giveBack(PANEL.id);
    world.clock.advance(5_000);
    const before = view();
    expect(before).toMatchObject({ state: 'held', holder: ANDROID, confirmed: true });
    killHost();
    world.startHost();
    world.clock.advance(60_000);
    const after = view();
    const told: unknown[] = [];
    for (let i = 0; i < 5; i++) {
      borrow(3_000);
      told.push(world.notices.filter(({ vm }) => vm === VAULT).at(-1)?.notice);
      world.clock.advance(30_000);
    }
    expect(after.epoch).toBeGreaterThanOrEqual(before.epoch);
    expect(told.some((n) => (n as { notice: string }).notice === 'granted')).toBe(true);
  });

  it('nor is a quarantine forgotten that could not be written (R71)', () => {
    rig.failReset = false;
    world.journal.broken = 'ENOSPC';
    world.host.onMessage(ANDROID, {
      kind: 'reject',
      bundle: PANEL.id,
      epoch: view().epoch as never,
      what: 'test',
    });
    world.clock.advance(5_000);
    expect(view().state).toBe('quarantined');
    killHost();
    world.startHost();
    world.clock.advance(10_000);
    expect(view().state).toBe('quarantined');
  });
});
