/**
 * The simulated machine as a whole: memory, SMMU, GIC, devices, hypervisor, VMs and the checker over all of them.
 *
 * Everything runs when told to: `tick` lets hardware work, and so does every write of the hypervisor, by seed, so
 * that devices and guests (`background`) act between any two of its writes. A seed replays a run exactly.
 */

import {
  type BundleDefinition,
  type MmioResource,
  resourcesOf,
  viewOf,
} from '../../../src/core/protocol/bundle.ts';
import type { BundleId, ResourceId, VmId } from '../../../src/core/protocol/ids.ts';
import type { MachineBus, ProcessorPort } from '../../../src/edges/enforcer/bus.ts';
import { FaultLog } from '../../../src/edges/enforcer/fault-log.ts';
import type { SimulatedEnforcer, SimulatedPlatform } from '../../../src/edges/enforcer/simulated.ts';
import type { Smmuv3 } from '../../../src/edges/enforcer/smmuv3.ts';
import { PAGE_BYTES } from '../../../src/edges/enforcer/stage2.ts';
import type { Sabotage } from '../../../src/edges/enforcer/tables.ts';
import { ENGINE_BASE, ENGINE_STREAM, GIC_BASE, HYPERVISOR_BASE, SMMU_BASE } from './board.ts';
import { Checker } from './checker.ts';
import { JudgedEnforcer } from './claims.ts';
import { Devices } from './devices.ts';
import type { ShownLine } from './display.ts';
import { Interconnect } from './dma.ts';
import { Hypervisor } from './hypervisor.ts';
import { GIC_BYTES, GicModel, LIST_REGISTERS } from './interrupts.ts';
import { Memory } from './memory.ts';
import { type Random, seededRandom } from './random.ts';
import { SMMU_BYTES, Smmu } from './smmu.ts';
import type { CarriedContact } from './touch.ts';
import { type AccessResult, ALL_ONES, type FaultStyle, type VmContext, type VmInstance } from './vm.ts';
import { Tlb } from './walker.ts';

export interface MachineOptions {
  /** VMs that run from the start. More may follow by `startVm`. */
  readonly vms: readonly VmId[];
  /** Bundles on the board. The owner of the first also owns the DMA engine. */
  readonly bundles: readonly BundleDefinition[];
  /** Seed of every choice the machine makes, or the choices themselves. */
  readonly seed: number | Random;
  /** How a refused access of a VM ends; `absent` unless told otherwise. */
  readonly faultStyle?: FaultStyle;
  /** Safeguards of the enforcer that are switched off. */
  readonly sabotages?: readonly Sabotage[];
  /** The SMMU comes up with configurations and translations of whoever used it before. */
  readonly staleCaches?: boolean;
}

/** What the panel shows, and which VM's data that is: null for a dark or a mixed picture. */
export interface Screen {
  readonly lines: readonly ShownLine[];
  readonly vm: VmId | null;
}

export class SimulatedMachine {
  readonly checker: Checker;
  /** Bus accesses of the hypervisor, for costs per remap. */
  readonly counts = { reads: 0, writes: 0, polls: 0 };
  /** Runs between any two writes of the hypervisor, by seed: guests that do not wait for it. */
  background: (() => void) | null = null;
  readonly #options: MachineOptions;
  readonly #random: Random;
  readonly #memory: Memory;
  readonly #smmu: Smmu;
  readonly #processorTlb: Tlb;
  readonly #gic: GicModel;
  readonly #devices: Devices;
  readonly #interconnect: Interconnect;
  readonly #hypervisor: Hypervisor;
  readonly #platform: SimulatedPlatform;
  readonly #registers: readonly { readonly bundle: BundleId; readonly resource: MmioResource }[];
  readonly #aborts = new FaultLog();
  readonly #handlers = new Map<VmInstance, (virtual: number) => void>();
  #isInBackground = false;

