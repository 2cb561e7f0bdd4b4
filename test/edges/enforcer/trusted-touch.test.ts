/**
 * The enforcer `trusted-touch`: the conformance suite, its notes over restarts, and whole loans between two agents
 * whose hooks drive fakes of Qualcomm's driver.
 */

import { describe, expect, it } from 'vitest';
import type { BundleDefinition } from '../../../src/core/protocol/bundle.ts';
import { nameResources } from '../../../src/core/protocol/bundle.ts';
import type { BundleId, DeviceId, VmId } from '../../../src/core/protocol/ids.ts';
import { type CheckResult, runConformance } from '../../../src/edges/enforcer/conformance.ts';
import type { NoteStore } from '../../../src/edges/enforcer/kind.ts';
import { NoneEnforcer } from '../../../src/edges/enforcer/kinds/none/none-enforcer.ts';
import { TrustedTouchEnforcer } from '../../../src/edges/enforcer/kinds/trusted-touch/trusted-touch-enforcer.ts';
import type { Notes } from '../../../src/edges/enforcer/notebook.ts';
import { createHooks } from '../../../src/edges/hooks/hooks.ts';
import type { EnforcerEvent } from '../../../src/ports/enforcer.ts';
import type { DriverHooks } from '../../../src/ports/world.ts';
import { ANDROID, VAULT } from '../../../targets/lab/machine/board.ts';
import { TERMS, UnisolatedWorld } from '../../support/unisolated-world.ts';
import { FakeBorrowerDriver, FakeManager, FakeOwnerDriver } from '../hooks/fake-trusted-touch.ts';
import { FakeWorld } from '../hooks/fake-world.ts';

const VMS = [ANDROID, VAULT];
const TOUCH = 'touch' as DeviceId;
const BUNDLE: BundleDefinition = {
  id: 'touch' as BundleId,
  owner: ANDROID,
  keeper: 'owner',
  devices: [
    {
      id: TOUCH,
      resources: nameResources(TOUCH, [
        { kind: 'mmio', physical: 0x990000, bytes: 0x1000, views: {} },
        { kind: 'interrupt', physical: 400, trigger: 'level', views: {} },
      ] as never),
      residualStates: [],
    },
  ],
};
const FOLDER = '/sys/devices/touch';

class Memory implements NoteStore {
  kept: { machineBoot: string; notes: Notes } | undefined;
  isFull = false;
  saves = 0;
  load(machineBoot: string): Notes | undefined {
    return this.kept?.machineBoot === machineBoot ? this.kept.notes : undefined;
  }
  save(machineBoot: string, notes: Notes): void {
    if (this.isFull) throw new Error('ENOSPC');
    this.saves += 1;
    this.kept = { machineBoot, notes };
  }
}

/** VMs that a test lets end. */
class Lives extends NoneEnforcer {
  readonly released: VmId[] = [];
  #vms = [...VMS];
  #listener: (event: EnforcerEvent) => void = () => {};
  override running(): readonly VmId[] {
    return this.#vms;
  }
  override onEvent(listener?: (event: EnforcerEvent) => void): void {
    if (listener) this.#listener = listener;
  }
  override acknowledgeExit(vm?: VmId): void {
    if (vm) this.released.push(vm);
  }
  end(vm: VmId): void {
    this.#vms = this.#vms.filter((other) => other !== vm);
    this.#listener({ kind: 'vmExited', vm });
  }
}

function parts(store: NoteStore = new Memory(), machineBoot = 'one') {
  const incarnations = new Lives({ bundles: [BUNDLE], vms: VMS, machineBoot });
  const logs: string[] = [];
  return {
    bundles: [BUNDLE],
    incarnations,
    store,
    log: (level: string, text: string) => logs.push(`${level} ${text}`),
    logs,
  };
}

function reachOf(enforcer: TrustedTouchEnforcer): unknown {
  let reach: unknown;
  enforcer.run(BUNDLE.id, [{ op: 'inspect', resource: BUNDLE.devices[0]!.resources[0]!.id }], ([answer]) => {
    reach = answer?.ok && answer.reach;
  });
  return reach;
}

/** Host, two agents with real hooks, two drivers and what is between them, on one virtual clock. */
class Testbed {
  readonly store = new Memory();
  readonly incarnations = parts().incarnations;
  readonly world = new UnisolatedWorld(
    VMS,
    [BUNDLE],
    () => new TrustedTouchEnforcer({ ...parts(this.store), incarnations: this.incarnations }),
  );
  readonly manager = new FakeManager(this.world.clock);
  readonly owner = new FakeOwnerDriver(this.manager);
  readonly borrower = new FakeBorrowerDriver(this.manager);

