/** R23, L3: an owner asks who holds until it is answered, in every state. */
import { describe, expect, it } from 'vitest';
import { OWNER_TABLE } from '../../src/core/agent/owner.ts';
import { initialOwner, type OwnerInput, type OwnerState } from '../../src/core/agent/owner-state.ts';
import type { AgentConfig } from '../../src/core/protocol/evidence.ts';
import { NoneEnforcer } from '../../src/edges/enforcer/kinds/none/none-enforcer.ts';
import type { EnforcerAnswer, EnforcerCall, EnforcerDescription } from '../../src/ports/enforcer.ts';
import { ANDROID, PANEL, VAULT } from '../../targets/lab/machine/board.ts';
import { TERMS, UnisolatedWorld } from '../support/unisolated-world.ts';

const VMS = [ANDROID, VAULT];

describe('R23: asks again every second until it is answered', () => {
  it.each([
    'unknown',
    'held',
    'offering',
    'preparing',
    'suspending',
    'lending',
    'lent',
    'parked',
    'resuming',
    'failed',
    'quarantined',
  ] as const)('as owner in %s', (name) => {
    const state = {
      ...initialOwner(),
      name,
      request: { number: 1, borrower: VAULT, consent: new Uint8Array(4) },
    } as unknown as OwnerState;
    const config = { self: ANDROID, definition: PANEL, digest: new Uint8Array(32) } as unknown as AgentConfig;
    const up = OWNER_TABLE.run(state, { on: 'hostUp' } as OwnerInput, config);
    expect(up.effects.map(({ do: what }) => what)).toContain('query');
    const later = OWNER_TABLE.run(up.state, { on: 'timer:query' } as OwnerInput, config);
    expect(later.effects.map(({ do: what }) => what)).toContain('query');
  });
});

/** Answers after 50 ms of virtual time, as any real enforcer takes some; `inspect` may fail. */
class Slow extends NoneEnforcer {
  failInspect = false;
  readonly world: () => UnisolatedWorld;
  constructor(world: () => UnisolatedWorld) {
    super({ bundles: [PANEL], vms: VMS, machineBoot: '1' });
    this.world = world;
  }
  override describe(): EnforcerDescription {
    const { capabilities, ...rest } = super.describe();
    return { ...rest, capabilities: { ...capabilities, forceRevoke: true } };
  }
  override run(...args: Parameters<NoneEnforcer['run']>): void {
    const [bundle, calls, done] = args;
    this.world().clock.after(50, () => {
      if (this.failInspect && calls.every(({ op }: EnforcerCall) => op === 'inspect')) {
        this.failInspect = false;
        const answers: EnforcerAnswer[] = [{ ok: false, error: 'test' }];
        return done(answers);
      }
      super.run(bundle, calls, done);
    });
  }
}

describe('the host restarts, and cannot read the machine back', () => {
  const play = () => {
    let world!: UnisolatedWorld;
    const rig = new Slow(() => world);
    world = new UnisolatedWorld(VMS, [PANEL], () => rig);
    world.startHost();
    world.startAgent(ANDROID, 'active');
    world.startAgent(VAULT, 'suspended');
    world.clock.advance(3_000);
    world.host.stop();
    rig.failInspect = true;
    world.startHost();
    world.clock.advance(60_000);
    return { world, rig };
  };
  const host = (w: UnisolatedWorld) => w.host.views()[0]!;
  const owner = (w: UnisolatedWorld) => w.agents.get(ANDROID)!.view(PANEL.id);

  it('the owner learns that its bundle is in quarantine', () => {
    const { world } = play();
    expect(host(world).state).toBe('quarantined');
    expect(owner(world).state).toBe('quarantined');
  });

  it('and gets it back after the lift, whatever single frame is lost', () => {
    const { world } = play();
    // Everything from the host to the owner is lost for 300 ms, while the operator lifts.
    const faults = world.network.faults;
    world.network.faults = { ...faults, loss: 1 };
    world.host.lift(PANEL.id);
    world.clock.advance(300);
    world.network.faults = faults;
    for (let i = 0; i < 600; i++) world.clock.advance(1_000);
    expect(host(world)).toMatchObject({ state: 'held', holder: ANDROID });
    expect(owner(world)).toMatchObject({ state: 'held', driver: 'active' });
    world.agents.get(VAULT)!.borrow(PANEL.id, TERMS);
    world.clock.advance(1_000);
    expect(host(world)).toMatchObject({ state: 'held', holder: VAULT });
    world.clock.advance(TERMS.leaseMs + 10_000);
    expect(host(world)).toMatchObject({ state: 'held', holder: ANDROID });
  });
});