  constructor(options: MachineOptions) {
    this.#options = options;
    const { bundles, seed } = options;
    const random = typeof seed === 'number' ? seededRandom(seed) : seed;
    this.#random = random;
    this.#registers = bundles.flatMap((bundle) =>
      resourcesOf(bundle).flatMap((resource) =>
        resource.kind === 'mmio' ? [{ bundle: bundle.id, resource }] : [],
      ),
    );
    this.#memory = new Memory(HYPERVISOR_BASE, (address) =>
      this.checker.memoryWritten(address, (stream) => this.#smmu.fetchEntry(stream)),
    );
    this.checker = new Checker(this.#memory, bundles, [ENGINE_STREAM], [ENGINE_BASE]);
    this.#processorTlb = this.#tlb('cpu');
    this.#smmu = this.#makeSmmu();
    this.#gic = this.#makeGic();
    this.#devices = this.#makeDevices();
    this.#interconnect = new Interconnect(this.#memory, this.#smmu, random, this.checker, this.#devices);
    const processors = this.#processors();
    this.#hypervisor = new Hypervisor(this.#bus(), processors, bundles, {
      vmBegins: (vm) => this.checker.vmBegins(vm),
      vmEnds: (vm) => this.checker.vmEnds(vm),
      scrub: (physical, bytes) => this.#memory.scrub(physical, bytes),
      stopEngine: () => {
        this.#devices.engine.reset();
        return this.#interconnect.isBusy(this.#devices.engine);
      },
    });
    this.#platform = this.#makePlatform(processors);
    if (options.staleCaches) this.#smmu.comeUpStale(this.checker.streams(), this.#pages());
    this.#hypervisor.boot(this.checker.streams());
    for (const vm of options.vms) this.#hypervisor.startVm(vm);
  }

  /**
   * A new enforcer over this machine, as a restarted service makes one. It takes over what it finds, perhaps with
   * another bundle file.
   */
  enforcer(bundles: readonly BundleDefinition[] = this.#options.bundles): SimulatedEnforcer {
    return new JudgedEnforcer({ ...this.#platform, bundles }, new Set(this.#options.sabotages), this.checker);
  }

  /** The next SMMU command of this opcode is refused, as one that cannot be read: its queue halts. */
  failCommand(opcode: number): void {
    this.#smmu.failNext(opcode);
  }

  /** Starts a VM; it runs once the start is acknowledged. Throws a RangeError when it exists or no slot is free. */
  startVm(vm: VmId): void {
    this.#hypervisor.startVm(vm);
  }

  /** Ends a VM; what it had is free once the end is acknowledged. Throws a RangeError when it does not run. */
  exitVm(vm: VmId): void {
    this.#hypervisor.exitVm(vm);
  }

  /** The context of a VM's current incarnation. Throws a RangeError when there is none. */
  context(vm: VmId): VmContext {
    const instance = this.#hypervisor.find(vm);
    if (instance === undefined) throw new RangeError(`VM ${vm} does not exist`);
    return {
      vm,
      mmioRead: (ipa) => this.#access(instance, ipa, undefined),
      mmioWrite: (ipa, value) => this.#access(instance, ipa, value),
      ramRead: (ipa) => this.#access(instance, ipa, undefined),
      ramWrite: (ipa, value) => this.#access(instance, ipa, value),
      onInterrupt: (handler) => {
        if (handler === null) this.#handlers.delete(instance);
        else this.#handlers.set(instance, handler);
      },
      endOfInterrupt: (virtual) => {
        if (instance.state === 'running') this.#gic.endOfInterrupt(instance.processor, virtual);
      },
    };
  }

  /** Lets devices, DMA, SMMU and GIC work for `count` ticks. */
  tick(count = 1): void {
    for (let left = count; left > 0; left--) {
      this.#devices.tick();
      this.#interconnect.tick();
      this.#smmu.step();
      this.#gic.step();
    }
  }

  /** A finger on the touch panel. */
  touch(x: number, y: number, down: boolean): void {
    this.#devices.touch()?.contact(x, y, down);
  }

  /** Fingers put down under one holder and reported to the next. */
  carriedContacts(): readonly CarriedContact[] {
    return this.#devices.touch()?.carried ?? [];
  }

  /** A key on the keypad. */
  press(code: number): void {
    this.#devices.keys()?.press(code);
  }

  /** What the panel shows now. */
  screen(): Screen {
    const lines = this.#devices.display()?.screen() ?? [];
    const producers = new Set(lines.map(({ producer }) => producer));
    const [first] = producers;
    return { lines, vm: producers.size === 1 ? (first?.vm ?? null) : null };
  }

  /** The SMMU emitter, for its counters. */
  get smmu(): Smmuv3 {
    return this.#hypervisor.smmu;
  }

  #access(vm: VmInstance, ipa: number, value: number | undefined): AccessResult {
    if (vm.state !== 'running') return { ok: false, error: 'stopped' };
    const result = this.#processorTlb.translate(vm.vmid, vm.stage2.root, ipa, value !== undefined);
    if (!result.ok) return this.#refuse(vm, ipa, value !== undefined);
    this.checker.processorAccess(vm, result.physical);
    const register = this.#devices.access(result.physical, value, vm);
    if (register !== undefined) return { ok: true, value: register };
    if (value === undefined) return { ok: true, value: this.#memory.read32(result.physical) };
    this.#memory.write32(result.physical, value);
    return { ok: true, value };
  }

  /** A stage-2 abort: the hypervisor learns VM, IPA and direction from the processor. */
  #refuse(vm: VmInstance, ipa: number, write: boolean): AccessResult {
    const place = this.#placeOf(vm.vm, ipa);
    const access = { by: 'cpu', vm: vm.vm, address: ipa, write, event: 'stage-2 abort' } as const;
    this.#aborts.add({ ...access, ...place, count: 1, lost: false });
    this.#hypervisor.tell({ kind: 'faultsPending' });
    if (this.#options.faultStyle === 'abort') return { ok: false, error: 'abort' };
    return { ok: true, value: ALL_ONES };
  }

  /** The register resource that `vm` would see at `ipa`. */
  #placeOf(vm: VmId, ipa: number): { readonly bundle?: BundleId; readonly resource?: ResourceId } {
    const place = this.#registers.find(({ resource }) => {
      const view = viewOf(resource, vm);
      return ipa >= view && ipa < view + resource.bytes;
    });
    return place === undefined ? {} : { bundle: place.bundle, resource: place.resource.id };
  }

  /** Register pages of all bundles. */
  #pages(): readonly number[] {
    return this.#registers.flatMap(({ resource: { physical, bytes } }) =>
      Array.from({ length: bytes / PAGE_BYTES }, (_, page) => physical / PAGE_BYTES + page),
    );
  }

  #bus(): MachineBus {
    return {
      read32: (address) => {
        this.counts.reads++;
        if (isIn(address, SMMU_BASE, SMMU_BYTES)) return this.#smmu.read(address - SMMU_BASE);
        if (isIn(address, GIC_BASE, GIC_BYTES)) return this.#gic.read(address - GIC_BASE);
        return this.#memory.read32(address);
      },
      write32: (address, value) => this.#busWrite(address, value, undefined),
      write64: (address, low, high) => this.#busWrite(address, low, high),
      poll: () => {
        this.counts.polls++;
        this.#letOthersRun();
      },
    };
  }

  #busWrite(address: number, low: number, high: number | undefined): void {
    this.counts.writes++;
    this.checker.step++;
    const isSmmu = isIn(address, SMMU_BASE, SMMU_BYTES);
    if (isSmmu || isIn(address, GIC_BASE, GIC_BYTES)) {
      const base = isSmmu ? SMMU_BASE : GIC_BASE;
      const registers = isSmmu ? this.#smmu : this.#gic;
      registers.write(address - base, low >>> 0);
      if (high !== undefined) registers.write(address - base + 4, high >>> 0);
    } else if (high === undefined) this.#memory.write32(address, low);
    else this.#memory.write64(address, low, high);
    if (this.#random(4) === 3) this.#letOthersRun();
  }

  /** Hardware and guests do something between two accesses of the hypervisor. */
  #letOthersRun(): void {
    if (this.#isInBackground) return;
    this.#isInBackground = true;
    try {
      this.tick();
      this.background?.();
    } finally {
      this.#isInBackground = false;
    }
  }

  #processors(): ProcessorPort {
    return {
      invalidateStage2: (vmid) => this.#processorTlb.invalidate(vmid),
      listRegisters: LIST_REGISTERS,
      readListRegister: (processor, index) => this.#gic.readList(processor, index),
      writeListRegister: (processor, index, low, high) => this.#gic.writeList(processor, index, low, high),
    };
  }

  #tlb(name: 'cpu' | 'smmu'): Tlb {
    return new Tlb(this.#memory, this.#random, {
      filled: (entry) => this.checker.tlbChanged(name, entry, true),
      dropped: (entry) => this.checker.tlbChanged(name, entry, false),
    });
  }

  #makeSmmu(): Smmu {
    const fetch = (stream: number) => this.#smmu.fetchEntry(stream);
    return new Smmu(this.#memory, this.#tlb('smmu'), this.#random, {
      cached: (stream, entry) => this.checker.configurationCached(stream, entry),
      forgotten: (stream) => this.checker.configurationCached(stream, undefined),
      enabled: (configurations, translations) => this.checker.smmuEnabled(configurations, translations),
      entrySynced: (stream) => this.checker.entrySynced(stream),
      tableMoved: () => this.checker.streamTableMoved((stream) => this.#smmu.entryAddress(stream), fetch),
      onSync: () => this.#interconnect.completeTranslated(),
      onEvent: () => this.#hypervisor.tell({ kind: 'faultsPending' }),
    });
  }

  #makeGic(): GicModel {
    return new GicModel(this.#random, {
      taken: (interrupt, processor) => this.#hypervisor.gic.inject(interrupt, processor),
      deliver: (processor, virtual) => this.#deliver(processor, virtual),
      reachChanged: (interrupt) => this.checker.interruptReach(interrupt, this.#gic.reach(interrupt)),
      listChanged: (processor, index, interrupt) => this.checker.listRegister(processor, index, interrupt),
    });
  }

  #deliver(processor: number, virtual: number): boolean {
    const vm = this.#hypervisor.vms().find((known) => known.processor === processor);
    if (vm?.state !== 'running') return false;
    const handler = this.#handlers.get(vm);
    handler?.(virtual);
    return handler !== undefined;
  }

  #makeDevices(): Devices {
    return new Devices(this.#options.bundles, {
      startTransfer: (request) => this.#interconnect.start(request),
      setLevel: (interrupt, high) => this.#gic.setLevel(interrupt, high),
      pulse: (interrupt) => this.#gic.pulse(interrupt),
      residualStateRead: (device, what, producer, reader) =>
        this.checker.residualStateRead(device, what, producer, reader),
    });
  }

  #makePlatform(processors: ProcessorPort): SimulatedPlatform {
    const hypervisor = this.#hypervisor;
    const { seed } = this.#options;
    return {
      bus: this.#bus(),
      processors,
      smmu: hypervisor.smmu,
      gic: hypervisor.gic,
      bundles: this.#options.bundles,
      machineBoot: `simulated-${typeof seed === 'number' ? seed : 'chosen'}`,
      vms: () => hypervisor.vms(),
      isAlive: (vm) => ['starting', 'running'].includes(hypervisor.find(vm)?.state ?? ''),
      running: () => hypervisor.running(),
      resetDevice: (bundle, device) => this.#devices.model(bundle, device)?.reset?.(),
      isDeviceBusy: (bundle, device) => {
        const model = this.#devices.model(bundle, device);
        return model !== undefined && this.#interconnect.isBusy(model);
      },
      takeAborts: () => this.#aborts.take(),
      acknowledgeStart: (vm) => hypervisor.acknowledgeStart(vm),
      acknowledgeExit: (vm) => {
        const instance = hypervisor.find(vm);
        if (instance?.state === 'exited') this.checker.exitAcknowledged(instance);
        hypervisor.acknowledgeExit(vm);
      },
      onEvent: (listener) => hypervisor.onEvent(listener),
    };
  }
}

function isIn(address: number, base: number, bytes: number): boolean {
  return address >= base && address < base + bytes;
}
