/**
 * The simulated machine's hypervisor and enforcer with QEMU's SMMUv3 as executor: their emitters write to QEMU's RAM
 * and SMMU registers, and devices of QEMU do DMA between any two of those writes.
 *
 * A judge knows whose memory the bundle's streams may reach: the holder's while it is held; the former holder's or
 * nobody's from the first write of a fence until settle is done; then nobody's; the new holder's or nobody's from the
 * first write of a grant. It looks at the memory of both VMs, not at the tables. DMA that writes is enough: all pages
 * may be read and written. The GIC is our model.
 */

import type { RemapPhase } from '../../../src/core/host/host-state.ts';
import { phaseRun } from '../../../src/core/host/remap.ts';
import { type BundleDefinition, resourcesOf } from '../../../src/core/protocol/bundle.ts';
import type { VmId } from '../../../src/core/protocol/ids.ts';
import type { MachineBus, ProcessorPort } from '../../../src/edges/enforcer/bus.ts';
import { SimulatedEnforcer } from '../../../src/edges/enforcer/simulated.ts';
import { REGISTER } from '../../../src/edges/enforcer/smmuv3-layout.ts';
import { DRAIN_MAX, type Sabotage, STORM_EVENTS } from '../../../src/edges/enforcer/tables.ts';
import type { EnforcerCall, FaultRecord } from '../../../src/ports/enforcer.ts';
import {
  ANDROID,
  ENGINE_STREAM,
  GIC_BASE,
  PANEL,
  SMMU_LAYOUT,
  VAULT,
} from '../../../targets/lab/machine/board.ts';
import { Hypervisor } from '../../../targets/lab/machine/hypervisor.ts';
import { GIC_BYTES, GicModel, LIST_REGISTERS } from '../../../targets/lab/machine/interrupts.ts';
import { type Random, seededRandom } from '../../../targets/lab/machine/random.ts';
import { RAM_BYTES, RAM_IPA } from '../../../targets/lab/machine/vm.ts';
import { EDU_WORDS, type Edu, plug } from './edu.ts';
import { Qtest, SMMU } from './qtest.ts';

/** RAM up to the end of the hypervisor's tables, which begin 1 GiB after it. */
const RAM_MIB = 1_100;
/** Register pages of the bundle lie in RAM, so that it can be seen who reaches them; nothing else is there. */
const REGISTERS = 0x6000_0000;
/** IPAs that no VM has: the last one, and one beyond the tables that is RAM but for its uppermost bit. */
export const UNMAPPED = [0x7f_ffff_f000, 2 ** 39 + RAM_IPA] as const;
/** Where buffers are filled from. */
const FEED = 0x5000_0000;

/** The panel, with the stream IDs of a real phone. */
export const BUNDLE: BundleDefinition = {
  ...PANEL,
  devices: PANEL.devices.map((device) => ({
    ...device,
    resources: device.resources.map((resource) =>
      resource.kind === 'mmio' ? { ...resource, physical: REGISTERS + resource.physical } : resource,
    ),
  })),
};
export const STREAMS = resourcesOf(BUNDLE).flatMap(({ kind, physical }) =>
  kind === 'stream' ? [physical] : [],
);
const PAGE = resourcesOf(BUNDLE).find(({ kind }) => kind === 'mmio')!.physical;

/** Changes what an emitter writes, as a bug in it would; undefined: the write is lost. */
export type Bug = (address: number, low: number, high: number) => readonly [number, number] | undefined;

export interface BoardOptions {
  /** QEMU, as of `Qtest`. */
  readonly program: string;
  /** Of every choice: which device does what between two writes. */
  readonly seed: number;
  /** As of `Qtest`. */
  readonly lifeS: number;
  readonly sabotages?: readonly Sabotage[];
  readonly bug?: Bug;
}

export class Board {
  /** Who was reached and should not have been. */
  readonly violations: string[] = [];
  /** What the enforcer reported. */
  readonly faults: FaultRecord[] = [];
  /** Accesses of devices, and how many of them landed. */
  readonly counts = { probes: 0, landed: 0 };
  readonly hypervisor: Hypervisor;
  readonly enforcer: SimulatedEnforcer;
  readonly #qemu: Qtest;
  readonly #random: Random;
  readonly #edus: ReadonlyMap<number, Edu>;
  readonly #gic: GicModel;
  readonly #bug: Bug;
  /** A doorbell that the SMMU has not heard yet. */
  #doorbell: number | undefined;
  #isJudging = false;
  #holder: VmId | undefined;
  /** Whether it may be reached, and whether it must be. */
  #reach: 'must' | 'may' | 'no' = 'no';
  #word = 0;