  async start(): Promise<this> {
    this.world.startHost();
    this.world.startAgent(ANDROID, 'active', undefined, this.#hooks(ANDROID, this.owner));
    this.world.startAgent(VAULT, 'suspended', undefined, this.#hooks(VAULT, this.borrower));
    await this.pass(2_000);
    return this;
  }

  borrow(terms: Partial<typeof TERMS> = {}): void {
    this.world.agents.get(VAULT)!.borrow(BUNDLE.id, { ...TERMS, evidence: 'asserted', ...terms });
  }

  /** Lets virtual time pass, and whatever waits for a promise with it. */
  async pass(ms: number): Promise<void> {
    const endMs = this.world.clock.nowMs() + ms;
    while (this.world.clock.nowMs() < endMs) {
      await new Promise((done) => setImmediate(done));
      this.world.clock.advance(1);
    }
    await new Promise((done) => setImmediate(done));
  }

  get view() {
    return this.world.host.views()[0];
  }

  #hooks(self: VmId, driver: FakeOwnerDriver | FakeBorrowerDriver): DriverHooks {
    const { sys, streams, locks, notes } = new FakeWorld();
    return createHooks({
      self,
      bundles: [BUNDLE],
      config: { touch: { touch: { suspend: [{ kind: 'trusted-touch', device: FOLDER, limitMs: 300 }] } } },
      world: { clock: this.world.clock, sys, streams, locks, notes, attributes: driver.attributes(FOLDER) },
      log: this.world.log(`${self} hooks`),
    });
  }
}

describe('the enforcer', () => {
  it('passes what it claims of the conformance suite', () => {
    let results: readonly CheckResult[] = [];
    const enforcer = new TrustedTouchEnforcer(parts());
    runConformance({ enforcer, bundle: BUNDLE, vms: [ANDROID, VAULT] }, (given) => {
      results = given;
    });
    expect(results.filter(({ verdict }) => verdict === 'fail')).toEqual([]);
    expect(results.filter(({ verdict }) => verdict === 'pass').length).toBeGreaterThanOrEqual(14);
  });

  it('claims no more than that somebody says so', () => {
    expect(new TrustedTouchEnforcer(parts()).describe()).toMatchObject({
      kind: 'party',
      evidence: 'asserted',
      capabilities: { forceRevoke: false, reset: false, faultReport: false },
    });
  });

  it('knows after a restart of the service who holds, and nothing after one of the machine', () => {
    const store = new Memory();
    const before = new TrustedTouchEnforcer(parts(store));
    expect(reachOf(before)).toBe('unknown');
    const { resources } = BUNDLE.devices[0]!;
    const fence = resources.map(({ id }) => ({ op: 'fence', resource: id }) as const);
    const grant = resources.map(({ id }) => ({ op: 'grant', resource: id, vm: VAULT }) as const);
    before.run(BUNDLE.id, [...fence, { op: 'settle' }, ...grant], () => {});
    expect(store.saves).toBe(1);
    expect(reachOf(new TrustedTouchEnforcer(parts(store)))).toBe(VAULT);
    expect(reachOf(new TrustedTouchEnforcer(parts(store, 'two')))).toBe('unknown');
  });

  it('goes on when nothing can be noted, and says so', () => {
    const store = new Memory();
    store.isFull = true;
    const made = parts(store);
    const enforcer = new TrustedTouchEnforcer(made);
    const { id } = BUNDLE.devices[0]!.resources[0]!;
    let ok = false;
    enforcer.run(BUNDLE.id, [{ op: 'fence', resource: id }, { op: 'settle' }], (answers) => {
      ok = answers.every((answer) => answer.ok);
    });
    expect(ok).toBe(true);
    expect(made.logs).toEqual(['error the holders cannot be recorded']);
  });
});

describe('a loan by the drivers of both guests', () => {
  it('goes there and back', async () => {
    const testbed = await new Testbed().start();
    testbed.borrow();
    await testbed.pass(200);
    expect(testbed.view).toMatchObject({ state: 'held', holder: VAULT, confirmed: true });
    expect(testbed.manager.standing).toEqual({ iomem: 'accepted', irq: 'accepted' });
    testbed.world.agents.get(VAULT)!.giveBack(BUNDLE.id);
    await testbed.pass(200);
    expect(testbed.view).toMatchObject({ state: 'held', holder: ANDROID, confirmed: true });
    expect(testbed.manager.standing).toEqual({ iomem: 'owner', irq: 'owner' });
    expect(testbed.owner.interruptOn && !testbed.borrower.interruptOn).toBe(true);
  });

  it('is refused to who asks for more evidence than there is', async () => {
    const testbed = await new Testbed().start();
    testbed.borrow({ evidence: 'observed' });
    await testbed.pass(300);
    expect(testbed.world.told(VAULT)).toContain('declined');
    expect(testbed.manager.calls).toEqual([]);
  });

  it.each(['lent irq', 'lent iomem'])('of which the notice %s is lost goes home', async (lost) => {
    const testbed = await new Testbed().start();
    testbed.manager.faults.lost.push(lost);
    testbed.borrow();
    await testbed.pass(1_500);
    expect(testbed.world.told(VAULT)).toContain('declined');
    expect(testbed.view).toMatchObject({ state: 'held', holder: ANDROID, confirmed: true });
    expect(testbed.manager.standing).toEqual({ iomem: 'owner', irq: 'owner' });
  });

  it('that the owner’s driver cannot lend leaves everything with the owner', async () => {
    const testbed = await new Testbed().start();
    testbed.manager.faults.failing.push('lend irq');
    testbed.borrow();
    await testbed.pass(1_000);
    expect(testbed.view).toMatchObject({ state: 'held', holder: ANDROID });
    expect(testbed.manager.standing).toEqual({ iomem: 'owner', irq: 'owner' });
    expect(testbed.owner.interruptOn).toBe(true);
  });

  it('that is overdue waits for the borrower: nothing is forced', async () => {
    const testbed = await new Testbed().start();
    testbed.borrow({ leaseMs: 1_000, noticeMs: 100 });
    await testbed.pass(300);
    testbed.world.network.faults = { ...testbed.world.network.faults, loss: 1 };
    await testbed.pass(6_000);
    expect(testbed.view).toMatchObject({ state: 'held', holder: VAULT });
    expect(testbed.manager.standing).toEqual({ iomem: 'accepted', irq: 'accepted' });
    expect(testbed.world.audit.join('\n')).toContain('overdue');
  });

  it('goes home when the borrower’s VM ends, without the notice that never comes', async () => {
    const testbed = await new Testbed().start();
    testbed.borrow();
    await testbed.pass(200);
    testbed.manager.borrowerEnded();
    testbed.incarnations.end(VAULT);
    await testbed.pass(2_000);
    expect(testbed.view).toMatchObject({ state: 'held', holder: ANDROID, confirmed: true });
    expect(testbed.manager.standing).toEqual({ iomem: 'owner', irq: 'owner' });
    expect(testbed.incarnations.released).toEqual([VAULT]);
  });

  it('goes on over a restart of the host', async () => {
    const testbed = await new Testbed().start();
    testbed.borrow();
    await testbed.pass(200);
    testbed.world.host.stop();
    testbed.world.startHost();
    await testbed.pass(2_500);
    expect(testbed.view).toMatchObject({ state: 'held', holder: VAULT });
    expect(testbed.manager.standing).toEqual({ iomem: 'accepted', irq: 'accepted' });
    testbed.world.agents.get(VAULT)!.giveBack(BUNDLE.id);
    await testbed.pass(500);
    expect(testbed.view).toMatchObject({ state: 'held', holder: ANDROID, confirmed: true });
  });

  it('whose borrower lies about its release is not taken: the owner stays dark until the truth', async () => {
    const testbed = await new Testbed().start();
    testbed.borrow();
    await testbed.pass(200);
    testbed.manager.faults.failing.push('release irq', 'release iomem');
    testbed.world.agents.get(VAULT)!.giveBack(BUNDLE.id);
    await testbed.pass(1_000);
    expect(testbed.manager.standing).toEqual({ iomem: 'accepted', irq: 'accepted' });
    expect(testbed.owner.interruptOn).toBe(false);
    testbed.manager.borrowerEnded();
    await testbed.pass(8_000);
    // A driver that has failed to reclaim, and was told of the memory alone, forgets the interrupt (docs/PLATFORMS.md).
    expect(testbed.manager.standing).toEqual({ iomem: 'owner', irq: 'offered' });
    expect(testbed.view).toMatchObject({ state: 'held', holder: ANDROID, confirmed: true });
  });
});
