/**
 * Turns fence, settle, grant and inspect into writes of tables, queues and registers, for hypervisors whose tables we
 * own.
 *
 * It keeps a small shadow of what was fenced and not yet settled. It refuses a grant of what is granted elsewhere or
 * not settled, whatever the caller assumes. `inspect` always reads back, never from the shadow alone.
 */

import {
  type BundleDefinition,
  type InterruptResource,
  type MmioResource,
  type Resource,
  resourcesOf,
  type StreamResource,
  streamIdsOf,
  viewOf,
} from '../../core/protocol/bundle.ts';
import type { BundleId, ResourceId, VmId } from '../../core/protocol/ids.ts';
import { ENTRY_BYTES_MAX } from '../../core/protocol/messages.ts';
import type { EnforcerAnswer, Reach } from '../../ports/enforcer.ts';
import { HardwareError, type MachineBus, type ProcessorPort } from './bus.ts';
import type { Gic } from './gic.ts';
import { type DrainedEvents, entryHalves, type Smmuv3 } from './smmuv3.ts';
import {
  cfgiAll,
  cfgiSte,
  decodeEntry,
  STE_CONFIG,
  silentEntry,
  stage2Entry,
  tlbiAll,
  tlbiVmid,
} from './smmuv3-layout.ts';
import { PAGE_BYTES, type Stage2 } from './stage2.ts';

/** One safeguard switched off on purpose, as negative control of a test. */
export type Sabotage =
  /** Register pages stay mapped in the tables of the old holder. */
  | 'skip-unmap'
  /** Commands are given to the SMMU without waiting for completion; the same for masking at the GIC. */
  | 'skip-sync'
  /** A reset is reported but not carried out. */
  | 'skip-reset'
  /** A device is reported idle without a check. */
  | 'skip-drain'
  /** TLBs of processors are invalidated, that of the SMMU is not. */
  | 'smmu-tlbi';

/** Every sabotage, for the command line and for tests that try them all. */
export const SABOTAGES: readonly Sabotage[] = [
  'skip-unmap',
  'skip-sync',
  'skip-reset',
  'skip-drain',
  'smmu-tlbi',
];

/** Most event records read in one drain: bounds the settle time in a fault storm. */
export const DRAIN_MAX = 256;
/** Events of one blocked stream after which it aborts silently: enough to report it, too few to flood others. */
export const STORM_EVENTS = 64;

/** A VM as the hypervisor knows it. It is pinned to one processor. */
export interface HostedVm {
  readonly vm: VmId;
  readonly processor: number;
  readonly vmid: number;
  readonly stage2: Stage2;
}

/** What the tables need of their hypervisor. */
export interface TablePlatform {
  readonly bus: MachineBus;
  readonly processors: ProcessorPort;
  readonly smmu: Smmuv3;
  readonly gic: Gic;
  readonly bundles: readonly BundleDefinition[];
  /** VMs whose memory is not freed: starting, running, or ended and not acknowledged. */
  vms(): readonly HostedVm[];
  /** Returns whether a VM runs or is about to: only then can it be granted anything. */
  isAlive(vm: VmId): boolean;
}

interface Slot {
  readonly resource: Resource;
  /** A VM: granted to it. `unsettled`: fenced, not proven yet. `blocked`: settled. */
  state: HostedVm | 'unsettled' | 'blocked';
  /** Events since the stream was fenced. */
  events: number;
  /** The stream was silenced after a storm. */
  silent: boolean;
}

/** A checked grant. */
export interface PlannedGrant {
  readonly slot: Slot;
  readonly vm: HostedVm;
}

export class Tables {
  readonly #platform: TablePlatform;
  readonly #sabotages: ReadonlySet<Sabotage>;
  readonly #slots = new Map<BundleId, Map<ResourceId, Slot>>();
  readonly #streams = new Map<number, Slot>();
  readonly #dirtyStreams = new Set<number>();
  readonly #dirtyVms = new Set<HostedVm>();
  readonly #dirtyInterrupts = new Set<number>();

