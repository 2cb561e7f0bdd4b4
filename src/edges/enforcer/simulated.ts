/**
 * The Enforcer over a simulated machine: the emitters do the work, the machine only executes their writes.
 *
 * It uses the machine through the interface below; the machine does not depend on it. The same class serves any
 * platform whose tables, SMMU and GIC we own. `sabotages` switch off one safeguard each, as negative controls.
 */

import type { Device } from '../../core/protocol/bundle.ts';
import type { BundleId, DeviceId, VmId } from '../../core/protocol/ids.ts';
import type {
  Enforcer,
  EnforcerAnswer,
  EnforcerCall,
  EnforcerDescription,
  EnforcerEvent,
  FaultRecord,
} from '../../ports/enforcer.ts';
import { HardwareError } from './bus.ts';
import { FaultLog } from './fault-log.ts';
import type { DrainedEvents } from './smmuv3.ts';
import { type PlannedGrant, type Sabotage, type TablePlatform, Tables } from './tables.ts';

/** Polls of a busy device after its reset before it counts as stuck. A transfer under way ends within these. */
export const IDLE_POLLS_MAX = 1000;

/** What the enforcer needs of a platform besides the tables. */
export interface SimulatedPlatform extends TablePlatform {
  /** Changes at every reboot of the machine. */
  readonly machineBoot: string;
  /** VMs that run. */
  running(): readonly VmId[];
  /** Pulls the reset line of a device, if it has one that the hypervisor drives. */
  resetDevice(bundle: BundleId, device: DeviceId): void;
  /** Returns whether a transfer of the device is under way, in the device or behind it. */
  isDeviceBusy(bundle: BundleId, device: DeviceId): boolean;
  /** Stage-2 aborts since the last call. */
  takeAborts(): readonly FaultRecord[];
  acknowledgeStart(vm: VmId): void;
  acknowledgeExit(vm: VmId): void;
  /**
   * Sets the one listener; `null` removes it. Unacknowledged VM starts and ends are reported again at once, so that a
   * restarted service does not miss them.
   */
  onEvent(listener: ((event: EnforcerEvent) => void) | null): void;
}

export class SimulatedEnforcer implements Enforcer {
  readonly #platform: SimulatedPlatform;
  readonly #tables: Tables;
  readonly #sabotages: ReadonlySet<Sabotage>;
  readonly #faults = new FaultLog();
  #isRunning = false;
  #announced = false;
  #listener: ((event: EnforcerEvent) => void) | null = null;
  /** Events during calls; reported when the calls are done. */
  #held: EnforcerEvent[] = [];

  constructor(platform: SimulatedPlatform, sabotages: ReadonlySet<Sabotage> = new Set()) {
    this.#platform = platform;
    this.#sabotages = sabotages;
    this.#tables = new Tables(platform, sabotages);
  }

  describe(): EnforcerDescription {
    return {
      name: 'simulated',
      kind: 'central',
      evidence: 'observed',
      capabilities: {
        forceRevoke: true,
        reset: true,
        faultReport: true,
      },
    };
  }

  machineBoot(): string {
    return this.#platform.machineBoot;
  }

  running(): readonly VmId[] {
    return this.#platform.running();
  }

  run(
    bundle: BundleId,
    calls: readonly EnforcerCall[],
    done: (answers: readonly EnforcerAnswer[]) => void,
  ): void {
    if (!this.#platform.bundles.some(({ id }) => id === bundle)) {
      done([{ ok: false, error: `unknown bundle ${bundle}` }]);
      return;
    }
    this.#isRunning = true;
    const answers: EnforcerAnswer[] = [];
    try {
      for (let at = 0; at < calls.length && isGood(answers); ) {
        // Consecutive grants share their syncs; every other call is separate.
        const group = calls[at]!.op === 'grant' ? grantsFrom(calls, at) : 1;
        this.#carryOut(bundle, calls.slice(at, at + group), answers);
        at += group;
      }
    } finally {
      this.#isRunning = false;
    }
    done(answers);
    this.#tellHeld();
  }

  faults(): readonly FaultRecord[] {
    this.#announced = false;
    this.#collect();
    return this.#faults.take();
  }

  acknowledgeStart(vm: VmId): void {
    this.#platform.acknowledgeStart(vm);
  }

  acknowledgeExit(vm: VmId): void {
    this.#platform.acknowledgeExit(vm);
  }

  onEvent(listener: (event: EnforcerEvent) => void): void {
    this.#listener = listener;
    this.#platform.onEvent((event) => this.#tell(event));
  }

  close(): void {
    this.#listener = null;
    this.#platform.onEvent(null);
  }

  #carryOut(bundle: BundleId, calls: readonly EnforcerCall[], answers: EnforcerAnswer[]): void {
    try {
      const first = calls[0]!;
      if (first.op === 'grant') this.#grant(bundle, calls, answers);
      else answers.push(this.#single(bundle, first));
    } catch (error) {
      if (!(error instanceof HardwareError)) throw error;
      answers.push({ ok: false, error: error.message });
    }
  }

