/**
 * What the KVM tests share: calls of the enforcer's contract made by hand, and a host with its agents as processes,
 * with a tap between host and `baton-kvm`.
 */

import { join } from 'node:path';
import type { ControlClient } from '../../../src/cli/world.ts';
import type { Json } from '../../../src/common/lines.ts';
import { type BundleDefinition, resourcesOf } from '../../../src/core/protocol/bundle.ts';
import type { VmId } from '../../../src/core/protocol/ids.ts';
import type { Enforcer, EnforcerAnswer, EnforcerCall } from '../../../src/ports/enforcer.ts';
import { RealTestbed } from '../../../targets/lab/demo/real-testbed.ts';
import { ANDROID, ENGINE, SPARE, VAULT } from '../../../targets/lab/testbed/hardware.ts';
import type { KvmMachine } from '../../../targets/lab/testbed/kvm-machine.ts';
import { openEnforcer } from '../../../targets/node/host/enforcers.ts';
import { paced } from '../../support/pace.ts';
import { type Op, Tap } from './tap.ts';

export const ROOT = join(import.meta.dirname, '../../..');
/** Longest wait for a handover, in ms: reset takes 100 of them, the emulated machine the rest. */
export const MOVE_MS = paced(10_000);

const onResources = (bundle: BundleDefinition) => resourcesOf(bundle).map(({ id }) => id);

/** The calls of the phases. */
export const fence = (bundle: BundleDefinition): readonly EnforcerCall[] => [
  ...onResources(bundle).map((resource) => ({ op: 'fence', resource }) as const),
  { op: 'settle' },
];
export const clean = (bundle: BundleDefinition) =>
  (['reset', 'drained'] as const).map((op) => ({ op, device: bundle.devices[0]!.id }));
export const grant = (bundle: BundleDefinition, vm: VmId) =>
  onResources(bundle).map((resource) => ({ op: 'grant', resource, vm }) as const);
export const inspect = (bundle: BundleDefinition) =>
  onResources(bundle).map((resource) => ({ op: 'inspect', resource }) as const);

/** Connects to `baton-kvm` as the configuration `{"kind":"kvm"}` does. */
export async function openKvm(machine: KvmMachine): Promise<Enforcer> {
  const config = { kind: 'kvm', address: `unix:${machine.enforcer}` } as const;
  let opened: Enforcer | Error | undefined;
  openEnforcer(
    config,
    [ENGINE, SPARE],
    'unused',
    () => {},
    (result) => {
      opened = result;
    },
  );
  await machine.until('baton-kvm answers hello', MOVE_MS, () => opened !== undefined);
  if (opened instanceof Error) throw opened;
  return opened!;
}

/** Runs calls on a bundle. */
export function runCalls(
  enforcer: Enforcer,
  bundle: BundleDefinition,
  calls: readonly EnforcerCall[],
): Promise<readonly EnforcerAnswer[]> {
  return new Promise((resolve) => enforcer.run(bundle.id, calls, resolve));
}

export class KvmWorld {
  readonly machine: KvmMachine;
  readonly testbed: RealTestbed;
  readonly tap: Tap;
  /** The program in the borrower's VM that has the lease. */
  #lease: ControlClient | undefined;

  private constructor(machine: KvmMachine) {
    this.machine = machine;
    this.testbed = new RealTestbed(machine, ENGINE, join(ROOT, 'dist'));
    this.tap = new Tap(join(this.testbed.folder, 'tap.sock'), machine.enforcer);
  }

  /** Starts host, agents and VMs; resolves when the owner holds the bundle. */
  static async start(machine: KvmMachine): Promise<KvmWorld> {
    const world = new KvmWorld(machine);
    await world.tap.listen();
    await world.testbed.start(world.tap.path);
    await world.untilHeldBy(ANDROID);
    return world;
  }

  /** Borrows, with terms of the control socket. Resolves with the answer, or that there is none. */
  async borrow(terms: Json = {}): Promise<Json> {
    this.#lease?.close();
    const lease = await this.testbed.program(VAULT);
    this.#lease = lease;
    return lease
      .request({ do: 'borrow', bundle: ENGINE.id, purpose: 'pin', leaseMs: 60_000, ...terms })
      .catch((error: Error) => ({ ok: false, error: { message: error.message } }));
  }

  /**
   * Asks for the bundle; resolves when the host has ordered the run of it that begins with `op`, with the answer to
   * come.
   */
  async borrowUntil(op: Op): Promise<{ readonly answer: Promise<Json> }> {
    let isOrdered = false;
    void this.tap.ordered(op).then(() => {
      isOrdered = true;
    });
    const answer = this.borrow();
    let answered: Json | undefined;
    void answer.then((value) => {
      answered = value;
    });
    await this.machine
      .until(`${op} is ordered`, MOVE_MS, () => isOrdered)
      .catch(async (error: Error) => {
        const view = JSON.stringify(await this.testbed.view());
        throw new Error(`${error.message}\nhost: ${view}\nanswer: ${JSON.stringify(answered)}`);
      });
    return { answer };
  }

  /** Borrows, or gives back; resolves when both sides and the host say so. */
  async moveTo(vm: VmId): Promise<void> {
    if (vm === VAULT) {
      const answer = await this.borrow();
      if (answer['ok'] !== true) throw new Error(`not lent: ${JSON.stringify(answer)}`);
    } else {
      await this.#lease?.request({ do: 'return', bundle: ENGINE.id });
      this.#lease?.close();
      this.#lease = undefined;
    }
    await this.untilHeldBy(vm);
  }

  /** Whether a VM holds the bundle, as the host and its agent say alike. */
  async #holds(vm: VmId): Promise<boolean> {
    const { state, holder, confirmed } = await this.testbed.view();
    // Nobody else's agent is asked: it may be stopped, and never answer.
    if (state !== 'held' || confirmed !== true || holder !== vm) return false;
    return (await this.testbed.stateOf(vm)) === 'held';
  }

  /** The VM that holds the bundle; undefined while something is under way. */
  async holder(): Promise<VmId | undefined> {
    for (const vm of [ANDROID, VAULT]) if (await this.#holds(vm)) return vm;
    return undefined;
  }

  async untilHeldBy(vm: VmId): Promise<void> {
    await this.machine
      .until(`${vm} holds the bundle`, MOVE_MS, () => this.#holds(vm))
      .catch(async (error: Error) => {
        const view = JSON.stringify(await this.testbed.view().catch(() => 'no host'));
        throw new Error(`${error.message}\nhost: ${view}\n${this.testbed.complaints.slice(-8).join('\n')}`);
      });
  }

  /** Resolves with who holds when nothing is under way any more: a lease that its program lost is given back. */
  async atRest(): Promise<VmId> {
    let holder: VmId | undefined;
    await this.machine.until('host and agents agree on a holder', MOVE_MS, async () => {
      holder = await this.holder();
      const other = holder === VAULT ? ANDROID : VAULT;
      const state = await this.testbed.stateOf(other);
      return holder !== undefined && state === (other === ANDROID ? 'lent' : 'idle');
    });
    return holder!;
  }

  async stop(): Promise<void> {
    this.#lease?.close();
    await this.testbed.stop();
    this.tap.close();
  }
}
