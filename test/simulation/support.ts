/** Builders for machine tests: a machine with both VMs, whole moves through the Enforcer port, free guests. */

import { phaseRun } from '../../src/core/host/remap.ts';
import { type BundleDefinition, resourcesOf, viewOf } from '../../src/core/protocol/bundle.ts';
import type { DeviceId, ResourceId, VmId } from '../../src/core/protocol/ids.ts';
import type { Enforcer, EnforcerAnswer, EnforcerCall } from '../../src/ports/enforcer.ts';
import { ANDROID, KEYS_BUNDLE, PANEL, VAULT } from '../../targets/lab/machine/board.ts';
import {
  accessContext,
  DisplayDriver,
  type GuestAccess,
  type Program,
  runProgram,
  stepProgram,
  TouchDriver,
  type TouchReport,
} from '../../targets/lab/machine/drivers.ts';
import { type MachineOptions, SimulatedMachine } from '../../targets/lab/machine/machine.ts';
import { type Random, seededRandom } from '../../targets/lab/machine/random.ts';
import type { VmContext } from '../../targets/lab/machine/vm.ts';

/** A machine with android and vault running and both bundles blocked. */
export function machineOf(
  seed: number | Random,
  options: Partial<Omit<MachineOptions, 'bundles' | 'seed'>> = {},
): SimulatedMachine {
  return new SimulatedMachine({ vms: [ANDROID, VAULT], bundles: [PANEL, KEYS_BUNDLE], seed, ...options });
}

/** Runs calls, all of which must succeed. */
export function run(
  enforcer: Enforcer,
  calls: readonly EnforcerCall[],
  bundle: BundleDefinition = PANEL,
): readonly EnforcerAnswer[] {
  let answers: readonly EnforcerAnswer[] = [];
  enforcer.run(bundle.id, calls, (given) => {
    answers = given;
  });
  const failed = answers.find((answer) => !answer.ok);
  if (failed !== undefined && !failed.ok) throw new Error(failed.error);
  return answers;
}

/** Fence and settle, as the product orders them. */
export function fence(bundle: BundleDefinition = PANEL): readonly EnforcerCall[] {
  return [...phaseRun(bundle, 'fence', undefined).calls, ...phaseRun(bundle, 'settle', undefined).calls];
}

/** Grant, as the product orders it: every resource, then a look at each. */
export function grant(vm: VmId, bundle: BundleDefinition = PANEL): readonly EnforcerCall[] {
  return phaseRun(bundle, 'grant', vm).calls;
}

/** Fence, settle, clean, grant: the whole remap, phase by phase as the host runs it. */
export function remap(enforcer: Enforcer, vm: VmId, bundle: BundleDefinition = PANEL): void {
  for (const phase of ['fence', 'settle'] as const)
    run(enforcer, phaseRun(bundle, phase, undefined).calls, bundle);
  untilClean(enforcer, bundle);
  run(enforcer, grant(vm, bundle), bundle);
}

/** Resets, and asks until every device is idle. */
export function untilClean(enforcer: Enforcer, bundle: BundleDefinition = PANEL): void {
  const { calls } = phaseRun(bundle, 'clean', undefined);
  for (let round = 0; round < 1000; round++) {
    if (run(enforcer, calls, bundle).every((answer) => answer.ok && answer.idle !== false)) return;
  }
  throw new Error('devices never idle');
}

/** Finds a resource of the panel by name and how a VM sees it. */
export function seenAt(vm: VmId, resource: string): number {
  return viewOf(resourcesOf(PANEL).find(({ id }) => id === resource)!, vm);
}

export const TOUCH_DEVICE = 'touch' as DeviceId;
export const DISPLAY_DEVICE = 'display' as DeviceId;
export const TOUCH_MMIO = 'touch.mmio0' as ResourceId;

/** A guest with both drivers, whose programs run to their ends at once or step by step. */
export class Guest {
  readonly vm: VmId;
  readonly context: VmContext;
  readonly touch: TouchDriver;
  readonly display: DisplayDriver;
  readonly reports: TouchReport[] = [];
  #program: Program<unknown> | undefined;
  #last: IteratorResult<GuestAccess, unknown> | undefined;

  constructor(machine: SimulatedMachine, vm: VmId) {
    this.vm = vm;
    this.context = machine.context(vm);
    this.touch = new TouchDriver({
      mmio: seenAt(vm, 'touch.mmio0'),
      interrupt: seenAt(vm, 'touch.interrupt0'),
    });
    this.display = new DisplayDriver({
      mmio: seenAt(vm, 'display.mmio0'),
      interrupt: seenAt(vm, 'display.interrupt0'),
    });
    this.context.onInterrupt((virtual) => {
      if (!this.touch.interrupt(virtual)) this.display.interrupt(virtual);
    });
  }

  run<T>(program: Program<T>): T {
    return runProgram(this.context, program);
  }

  /** One access of an endless sequence of driver operations, honest and not, chosen by `random`. */
  stepFreely(random: Random): void {
    if (this.#program === undefined) {
      this.#program = this.#choose(random(8));
      this.#last = undefined;
    }
    try {
      this.#last = stepProgram(this.context, this.#program, this.#last);
      if (this.#last.done) this.#program = undefined;
    } catch {
      this.#program = undefined; // The guest's driver oopsed; the guest tries the next thing.
    }
  }

  #choose(choice: number): Program<unknown> {
    if (choice === 0) return this.touch.suspend();
    if (choice === 1) return this.touch.poke();
    if (choice === 2) return this.touch.resume();
    if (choice === 3) return this.display.resume();
    if (choice === 4) return this.display.peek();
    if (choice === 5) return this.display.serve();
    return this.touch.poll();
  }
}

/** Lets both guests, the user and the owner's DMA engine run freely between any two writes of the hypervisor. */
export function letLoose(machine: SimulatedMachine, seed: number): readonly Guest[] {
  const random = seededRandom(seed ^ 0x5eed);
  const guests = [new Guest(machine, ANDROID), new Guest(machine, VAULT)];
  const targets = [
    seenAt(ANDROID, 'touch.mmio0') + 0x10,
    seenAt(ANDROID, 'display.mmio0') + 0x100,
    0x4000_2000,
  ];
  machine.background = () => {
    // Without a user a device that was not reset may look idle; with one its interrupt gives it away.
    if (seed % 2 === 0 && random(3) === 0) machine.touch(random(1000), random(1000), random(2) === 0);
    for (const guest of guests) for (let n = random(4); n > 0; n--) guest.stepFreely(random);
    if (random(6) === 0) {
      const engine = guests[0]!.context;
      accessContext(engine, { kind: 'mmio', at: ENGINE.SOURCE, value: 0x4000_1000 });
      accessContext(engine, { kind: 'mmio', at: ENGINE.TARGET, value: targets[random(targets.length)]! });
      accessContext(engine, { kind: 'mmio', at: ENGINE.GO, value: 1 });
    }
  };
  return guests;
}

/** The owner's DMA engine, by address. */
export const ENGINE = {
  SOURCE: 0x0a94_0000,
  TARGET: 0x0a94_0004,
  GO: 0x0a94_0008,
  DONE: 0x0a94_000c,
} as const;

/** Prints a seed before a seeded test does anything, so that a crash can be replayed. */
export function announce(test: string, first: number, count: number): void {
  console.log(`${test}: seeds ${first} to ${first + count - 1}`);
}