  #single(bundle: BundleId, call: Exclude<EnforcerCall, { op: 'grant' }>): EnforcerAnswer {
    switch (call.op) {
      case 'fence':
        this.#tables.fence(this.#tables.slot(bundle, call.resource));
        return { ok: true };
      case 'settle': {
        const { syncs, drained } = this.#tables.settle();
        this.#book(drained);
        return { ok: true, syncs };
      }
      case 'reset':
        this.#reset(bundle, this.#device(bundle, call.device));
        return { ok: true };
      case 'drained':
        return { ok: true, idle: this.#isIdle(bundle, this.#device(bundle, call.device)) };
      case 'inspect':
        return { ok: true, reach: this.#tables.inspect(this.#tables.slot(bundle, call.resource)) };
    }
  }

  /** Grants up to the first refused one; its refusal is the last answer. */
  #grant(bundle: BundleId, calls: readonly EnforcerCall[], answers: EnforcerAnswer[]): void {
    const planned: PlannedGrant[] = [];
    let refusal: EnforcerAnswer | undefined;
    for (const call of calls) {
      if (call.op !== 'grant') break;
      try {
        planned.push(this.#tables.planGrant(this.#tables.slot(bundle, call.resource), call.vm));
      } catch (error) {
        if (!(error instanceof HardwareError)) throw error;
        refusal = { ok: false, error: error.message };
        break;
      }
    }
    answers.push(...this.#tables.grant(planned));
    if (refusal !== undefined) answers.push(refusal);
  }

  /**
   * Reset, wait for transfers under way, reset again, then clear the interrupts: a transfer that ends after a reset
   * may still raise one. The device is blocked all the time.
   */
  #reset(bundle: BundleId, device: Device): void {
    for (const resource of device.resources) {
      const reach = this.#tables.inspect(this.#tables.slot(bundle, resource.id));
      if (reach !== 'blocked' && !this.#sabotages.has('skip-unmap')) {
        throw new HardwareError(`${device.id} cannot be reset: ${resource.id} is reached by ${reach}`);
      }
    }
    this.#pullReset(bundle, device);
    if (!this.#sabotages.has('skip-drain')) {
      this.#awaitIdle(bundle, device);
      // A transfer that ended after the first reset may have raised a line or filled a buffer.
      this.#pullReset(bundle, device);
    }
    for (const resource of device.resources) {
      if (resource.kind !== 'interrupt') continue;
      for (const vm of this.#platform.vms()) this.#platform.gic.withdraw(resource.physical, vm.processor);
      this.#platform.gic.clear(resource.physical);
    }
    this.#book(this.#tables.drain());
  }

  /** A device without a reset line stays as its driver left it: only that driver can clear it. */
  #pullReset(bundle: BundleId, device: Device): void {
    if (!this.#sabotages.has('skip-reset')) this.#platform.resetDevice(bundle, device.id);
  }

  #awaitIdle(bundle: BundleId, device: Device): void {
    for (let polls = 0; polls < IDLE_POLLS_MAX; polls++) {
      if (!this.#platform.isDeviceBusy(bundle, device.id)) return;
      this.#platform.bus.poll();
    }
    throw new HardwareError(`${device.id} is still busy ${IDLE_POLLS_MAX} polls after its reset`);
  }

  #isIdle(bundle: BundleId, device: Device): boolean {
    if (this.#sabotages.has('skip-drain')) return true;
    // A caller repeats the call until its deadline: give a transfer time to end.
    this.#platform.bus.poll();
    if (this.#platform.isDeviceBusy(bundle, device.id)) return false;
    return device.resources.every((resource) => {
      if (resource.kind !== 'interrupt') return true;
      const state = this.#platform.gic.state(resource.physical);
      return !state.pending && !state.active;
    });
  }

  #device(bundle: BundleId, device: DeviceId): Device {
    const definition = this.#platform.bundles.find(({ id }) => id === bundle);
    const found = definition?.devices.find(({ id }) => id === device);
    if (found === undefined) throw new HardwareError(`unknown device ${device} in bundle ${bundle}`);
    return found;
  }

  #collect(): void {
    for (const record of this.#platform.takeAborts()) this.#faults.add(record);
    this.#book(this.#tables.drain());
  }

  #book({ events, lost }: DrainedEvents): void {
    if (lost) this.#faults.markLost();
    for (const { event, stream, address, write } of events) {
      const owner = this.#tables.streamOwner(stream);
      const record = { by: 'dma', ...owner, stream, address, write, event, count: 1, lost: false } as const;
      this.#faults.add(record);
    }
  }

  #tell(event: EnforcerEvent): void {
    if (event.kind === 'faultsPending') {
      if (this.#announced) return;
      this.#announced = true;
    }
    if (this.#isRunning) this.#held.push(event);
    else this.#listener?.(event);
  }

  #tellHeld(): void {
    while (!this.#isRunning && this.#held.length > 0) this.#listener?.(this.#held.shift()!);
    if (!this.#announced && this.#faults.size > 0) this.#tell({ kind: 'faultsPending' });
  }
}

function isGood(answers: readonly EnforcerAnswer[]): boolean {
  return answers.length === 0 || answers[answers.length - 1]!.ok;
}

/** Returns how many calls from `at` on are grants. */
function grantsFrom(calls: readonly EnforcerCall[], at: number): number {
  let end = at;
  while (end < calls.length && calls[end]!.op === 'grant') end++;
  return end - at;
}