  /** Boots: both VMs run, and nobody has the bundle. Throws an Error when QEMU does not start. */
  constructor({ program, seed, lifeS, sabotages = [], bug = (_, low, high) => [low, high] }: BoardOptions) {
    this.#random = seededRandom(seed);
    this.#bug = bug;
    const streams = [ENGINE_STREAM, ...STREAMS];
    this.#qemu = new Qtest({ program, streams, ramMib: RAM_MIB, lifeS });
    try {
      const edus = plug(this.#qemu, streams);
      this.#edus = new Map(streams.map((stream, index) => [stream, edus[index]!]));
      for (const edu of edus) this.#load(edu);
      this.#gic = new GicModel(this.#random, {
        taken: () => true,
        deliver: () => false,
        reachChanged: () => {},
        listChanged: () => {},
      });
      const host = {
        vmBegins: () => {},
        vmEnds: () => {},
        scrub: (physical: number, bytes: number) => this.#qemu.clear(physical, bytes),
        stopEngine: () => false,
      };
      this.hypervisor = new Hypervisor(this.#bus(), this.#processors(), [BUNDLE], host);
      this.hypervisor.boot(streams);
      for (const vm of [ANDROID, VAULT]) this.hypervisor.startVm(vm);
      this.enforcer = new SimulatedEnforcer(this.#platform(), new Set(sabotages));
      this.#isJudging = true;
    } catch (error) {
      this.#qemu.end();
      throw error;
    }
  }

  /** Moves the bundle to `to`, phase by phase, with accesses between any two writes and after each phase. */
  move(to: VmId): void {
    this.#reach = this.#holder === undefined ? 'no' : 'may';
    this.#phase('fence', to);
    this.#phase('settle', to);
    this.#reach = 'no';
    this.#probeAll();
    if (this.#random(4) === 0) this.#storm(STREAMS[this.#random(STREAMS.length)]!);
    this.#phase('clean', to);
    this.#holder = to;
    this.#reach = 'may';
    this.#phase('grant', to);
    this.#reach = 'must';
    this.#probeAll();
    this.faults.push(...this.enforcer.faults());
  }

  /** Ends QEMU. */
  end(): void {
    this.#qemu.end();
  }

  #phase(phase: RemapPhase, to: VmId): void {
    const { calls } = phaseRun(BUNDLE, phase, to);
    const failed = this.#run(calls).find(({ ok }) => !ok);
    if (failed !== undefined) throw new Error(`${phase}: ${JSON.stringify(failed)}`);
  }

  #run(calls: readonly EnforcerCall[]) {
    let answers: Parameters<Parameters<SimulatedEnforcer['run']>[2]>[0] = [];
    this.enforcer.run(BUNDLE.id, calls, (given) => {
      answers = given;
    });
    return answers;
  }

