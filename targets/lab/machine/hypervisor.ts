/**
 * The hypervisor part of the simulated machine: emitters over its bus, VMs with their tables, their begin and end.
 *
 * A VM starts and ends in two steps, each waiting for an acknowledgement, so that the coordinator can act before
 * the first instruction and before anything is freed (M5). Then memory, VMID, processor and tables are
 * used again at once by the next VM: a path that was left open leads into somebody else's memory.
 */

import { type BundleDefinition, resourcesOf, viewOf } from '../../../src/core/protocol/bundle.ts';
import type { VmId } from '../../../src/core/protocol/ids.ts';
import type { MachineBus, ProcessorPort } from '../../../src/edges/enforcer/bus.ts';
import { Gic } from '../../../src/edges/enforcer/gic.ts';
import { Smmuv3 } from '../../../src/edges/enforcer/smmuv3.ts';
import { cfgiSte, stage2Entry, tlbiVmid } from '../../../src/edges/enforcer/smmuv3-layout.ts';
import { PAGE_BYTES, Stage2, tablePool } from '../../../src/edges/enforcer/stage2.ts';
import type { EnforcerEvent } from '../../../src/ports/enforcer.ts';
import {
  ENGINE_BASE,
  ENGINE_STREAM,
  GIC_BASE,
  RAM_BASE,
  RAM_SLOT_BYTES,
  SMMU_LAYOUT,
  TABLES_BASE,
  TABLES_BYTES,
  VM_SLOTS,
} from './board.ts';
import { RAM_BYTES, RAM_IPA, type VmInstance } from './vm.ts';

/** What the hypervisor tells the machine. */
export interface HypervisorHost {
  /** A VM was given memory and tables. */
  vmBegins(vm: VmInstance): void;
  /** Nothing of a VM is kept any more. */
  vmEnds(vm: VmInstance): void;
  /** A VM's memory is given up; it is to be zeroed. */
  scrub(physical: number, bytes: number): void;
  /** Resets the DMA engine. Returns whether a copy is still under way. */
  stopEngine(): boolean;
}

export class Hypervisor {
  readonly smmu: Smmuv3;
  readonly gic: Gic;
  readonly #bus: MachineBus;
  readonly #processors: ProcessorPort;
  readonly #bundles: readonly BundleDefinition[];
  readonly #owner: VmId | undefined;
  readonly #host: HypervisorHost;
  readonly #slots: (VmInstance | undefined)[] = new Array(VM_SLOTS).fill(undefined);
  #serial = 0;
  #listener: ((event: EnforcerEvent) => void) | null = null;

  constructor(
    bus: MachineBus,
    processors: ProcessorPort,
    bundles: readonly BundleDefinition[],
    host: HypervisorHost,
  ) {
    this.#bus = bus;
    this.#processors = processors;
    this.#bundles = bundles;
    this.#owner = bundles[0]?.owner;
    this.#host = host;
    this.smmu = new Smmuv3(bus, SMMU_LAYOUT);
    this.gic = new Gic(bus, processors, GIC_BASE);
  }

  /** Boots: nothing passes the SMMU, every interrupt is masked. */
  boot(streams: Iterable<number>): void {
    this.gic.start();
    this.smmu.start(streams);
  }

  /** VMs whose memory is in use. */
  vms(): readonly VmInstance[] {
    return this.#slots.filter((vm) => vm !== undefined);
  }

  /** The current incarnation of a VM, if it has one. */
  find(vm: VmId): VmInstance | undefined {
    return this.#slots.find((known) => known?.vm === vm);
  }

  /** VMs that execute instructions. */
  running(): readonly VmId[] {
    return this.vms()
      .filter(({ state }) => state === 'running')
      .map(({ vm }) => vm);
  }

  /** Sets the listener and tells it again what nobody acknowledged. */
  onEvent(listener: ((event: EnforcerEvent) => void) | null): void {
    this.#listener = listener;
    if (listener === null) return;
    for (const { vm, state } of this.vms()) {
      if (state === 'starting') listener({ kind: 'vmStarting', vm });
      if (state === 'exited') listener({ kind: 'vmExited', vm });
    }
  }

