/**
 * Host and agents as processes on this machine, over the enforcer socket of an emulated one that runs a real hypervisor
 * (kvm-machine.ts). Its guests are bare, so the agent of a VM runs outside of it, and starts and ends with it.
 */

import type { ChildProcess } from 'node:child_process';
import type { Json } from '../../../src/common/lines.ts';
import { bundleFileText } from '../../../src/config/bundle-file.ts';
import type { BundleDefinition } from '../../../src/core/protocol/bundle.ts';
import type { VmId } from '../../../src/core/protocol/ids.ts';
import { ended } from '../../node/system/started.ts';
import { ANDROID, VAULT } from '../testbed/hardware.ts';
import { EMULATED_TIMES, type KvmMachine } from '../testbed/kvm-machine.ts';
import { Parties, START_MS } from './parties.ts';

export class RealTestbed extends Parties {
  readonly machine: KvmMachine;
  readonly bundle: BundleDefinition;
  readonly #agents = new Map<VmId, ChildProcess>();

  /** `machine` runs, with no host connected; `programs`: the folder of the built bundles. */
  constructor(machine: KvmMachine, bundle: BundleDefinition, programs?: string) {
    super(programs);
    this.machine = machine;
    this.bundle = bundle;
  }

  /**
   * Starts the host, and VMs with their agents where they do not run yet; resolves when the agents know who holds.
   * `enforcer`: where the host finds `baton-kvm`; `times`: deadlines that differ from the host's own.
   */
  async start(enforcer = this.machine.enforcer, times: Json = {}): Promise<void> {
    this.write('bundles.json', bundleFileText([this.bundle]));
    this.writeKeys();
    const address = (vm: VmId) => `unix:${this.path(`${vm}.link`)}`;
    const listen = Object.fromEntries([ANDROID, VAULT].map((vm) => [vm, address(vm)]));
    this.writeHost(
      { kind: 'kvm', address: `unix:${enforcer}` },
      { kind: 'stream', listen },
      {
        times: { ...EMULATED_TIMES, ...times },
      },
    );
    for (const vm of [ANDROID, VAULT])
      this.writeAgent(vm, this.bundle, { kind: 'stream', address: address(vm) }, {});
    await this.startHost(['--create-table']);
    for (const vm of [ANDROID, VAULT]) await this.startVm(vm);
  }

  /** Starts a VM, unless it runs, as soon as its last incarnation has ended, and its agent. */
  async startVm(vm: VmId): Promise<void> {
    const device = this.bundle.devices[0]!.id;
    // A host that has just started answers before it knows which VMs run.
    await this.machine.until(`${vm} runs or may start`, START_MS, async () => {
      if ((await this.runningVms())[vm] !== undefined) return true;
      return this.machine.ask({ do: 'startVm', vm, bundle: this.bundle.id, device }).then(
        () => true,
        () => false,
      );
    });
    this.#agents.set(vm, this.spawn('baton-agent', ['--config', this.path(`${vm}.json`)]));
    await this.watch(vm, vm as 'android' | 'vault');
    await this.until(`${vm} knows who holds`, START_MS, async () => {
      return ['held', 'idle', 'lent'].includes(await this.stateOf(vm));
    });
  }

  /** Ends a VM at once, and its agent with it; resolves when the host has let go of that incarnation. */
  async killVm(vm: VmId): Promise<void> {
    await this.machine.ask({ do: 'killVm', vm });
    await this.endAgent(vm, 'SIGKILL');
    await this.until(`the host knows that ${vm} ended`, START_MS, async () => {
      return (await this.runningVms())[vm] === undefined;
    });
  }

  /** Signals a VM's agent; resolves when it has ended, where the signal ends it. */
  async endAgent(vm: VmId, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    const agent = this.#agents.get(vm)!;
    agent.kill(signal);
    if (signal === 'SIGKILL') await ended(agent);
  }

  /** Running VMs and their incarnations, as the host knows them. */
  async runningVms(): Promise<Readonly<Record<string, number>>> {
    return (await this.ask('host', { do: 'status' }))['vms'] as Record<string, number>;
  }

  /** The host's view of the bundle. */
  async view(): Promise<Json> {
    return ((await this.ask('host', { do: 'status' }))['bundles'] as Json[])[0]!;
  }

  /** What an agent says of the bundle. */
  async stateOf(vm: VmId): Promise<string> {
    const { bundles } = await this.ask(vm, { do: 'status' });
    return String((bundles as Json[])[0]?.['state']);
  }
}
