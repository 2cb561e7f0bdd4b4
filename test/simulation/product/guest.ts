/**
 * One incarnation of a VM of the simulated product: its drivers on the simulated machine, and the sysfs, notes and
 * locks that the hooks of its agent find. Drivers live as long as the VM, whatever becomes of the agent.
 */

import { type BundleDefinition, resourcesOf, viewOf } from '../../../src/core/protocol/bundle.ts';
import type { VmId } from '../../../src/core/protocol/ids.ts';
import type { HooksConfig } from '../../../src/edges/hooks/hooks-config.ts';
import type { HookWorld } from '../../../src/edges/hooks/world.ts';
import {
  DisplayDriver,
  type Program,
  runProgram,
  TouchDriver,
} from '../../../targets/lab/machine/drivers.ts';
import type { SimulatedMachine } from '../../../targets/lab/machine/machine.ts';
import type { Random } from '../../../targets/lab/machine/random.ts';
import { RAM_IPA, type VmContext } from '../../../targets/lab/machine/vm.ts';
import type { VirtualClock } from '../../../targets/lab/virtual-clock.ts';
import { ENGINE } from '../support.ts';
import type { SimulatedProcess } from './process.ts';

/** What is wrong with the drivers of a VM at the moment. */
export interface DriverFaults {
  /** Chance in percent that a change of a driver is refused. */
  failPercent: number;
  /** Longest time of a change, in ms. */
  slowMs: number;
  /** A suspended driver says that it is, and goes on. */
  isLying: boolean;
}

interface Driver {
  suspend(): Program<void>;
  resume(): Program<void>;
  /** What it does with its device now and then. */
  use(): Program<unknown>;
  interrupt(virtual: number): boolean;
}

/** One in so many uses of drivers is one of the DMA engine as well. */
const ENGINE_RARITY = 4;
/** A register of each device that remembers what is written to it. */
const TARGET_OFFSET = 0x10;

/** The path whose text says what a driver does. */
const stateOf = (device: string) => `/sys/devices/${device}/state`;

/** Hooks for all bundles: one attribute a device. */
export function hooksConfig(bundles: readonly BundleDefinition[]): HooksConfig {
  return Object.fromEntries(
    bundles.map((bundle) => [
      bundle.id,
      Object.fromEntries(
        bundle.devices.map(({ id }) => {
          const path = stateOf(id);
          const expect = { path, value: 'suspended', undone: 'active' };
          return [
            id,
            { suspend: [{ kind: 'sysfs', path, write: 'suspended', undo: 'active', limitMs: 400, expect }] },
          ];
        }),
      ),
    ]),
  ) as HooksConfig;
}

export class Guest {
  readonly vm: VmId;
  readonly faults: DriverFaults = { failPercent: 0, slowMs: 0, isLying: false };
  /** Changes of drivers that have not ended, whoever began them. */
  #changing = 0;
  readonly #clock: VirtualClock;
  readonly #random: Random;
  readonly #context: VmContext;
  readonly #drivers = new Map<string, Driver>();
  readonly #states = new Map<string, string>();
  readonly #notes = new Map<string, string>();
  #lockedBy: SimulatedProcess | undefined;
  /** Registers of all devices, as this VM sees them. */
  readonly #targets: readonly number[];
  #isOver = false;

  /** `owned`: bundles whose drivers are active from the start, since the VM boots with them. */
  constructor(
    machine: SimulatedMachine,
    vm: VmId,
    bundles: readonly BundleDefinition[],
    clock: VirtualClock,
    random: Random,
    owned: ReadonlySet<string>,
  ) {
    this.vm = vm;
    this.#clock = clock;
    this.#random = random;
    this.#context = machine.context(vm);
    const registers = bundles.flatMap(resourcesOf).filter(({ kind }) => kind === 'mmio');
    this.#targets = registers.map((resource) => viewOf(resource, vm) + TARGET_OFFSET);
    for (const bundle of bundles)
      for (const device of bundle.devices) {
        this.#drivers.set(device.id, driverOf(bundle, device.id, vm));
        this.#states.set(stateOf(device.id), owned.has(bundle.id) ? 'active' : 'suspended');
      }
    this.#context.onInterrupt((virtual) => {
      for (const driver of this.#drivers.values()) if (driver.interrupt(virtual)) return;
    });
    for (const [device, driver] of this.#drivers) if (this.isActive(device)) this.#run(driver.resume());
  }