  /** Adopts the tables as they are: everything blocked in them is settled here, once. */
  constructor(platform: TablePlatform, sabotages: ReadonlySet<Sabotage>) {
    this.#platform = platform;
    this.#sabotages = sabotages;
    for (const bundle of platform.bundles) {
      const slots = new Map<ResourceId, Slot>();
      for (const resource of resourcesOf(bundle)) {
        const slot: Slot = { resource, state: 'blocked', events: 0, silent: false };
        slots.set(resource.id, slot);
        if (resource.kind !== 'stream') continue;
        if (resource.smmu !== undefined && resource.smmu !== platform.smmu.registers)
          throw new HardwareError(
            `${bundle.id} ${resource.id} is at the SMMU 0x${resource.smmu.toString(16)}; this ` +
              `machine’s is at 0x${platform.smmu.registers.toString(16)}`,
          );
        for (const id of streamIdsOf(resource)) this.#streams.set(id, slot);
      }
      this.#slots.set(bundle.id, slots);
    }
    this.#adopt();
  }

  /** Returns the slot of a resource. Throws a HardwareError that names what is unknown. */
  slot(bundle: BundleId, resource: ResourceId): Slot {
    const slot = this.#slots.get(bundle)?.get(resource);
    if (slot === undefined) throw new HardwareError(`unknown resource ${resource} in bundle ${bundle}`);
    return slot;
  }

  /** The stream table entry's owner among the bundles, or undefined for a stream that is in none. */
  streamOwner(stream: number): { readonly bundle: BundleId; readonly resource: ResourceId } | undefined {
    const slot = this.#streams.get(stream);
    if (slot === undefined) return undefined;
    for (const [bundle, slots] of this.#slots) {
      if (slots.get(slot.resource.id) === slot) return { bundle, resource: slot.resource.id };
    }
    return undefined;
  }

  /** Blocks every path to a resource, in memory and registers. Effective after `settle`. Idempotent. */
  fence(slot: Slot): void {
    const { resource } = slot;
    if (resource.kind === 'mmio') this.#unmap(resource);
    else if (resource.kind === 'stream') this.#blockStream(slot, resource);
    else this.#maskInterrupt(resource);
    slot.state = 'unsettled';
  }

