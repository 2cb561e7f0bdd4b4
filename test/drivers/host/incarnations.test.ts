/**
 * Starts and ends of VMs, and faults of a bundle that moves, at the host: what waits for what. Judge: the machine's
 * checker, and an enforcer whose answers come one at a time.
 */

import { describe, expect, it } from 'vitest';
import { attribute } from '../../../src/core/host/attribution.ts';
import { type HostState, initialHost } from '../../../src/core/host/host-state.ts';
import type { Epoch, Incarnation, VmId } from '../../../src/core/protocol/ids.ts';
import type { SimulatedEnforcer } from '../../../src/edges/enforcer/simulated.ts';
import type { Enforcer, EnforcerCall, FaultRecord } from '../../../src/ports/enforcer.ts';
import { ANDROID, KEYS_BUNDLE, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { SimulatedMachine } from '../../../targets/lab/machine/machine.ts';
import { judgeHost } from '../../support/judge-host.ts';
import { TERMS, UnisolatedWorld } from '../../support/unisolated-world.ts';

const VMS = [ANDROID, VAULT];

/** A host on a machine; with `isSlow`, a batch of calls is carried out only by `go`. */
function rig(bundles = [PANEL], isSlow = false) {
  const machine = new SimulatedMachine({ vms: [], bundles, seed: 5 });
  const waiting: { readonly calls: readonly EnforcerCall[]; readonly go: () => void }[] = [];
  const extra: FaultRecord[] = [];
  let enforcer!: SimulatedEnforcer;
  const slow = (): Enforcer => {
    enforcer = machine.enforcer();
    return new Proxy(enforcer, {
      get: (target, name: keyof Enforcer) => {
        if (name === 'run' && isSlow)
          return (...[bundle, calls, done]: Parameters<Enforcer['run']>) =>
            void waiting.push({ calls, go: () => target.run(bundle, calls, done) });
        if (name === 'faults') return () => [...target.faults(), ...extra.splice(0)];
        return (target[name] as () => unknown).bind(target);
      },
    });
  };
  const world = new UnisolatedWorld(VMS, bundles, slow, 7);
  judgeHost(world, machine.checker);
  const faults: string[] = [];
  const { onHost } = world;
  world.onHost = (host) => {
    onHost(host);
    host.on('fault', (_, { offender, epoch }) => faults.push(`${offender?.vm ?? 'nobody'} at ${epoch}`));
  };
  world.startHost();
  /** Carries out the batch that waits, and says which op it began with. */
  const go = () => {
    const next = waiting.shift();
    next?.go();
    return next?.calls[0]?.op;
  };
  /** Carries out batches until one with `op` waits, or none. */
  const goTo = (op?: EnforcerCall['op']) => {
    for (let n = 0; n < 50 && waiting[0] !== undefined && waiting[0].calls[0]?.op !== op; n++) go();
  };
  const running = () => enforcer.running();
  const view = () => world.host.view(PANEL.id)!;
  return { machine, world, waiting, extra, faults, go, goTo, running, view };
}

/** Android holds, and vault is about to get the panel: up to the first call of its remap. */
function lending() {
  const testbed = rig([PANEL], true);
  const { machine, world, goTo } = testbed;
  goTo();
  machine.startVm(ANDROID);
  goTo();
  machine.startVm(VAULT);
  world.startAgent(ANDROID, 'active');
  world.startAgent(VAULT, 'suspended');
  world.clock.advance(1_500);
  const { epoch } = testbed.view();
  world.agents.get(VAULT)!.borrow(PANEL.id, { ...TERMS, evidence: 'observed' });
  world.clock.advance(20);
  return { ...testbed, epoch };
}

describe('the end of a VM', () => {
  it.each([
    ['panel first', [PANEL, KEYS_BUNDLE]],
    ['keys first', [KEYS_BUNDLE, PANEL]],
  ])('is acknowledged when the last of its bundles has let go: %s', (_, bundles) => {
    const { machine, world, running, view } = rig(bundles);
    machine.startVm(ANDROID);
    expect(view()).toMatchObject({ state: 'held', holder: ANDROID });
    expect(machine.checker.holders(KEYS_BUNDLE.id)).toEqual(['android#1']);
    machine.exitVm(ANDROID);
    expect(machine.checker.violations).toEqual([]);
    expect(running()).toEqual([]);
    // Its place is free: every bundle let go, not only the first.
    expect(() => machine.context(ANDROID)).toThrow('does not exist');
    expect(world.host.views().map(({ state }) => state)).toEqual(['parked', 'parked']);
  });

  it('waits for each answer of the enforcer that blocks it', () => {
    const { machine, go, goTo, waiting } = rig([PANEL, KEYS_BUNDLE], true);
    goTo();
    machine.startVm(ANDROID);
    goTo();
    machine.exitVm(ANDROID);
    const exists = () => {
      try {
        return machine.context(ANDROID) !== undefined;
      } catch {
        return false;
      }
    };
    let settles = 0;
    while (waiting.length > 0 && settles < 2) {
      expect(exists()).toBe(true);
      if (go() === 'settle') settles += 1;
    }
    expect(settles).toBe(2);
    expect(exists()).toBe(false);
    expect(machine.checker.violations).toEqual([]);
  });

  it('ends its session: the next run has none before its own agent speaks', () => {
    const { machine, world } = rig();
    for (const vm of VMS) machine.startVm(vm);
    for (const vm of VMS) world.startAgent(vm, vm === ANDROID ? 'active' : 'suspended');
    world.clock.advance(1_500);
    const up = () => world.host.peers().map((peer) => [peer.peer, peer.up]);
    expect(up()).toEqual([
      [ANDROID, true],
      [VAULT, true],
    ]);
    world.agents.get(VAULT)!.stop();
    machine.exitVm(VAULT);
    machine.startVm(VAULT);
    expect(up()).toEqual([
      [ANDROID, true],
      [VAULT, false],
    ]);
    world.startAgent(VAULT, 'suspended');
    world.clock.advance(1_500);
    expect(up()).toContainEqual([VAULT, true]);
  });
});

describe('the start of a VM', () => {
  it('is held back while its bundle is on the way to it', () => {
    const { machine, go, goTo, waiting, running, view } = rig([PANEL], true);
    goTo();
    expect(view().state).toBe('parked');
    machine.startVm(ANDROID);
    for (let steps = 0; waiting.length > 0; steps++) {
      expect(running(), `after ${steps} batches`).toEqual([]);
      go();
    }
    expect(view()).toMatchObject({ state: 'held', holder: ANDROID });
    expect(running()).toEqual([ANDROID]);
  });

  it('is not held back by a bundle that is on the way to another', () => {
    const { machine, waiting, running } = lending();
    expect(waiting).toHaveLength(1);
    expect(running()).toEqual([ANDROID, VAULT]);
    machine.startVm('other' as VmId);
    expect(running()).toContain('other');
  });
});

describe('faults of a bundle that moves', () => {
  const dma = { by: 'dma', bundle: PANEL.id, resource: 'touch.stream0', stream: 0x6c3 } as const;
  const fault = {
    ...dma,
    address: 0,
    write: true,
    event: 'C_BAD_STE',
    count: 1,
    lost: false,
  } as unknown as FaultRecord;

  it.each(['settle', 'clean'] as const)('seen by the end of %s are the old holder’s', (phase) => {
    const { faults, extra, go, goTo, epoch } = lending();
    goTo(phase === 'clean' ? 'reset' : phase);
    extra.push(fault);
    expect(faults).toEqual([]);
    go();
    expect(faults).toEqual([`android at ${epoch}`]);
  });

  it('seen during the grant are nobody’s, and not looked for at its end', () => {
    const { faults, extra, world, go, goTo } = lending();
    goTo('grant');
    extra.push(fault);
    go();
    expect(world.host.view(PANEL.id)).toMatchObject({ state: 'held', holder: VAULT });
    expect(faults).toEqual([]);
  });

  it('are booked by the phase that runs', () => {
    const from = { vm: ANDROID, incarnation: 1 as Incarnation };
    const state = (phase: 'fence' | 'settle' | 'clean' | 'grant'): HostState => ({
      ...initialHost(),
      name: 'moving',
      lastEpoch: 4 as Epoch,
      running: { [ANDROID]: 1 as Incarnation },
      attempt: { epoch: 5, cause: 'lend', from, phase } as unknown as NonNullable<HostState['attempt']>,
    });
    const booked = (phase: 'fence' | 'settle' | 'clean' | 'grant', record = fault) => {
      const { offender, epoch } = attribute(state(phase), record);
      return [offender?.vm, epoch];
    };
    for (const phase of ['fence', 'settle', 'clean'] as const) expect(booked(phase)).toEqual([ANDROID, 4]);
    expect(booked('grant')).toEqual([undefined, 4]);
    expect(booked('settle', { ...fault, lost: true })).toEqual([undefined, 4]);
    expect(booked('grant', { ...fault, by: 'cpu', vm: ANDROID })).toEqual([ANDROID, 4]);
    expect(booked('settle', { ...fault, by: 'cpu', vm: VAULT })).toEqual([undefined, 4]);
  });
});