  isActive(device: string): boolean {
    return this.#states.get(stateOf(device)) === 'active';
  }

  /** The VM executes nothing any more. */
  end(): void {
    this.#isOver = true;
  }

  /** A driver does something: an honest one only while it is active, a lying one at any time. */
  use(): void {
    for (const [device, driver] of this.#drivers)
      if (this.isActive(device) || this.faults.isLying) this.#run(driver.use());
    // Another DMA master of the first owner aims at registers, whoever has them: elsewhere it is absent.
    if (this.#random(ENGINE_RARITY) > 0) return;
    for (const [at, value] of [
      [ENGINE.SOURCE, RAM_IPA],
      [ENGINE.TARGET, this.#targets[this.#random(this.#targets.length)]!],
      [ENGINE.GO, 1],
    ] as const)
      this.#context.mmioWrite(at, value);
  }

  /** What hooks of an agent process find in this VM. */
  world(process: SimulatedProcess): HookWorld {
    return {
      clock: process.clock,
      sys: '/sys',
      attributes: {
        read: async (path) => `${this.#text(path)}\n`,
        write: (path, text) => (process.mayAct() ? this.#change(path, text) : new Promise(() => {})),
        linkName: async () => undefined,
        exists: async (path) => this.#states.has(path),
        list: async (path) => {
          throw new Error(`ENOENT: ${path}`);
        },
        folders: async () => [],
        realPath: async (path) => path,
      },
      streams: { connect: (address, done) => done(new Error(`${address}: ECONNREFUSED`)) },
      notes: {
        boot: `${this.vm} boots`,
        load: (bundle) => this.#notes.get(bundle),
        save: (bundle, text) => {
          if (process.mayAct()) this.#notes.set(bundle, text);
        },
      },
      locks: {
        take: async () => {
          if (this.#lockedBy?.isAlive) return { ok: false, by: this.#lockedBy === process ? 'run' : 'agent' };
          // A driver that has not finished holds up whoever called it, dead or not.
          if (this.#changing > 0) return { ok: false, by: 'run' };
          this.#lockedBy = process;
          return {
            ok: true,
            lock: { start: () => ({ signal: () => {} }), release: () => this.#release(process) },
          };
        },
        evict: async () => 0,
      },
    };
  }

  #release(process: SimulatedProcess): void {
    if (this.#lockedBy === process) this.#lockedBy = undefined;
  }

  #text(path: string): string {
    const text = this.#states.get(path);
    if (text === undefined) throw new Error(`ENOENT: ${path}`);
    return text;
  }

  #change(path: string, text: string): Promise<void> {
    this.#text(path);
    this.#changing += 1;
    const ms = this.faults.slowMs > 0 ? this.#random(this.faults.slowMs + 1) : 1 + this.#random(3);
    return new Promise((done, fail) => {
      this.#clock.after(ms, () => {
        this.#changing -= 1;
        if (this.#isOver) return;
        if (this.#random(100) < this.faults.failPercent) return fail(new Error('EIO'));
        const driver = this.#drivers.get(path.split('/')[3]!)!;
        if (this.#text(path) !== text && !(text === 'suspended' && this.faults.isLying))
          this.#run(text === 'active' ? driver.resume() : driver.suspend());
        this.#states.set(path, text);
        done();
      });
    });
  }

  /** A driver that is refused what it needs oopses, and that is all. */
  #run(program: Program<unknown>): void {
    if (this.#isOver) return;
    try {
      runProgram(this.#context, program);
    } catch {}
  }
}

function driverOf(bundle: BundleDefinition, device: string, vm: VmId): Driver {
  const resources = bundle.devices.find(({ id }) => id === device)!.resources;
  const at = (kind: 'mmio' | 'interrupt') => viewOf(resources.find((each) => each.kind === kind)!, vm);
  const view = { mmio: at('mmio'), interrupt: at('interrupt') };
  if (device.startsWith('touch')) {
    const touch = new TouchDriver(view);
    return bound(touch, () => touch.poll());
  }
  if (device.startsWith('display')) {
    const display = new DisplayDriver(view);
    return bound(display, () => display.serve());
  }
  throw new Error(`no driver for ${device}`);
}

function bound(driver: TouchDriver | DisplayDriver, use: () => Program<unknown>): Driver {
  return {
    suspend: () => driver.suspend(),
    resume: () => driver.resume(),
    use,
    interrupt: (virtual) => driver.interrupt(virtual),
  };
}