  /** A blocked stream goes on until it is silenced and longer; the enforcer looks at the queue now and then. */
  #storm(stream: number): void {
    for (let count = 0; count < 2 * STORM_EVENTS; count++) {
      this.#probe(stream);
      if (count % 8 === 0) this.faults.push(...this.enforcer.faults());
    }
  }

  /** Each stream accesses what its holder has not mapped. */
  probeUnmapped(): void {
    for (const address of UNMAPPED) for (const stream of STREAMS) this.#write(stream, address);
    this.faults.push(...this.enforcer.faults());
  }

  /** More faults than the event queue holds. Returns whether the loss of records was told, and then no more. */
  overflow(): readonly boolean[] {
    // An access between the writes of a drain would be a fault of its own, and perhaps a lost one.
    this.#isJudging = false;
    for (let count = 0; count <= 1 << SMMU_LAYOUT.eventBits; count++) this.#write(STREAMS[0]!, UNMAPPED[0]);
    const { smmu } = this.hypervisor;
    return [smmu.drainEvents(DRAIN_MAX).lost, smmu.drainEvents(DRAIN_MAX).lost];
  }

  #probeAll(): void {
    for (const stream of STREAMS) this.#probe(stream);
    this.#probeRegisters();
  }

  /** A device writes to RAM; both VMs look whether it came to them. */
  #probe(stream: number): void {
    const offset = 4 * this.#random(RAM_BYTES / 4);
    const vms = this.hypervisor.vms();
    const places = vms.map(({ ramPhysical }) => ramPhysical + offset);
    const before = this.#qemu.read32s(places);
    this.#write(stream, RAM_IPA + offset);
    const after = this.#qemu.read32s(places);
    const reached = vms.filter((_, index) => before[index] !== after[index]).map(({ vm }) => vm);
    this.#judge(`stream 0x${stream.toString(16)} reaches`, reached);
  }

  /** The owner's own engine, which is never lent, writes to a register page, which is. */
  #probeRegisters(): void {
    const place = PAGE + 4 * this.#random(1024);
    const [before] = this.#qemu.read32s([place]);
    this.#write(ENGINE_STREAM, place);
    const [after] = this.#qemu.read32s([place]);
    const mayReach = this.#holder === ANDROID;
    if (before !== after && (!mayReach || this.#reach === 'no'))
      this.violations.push('the engine reaches registers');
    if (before === after && mayReach && this.#reach === 'must')
      this.violations.push('the engine reaches no registers');
  }

  #judge(what: string, reached: readonly VmId[]): void {
    if (reached.length > 0) this.counts.landed++;
    const wrong = reached.filter((vm) => vm !== this.#holder || this.#reach === 'no');
    const allowed = this.#reach === 'no' ? 'nobody' : this.#holder;
    for (const vm of wrong) this.violations.push(`${what} ${vm} where ${allowed} may be`);
    if (this.#reach === 'must' && reached.length === 0)
      this.violations.push(`${what} nobody where ${this.#holder} must be`);
  }

  #write(stream: number, address: number): void {
    this.counts.probes++;
    this.#word = (this.#word + 1) % EDU_WORDS;
    this.#edus.get(stream)!.write(address, this.#word);
  }

  /** Fills a buffer with words of its own, past the SMMU, which is off. */
  #load(edu: Edu): void {
    this.#qemu.write32(SMMU + REGISTER.GBPA, 0x8000_0000);
    for (let word = 0; word < EDU_WORDS; word++) {
      this.#qemu.write32(FEED + word * 4, 0x8000_0000 + edu.stream * 4 * EDU_WORDS + word);
    }
    edu.fill(FEED);
  }

  #bus(): MachineBus {
    const isGic = (address: number) => address >= GIC_BASE && address < GIC_BASE + GIC_BYTES;
    return {
      read32: (address) => (isGic(address) ? this.#gic.read(address - GIC_BASE) : this.#qemu.read32(address)),
      write32: (address, value) => {
        if (isGic(address)) return this.#gic.write(address - GIC_BASE, value);
        const changed = this.#bug(address, value, 0);
        if (changed === undefined) return;
        // The SMMU may hear of commands late; the hypervisor must wait for them to be consumed.
        if (address === SMMU + REGISTER.CMDQ_PROD && this.#isJudging) this.#doorbell = changed[0];
        else this.#qemu.write32(address, changed[0]);
        this.#letOthersRun();
      },
      write64: (address, low, high) => {
        if (isGic(address)) {
          this.#gic.write(address - GIC_BASE, low);
          return this.#gic.write(address - GIC_BASE + 4, high);
        }
        const changed = this.#bug(address, low, high);
        if (changed !== undefined) this.#qemu.write64(address, ...changed);
        this.#letOthersRun();
      },
      poll: () => {
        this.#gic.step();
        if (this.#doorbell !== undefined) this.#qemu.write32(SMMU + REGISTER.CMDQ_PROD, this.#doorbell);
        this.#doorbell = undefined;
      },
    };
  }

  #letOthersRun(): void {
    if (!this.#isJudging) return;
    const stream = this.#random(STREAMS.length + 1);
    if (stream === STREAMS.length) this.#probeRegisters();
    else this.#probe(STREAMS[stream]!);
  }

  #processors(): ProcessorPort {
    return {
      invalidateStage2: () => {},
      listRegisters: LIST_REGISTERS,
      readListRegister: (processor, index) => this.#gic.readList(processor, index),
      writeListRegister: (processor, index, low, high) => this.#gic.writeList(processor, index, low, high),
    };
  }

  #platform(): ConstructorParameters<typeof SimulatedEnforcer>[0] {
    const { hypervisor } = this;
    return {
      bus: this.#bus(),
      processors: this.#processors(),
      smmu: hypervisor.smmu,
      gic: hypervisor.gic,
      bundles: [BUNDLE],
      machineBoot: 'qemu',
      vms: () => hypervisor.vms(),
      isAlive: (vm) => hypervisor.running().includes(vm),
      running: () => hypervisor.running(),
      resetDevice: () => {},
      isDeviceBusy: () => false,
      takeAborts: () => [],
      acknowledgeStart: (vm) => hypervisor.acknowledgeStart(vm),
      acknowledgeExit: (vm) => hypervisor.acknowledgeExit(vm),
      onEvent: (listener) => hypervisor.onEvent(listener),
    };
  }
}
