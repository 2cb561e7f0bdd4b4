/**
 * The enforcer between a host process and the simulated machine, as a helper process of its own: it takes one order
 * after the other, needs time for each call, may fail, be slow, or answer after the host has given up. It outlives the
 * host, as a helper does; a host that starts waits until it has come to an end (docs/PLATFORMS.md).
 */

import type { BundleId, VmId } from '../../../src/core/protocol/ids.ts';
import type { SimulatedEnforcer } from '../../../src/edges/enforcer/simulated.ts';
import type { Enforcer, EnforcerAnswer, EnforcerCall, EnforcerEvent } from '../../../src/ports/enforcer.ts';
import type { Random } from '../../../targets/lab/machine/random.ts';
import type { VirtualClock } from '../../../targets/lab/virtual-clock.ts';
import type { SimulatedProcess } from './process.ts';

/** What is wrong with the enforcer at the moment. */
export interface EnforcerFaults {
  /** Chance in percent that a call fails. */
  failPercent: number;
  /** Longest time of a call, in ms. */
  slowMs: number;
  /** The next order takes so many ms before its first call is carried out. */
  lateMs: number;
}

/** Told what the host has the machine do, at the port. */
export interface EnforcerListener {
  granted(bundle: BundleId, vm: VmId): void;
  /** Asked before a VM is let go of. */
  exitAcknowledged(vm: VmId): void;
  startAcknowledged(vm: VmId): void;
  failed(): void;
  /** What it does now; `nothing` when it is done. */
  operates(bundle: BundleId, operation: string): void;
}

export class EnforcerConfig {
  readonly faults: EnforcerFaults = { failPercent: 0, slowMs: 0, lateMs: 0 };
  readonly #clock: VirtualClock;
  readonly #random: Random;
  readonly #listener: EnforcerListener;
  #queue: (() => void)[] = [];
  #isBusy = false;
  #operation = 'nothing';

  constructor(clock: VirtualClock, random: Random, listener: EnforcerListener) {
    this.#clock = clock;
    this.#random = random;
    this.#listener = listener;
  }

  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** The power is gone, and with it all orders. */
  losePower(): void {
    this.#queue = [];
    this.#isBusy = false;
  }

  /** The port for one life of the host. */
  enforcer(machine: SimulatedEnforcer, process: SimulatedProcess): Enforcer {
    const tell = (work: () => void) => process.mayAct() && work();
    return {
      describe: () => machine.describe(),
      machineBoot: () => machine.machineBoot(),
      running: () => machine.running(),
      run: (bundle, calls, done) => {
        if (!process.mayAct()) return;
        this.#order(() =>
          this.#carryOut(machine, bundle, calls, (answers) => process.enter(() => done(answers))),
        );
      },
      faults: () => (process.mayAct() ? machine.faults() : []),
      acknowledgeStart: (vm) =>
        tell(() => {
          this.#listener.startAcknowledged(vm);
          machine.acknowledgeStart(vm);
        }),
      acknowledgeExit: (vm) =>
        tell(() => {
          this.#listener.exitAcknowledged(vm);
          machine.acknowledgeExit(vm);
        }),
      onEvent: (listener: (event: EnforcerEvent) => void) =>
        machine.onEvent((event) => process.enter(() => listener(event))),
      // While nobody listens, VMs that start or end wait: the platform frees and runs nothing without the host's word.
      close: () => machine.onEvent(() => {}),
    };
  }

  #order(work: () => void): void {
    this.#queue.push(work);
    this.#next();
  }

  #next(): void {
    if (this.#isBusy) return;
    const work = this.#queue.shift();
    if (work === undefined) return;
    this.#isBusy = true;
    work();
  }

  #carryOut(
    machine: SimulatedEnforcer,
    bundle: BundleId,
    calls: readonly EnforcerCall[],
    done: (answers: readonly EnforcerAnswer[]) => void,
  ): void {
    const queue = this.#queue;
    const answers: EnforcerAnswer[] = [];
    const finish = () => {
      this.#isBusy = false;
      this.#operate(bundle, 'nothing');
      done(answers);
      this.#next();
    };
    const step = (at: number) => {
      // The power went while this order was under way.
      if (queue !== this.#queue) return;
      if (at >= calls.length) return finish();
      if (this.#random(100) < this.faults.failPercent) {
        this.#listener.failed();
        answers.push({ ok: false, error: 'the enforcer was told to fail' });
        return finish();
      }
      const group = calls.slice(at, at + groupAt(calls, at));
      this.#operate(bundle, group[0]!.op);
      machine.run(bundle, group, (given) => answers.push(...given));
      const [first] = group;
      if (answers.at(-1)?.ok === false) return finish();
      if (first?.op === 'grant') this.#listener.granted(bundle, first.vm);
      this.#clock.after(this.#callMs(), () => step(at + group.length));
    };
    const { lateMs } = this.faults;
    this.faults.lateMs = 0;
    if (lateMs > 0) this.#listener.failed();
    this.#clock.after(lateMs, () => step(0));
  }

  #operate(bundle: BundleId, operation: string): void {
    if (operation === this.#operation) return;
    this.#operation = operation;
    this.#listener.operates(bundle, operation);
  }

  #callMs(): number {
    return this.faults.slowMs > 0 ? this.#random(this.faults.slowMs + 1) : this.#random(4) / 20;
  }
}

/** Grants that follow each other are one batch, as the product's emitters have it; every other call stands alone. */
function groupAt(calls: readonly EnforcerCall[], at: number): number {
  let end = at + 1;
  while (calls[at]!.op === 'grant' && calls[end]?.op === 'grant') end += 1;
  return end - at;
}