  /** Tells the listener, if there is one. */
  tell(event: EnforcerEvent): boolean {
    this.#listener?.(event);
    return this.#listener !== null;
  }

  /**
   * Starts an incarnation: memory, tables, then the wait for the acknowledgement. Without a listener it runs at once.
   */
  startVm(name: VmId): void {
    const slot = this.#slots.indexOf(undefined);
    if (this.find(name) !== undefined) throw new RangeError(`VM ${name} exists already`);
    if (slot < 0) throw new RangeError(`VM ${name}: all ${VM_SLOTS} processors are taken`);
    const pool = tablePool(this.#bus, TABLES_BASE + slot * TABLES_BYTES, TABLES_BYTES);
    const stage2 = new Stage2(this.#bus, pool);
    const ramPhysical = RAM_BASE + slot * RAM_SLOT_BYTES;
    this.#serial++;
    const vm: VmInstance = {
      vm: name,
      processor: slot,
      vmid: slot + 1,
      stage2,
      serial: this.#serial,
      ramPhysical,
      state: 'starting',
    };
    this.#host.vmBegins(vm);
    stage2.map(RAM_IPA, ramPhysical, RAM_BYTES, 'memory');
    this.#reserve(vm);
    this.#slots[slot] = vm;
    if (name === this.#owner) this.#giveEngine(vm);
    if (!this.tell({ kind: 'vmStarting', vm: name })) this.acknowledgeStart(name);
  }

  /** The VM executes no further instruction. Its memory stays until the acknowledgement. */
  exitVm(name: VmId): void {
    const vm = this.find(name);
    if (vm === undefined || vm.state === 'exited') throw new RangeError(`VM ${name} does not run`);
    vm.state = 'exited';
    if (!this.tell({ kind: 'vmExited', vm: name })) this.acknowledgeExit(name);
  }

  /** The VM may run its first instruction. */
  acknowledgeStart(name: VmId): void {
    const vm = this.find(name);
    if (vm?.state === 'starting') vm.state = 'running';
  }

  /**
   * The coordinator is done with the ended VM. What belongs to no bundle is blocked here, and its VMID is
   * invalidated everywhere; then all it had is free.
   */
  acknowledgeExit(name: VmId): void {
    const vm = this.find(name);
    if (vm?.state !== 'exited') return;
    if (name === this.#owner) this.#takeEngine();
    for (let index = 0; index < this.#processors.listRegisters; index++) {
      this.#processors.writeListRegister(vm.processor, index, 0, 0);
    }
    this.#processors.invalidateStage2(vm.vmid);
    this.smmu.push(tlbiVmid(vm.vmid));
    this.smmu.sync();
    vm.state = 'ended';
    this.#host.vmEnds(vm);
    this.#host.scrub(vm.ramPhysical, RAM_BYTES);
    this.#slots[vm.processor] = undefined;
  }

  /** Makes the tables for every bundle the VM may ever hold. */
  #reserve({ vm, stage2 }: VmInstance): void {
    for (const resource of this.#bundles.flatMap(resourcesOf)) {
      if (resource.kind === 'mmio') stage2.reserve(viewOf(resource, vm), resource.bytes);
    }
  }

  /** The owner's DMA engine: registers and stream, for as long as the owner lives. */
  #giveEngine(vm: VmInstance): void {
    const entry = stage2Entry(vm.vmid, vm.stage2.root);
    vm.stage2.map(ENGINE_BASE, ENGINE_BASE, PAGE_BYTES, 'device');
    this.smmu.prepare(ENGINE_STREAM, entry);
    this.smmu.sync();
    this.smmu.enable(ENGINE_STREAM, entry);
    this.smmu.sync();
  }

  /** Blocks the engine; a copy under way ends at the blocked stream before anybody else gets the engine. */
  #takeEngine(): void {
    this.smmu.block(ENGINE_STREAM);
    this.smmu.push(cfgiSte(ENGINE_STREAM));
    this.smmu.sync();
    while (this.#host.stopEngine()) this.#bus.poll();
  }
}