  /**
   * Makes everything fenced so far unreachable and drains the event queue. Returns the number of completed syncs.
   * Throws a HardwareError when hardware fails; the fenced resources then stay unsettled for a retry.
   */
  settle(): { readonly syncs: number; readonly drained: DrainedEvents } {
    const { smmu, gic, processors } = this.#platform;
    const before = smmu.syncs;
    if (!this.#sabotages.has('skip-sync')) gic.settle();
    for (const interrupt of this.#dirtyInterrupts) this.#withdraw(interrupt);
    for (const stream of this.#dirtyStreams) smmu.push(cfgiSte(stream));
    for (const vm of this.#dirtyVms) {
      processors.invalidateStage2(vm.vmid);
      if (!this.#sabotages.has('smmu-tlbi')) smmu.push(tlbiVmid(vm.vmid));
    }
    this.#sync();
    this.#dirtyStreams.clear();
    this.#dirtyVms.clear();
    this.#dirtyInterrupts.clear();
    for (const slots of this.#slots.values()) {
      for (const slot of slots.values()) if (slot.state === 'unsettled') slot.state = 'blocked';
    }
    const drained = this.drain();
    return { syncs: smmu.syncs - before, drained };
  }

  /** Reads the records of the event queue; silences a blocked stream that floods it. */
  drain(): DrainedEvents {
    const drained = this.#platform.smmu.drainEvents(DRAIN_MAX);
    for (const event of drained.events) {
      const slot = this.#streams.get(event.stream);
      if (slot === undefined || typeof slot.state !== 'string' || slot.silent) continue;
      slot.events++;
      if (slot.events >= STORM_EVENTS) this.#silence(slot);
    }
    return drained;
  }

  /** Checks one grant. Throws a HardwareError with the reason when it is not allowed. */
  planGrant(slot: Slot, vm: VmId): PlannedGrant {
    const target = this.#platform.vms().find((hosted) => hosted.vm === vm && this.#platform.isAlive(vm));
    if (target === undefined) throw new HardwareError(`VM ${vm} is not running`);
    const { state, resource } = slot;
    if (state === 'unsettled') throw new HardwareError(`${resource.id} is fenced but not settled`);
    if (typeof state !== 'string' && state !== target) {
      throw new HardwareError(`${resource.id} is granted to ${state.vm}, fence and settle it first`);
    }
    return { slot, vm: target };
  }

  /**
   * Carries out several grants with two syncs in total for their streams: words 7 to 1 of every entry, sync, word 0
   * of every entry, sync. Then pages are mapped, and interrupts routed and unmasked last.
   */
  grant(grants: readonly PlannedGrant[]): EnforcerAnswer[] {
    const before = grants.map(({ slot, vm }) => this.#evidence(slot.resource, vm));
    const fresh = grants.filter(({ slot, vm }) => slot.state !== vm);
    this.#grantStreams(fresh);
    for (const { slot, vm } of fresh) {
      const { resource } = slot;
      if (resource.kind !== 'mmio') continue;
      vm.stage2.map(viewOf(resource, vm.vm), resource.physical, resource.bytes, 'device');
    }
    for (const { slot, vm } of fresh) {
      if (slot.resource.kind === 'interrupt') this.#grantInterrupt(slot.resource, vm);
    }
    for (const { slot, vm } of fresh) slot.state = vm;
    return grants.map(({ slot, vm }, index) => ({
      ok: true,
      before: before[index]!,
      after: this.#evidence(slot.resource, vm),
    }));
  }

  /** Reads back who reaches a resource. `unknown`: several VMs, only a part of it, or fenced and not settled. */
  inspect(slot: Slot): Reach {
    const reach = this.#readBack(slot.resource);
    return reach === 'blocked' && slot.state === 'unsettled' ? 'unknown' : reach;
  }

  #adopt(): void {
    const { smmu, processors } = this.#platform;
    for (const slots of this.#slots.values()) {
      for (const slot of slots.values()) {
        const reach = this.#readBack(slot.resource);
        const holder = this.#platform.vms().find((vm) => vm.vm === reach);
        slot.state = holder ?? (reach === 'blocked' ? 'blocked' : 'unsettled');
      }
    }
    for (const vm of this.#platform.vms()) processors.invalidateStage2(vm.vmid);
    smmu.push(cfgiAll());
    smmu.push(tlbiAll());
    smmu.sync();
    this.#platform.gic.settle();
    // A masked but unsettled interrupt may still be pending at a virtual processor.
    for (const slots of this.#slots.values())
      for (const { state, resource } of slots.values())
        if (state === 'blocked' && resource.kind === 'interrupt') this.#withdraw(resource.physical);
  }

  /** Removes an interrupt from all virtual processors. */
  #withdraw(interrupt: number): void {
    const { gic } = this.#platform;
    for (const vm of this.#platform.vms()) gic.withdraw(interrupt, vm.processor);
  }

  #unmap(resource: MmioResource): void {
    if (this.#sabotages.has('skip-unmap')) return;
    for (const vm of this.#platform.vms()) {
      const pages = vm.stage2.unmap(viewOf(resource, vm.vm), resource.physical, resource.bytes);
      if (pages > 0) this.#dirtyVms.add(vm);
    }
  }

  #blockStream(slot: Slot, resource: StreamResource): void {
    slot.events = 0;
    slot.silent = false;
    for (const id of streamIdsOf(resource)) {
      this.#platform.smmu.block(id);
      this.#dirtyStreams.add(id);
    }
  }

  #maskInterrupt(resource: InterruptResource): void {
    this.#platform.gic.mask(resource.physical);
    this.#dirtyInterrupts.add(resource.physical);
  }

  #grantStreams(grants: readonly PlannedGrant[]): void {
    const { smmu } = this.#platform;
    const streams = grants.filter(({ slot }) => slot.resource.kind === 'stream');
    if (streams.length === 0) return;
    const silent = streams.filter(({ slot }) => slot.silent);
    for (const { slot } of silent) {
      for (const id of idsOf(slot)) {
        smmu.block(id);
        smmu.push(cfgiSte(id));
      }
      slot.silent = false;
    }
    if (silent.length > 0) this.#sync();
    for (const { slot, vm } of streams) {
      for (const id of idsOf(slot)) smmu.prepare(id, stage2Entry(vm.vmid, vm.stage2.root));
    }
    this.#sync();
    for (const { slot, vm } of streams) {
      for (const id of idsOf(slot)) smmu.enable(id, stage2Entry(vm.vmid, vm.stage2.root));
    }
    this.#sync();
  }

  /**
   * Clears what the line latched since the reset, while it is still masked: a pending interrupt would be delivered to
   * the new holder when it is unmasked (reference el2.md, hazard 3).
   */
  #grantInterrupt(resource: InterruptResource, vm: HostedVm): void {
    const { gic } = this.#platform;
    gic.route(
      resource.physical,
      { processor: vm.processor, virtual: viewOf(resource, vm.vm) },
      resource.trigger,
    );
    if (!this.#sabotages.has('skip-drain')) gic.clear(resource.physical);
    gic.unmask(resource.physical);
  }

  /** Called while faults are read, which must not fail: where the SMMU hangs, the next events silence the stream. */
  #silence(slot: Slot): void {
    const { smmu } = this.#platform;
    try {
      for (const id of idsOf(slot)) smmu.enable(id, silentEntry());
      this.#sync();
      slot.silent = true;
    } catch (error) {
      if (!(error instanceof HardwareError)) throw error;
    }
  }

  #sync(): void {
    if (this.#sabotages.has('skip-sync')) this.#platform.smmu.ringOnly();
    else this.#platform.smmu.sync();
  }

  #readBack(resource: Resource): Reach {
    if (resource.kind === 'mmio') return this.#readPages(resource);
    if (resource.kind === 'stream') {
      // A stream with a mask has an entry for each ID. If they differ, the holder is unknown.
      const reached = new Set(streamIdsOf(resource).map((id) => this.#readStream(id)));
      return reached.size === 1 ? [...reached][0]! : 'unknown';
    }
    const state = this.#platform.gic.state(resource.physical);
    if (!state.enabled) return 'blocked';
    return this.#platform.vms().find((vm) => vm.processor === state.processor)?.vm ?? 'unknown';
  }

  #readStream(id: number): Reach {
    const entry = decodeEntry(entryHalves(this.#platform.smmu.readEntry(id)));
    if (!entry.valid || entry.config === STE_CONFIG.abort) return 'blocked';
    const holder = this.#platform.vms().find((vm) => vm.stage2.root === entry.root && vm.vmid === entry.vmid);
    return entry.config === STE_CONFIG.stage2 && holder !== undefined ? holder.vm : 'unknown';
  }

  #readPages(resource: MmioResource): Reach {
    let reach: Reach = 'blocked';
    for (const vm of this.#platform.vms()) {
      const pages = vm.stage2.countMapped(viewOf(resource, vm.vm), resource.physical, resource.bytes);
      if (pages === 0) continue;
      if (reach !== 'blocked' || pages * PAGE_BYTES !== resource.bytes) return 'unknown';
      reach = vm.vm;
    }
    return reach;
  }

  /** The table entry as bytes: words 0 to 3 of a stream's, 8 of a page's descriptor, 8 of an interrupt's state. */
  #evidence(resource: Resource, vm: HostedVm): Uint8Array {
    if (resource.kind === 'stream') {
      return this.#platform.smmu.readEntry(resource.physical).slice(0, ENTRY_BYTES_MAX);
    }
    if (resource.kind === 'mmio') return vm.stage2.readDescriptor(viewOf(resource, vm.vm));
    const state = this.#platform.gic.state(resource.physical);
    const flags =
      Number(state.enabled) |
      (Number(state.pending) << 1) |
      (Number(state.active) << 2) |
      (Number(state.edge) << 3);
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setUint32(0, state.processor, true);
    new DataView(bytes.buffer).setUint32(4, flags, true);
    return bytes;
  }
}

/** Stream IDs of a slot; none if the resource is not a stream. */
function idsOf({ resource }: Slot): readonly number[] {
  return resource.kind === 'stream' ? streamIdsOf(resource) : [];
}
