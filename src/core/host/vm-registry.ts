/**
 * Counts the lives of VMs. The host alone knows when one starts and ends; a lost connection says nothing.
 *
 * Plain bookkeeping, kept in the host's table so that a service restart does not give two lives one number.
 */

import type { Incarnation, VmId } from '../protocol/ids.ts';

/** The registry as it is written down. */
export interface RegistryRecord {
  readonly machineBoot: string;
  /** Last incarnation of each VM, running or not. */
  readonly lives: Readonly<Record<VmId, Incarnation>>;
  readonly running: readonly VmId[];
}

/** Lives of the VMs of one machine. */
export class VmRegistry {
  #machineBoot: string;
  readonly #lives: Record<VmId, Incarnation>;
  readonly #running: Set<VmId>;

  /**
   * Compares what was written down with what runs now. A VM that ran then and runs now, on a machine that was
   * not rebooted, is in the same life; any other that runs now is in a new one.
   */
  constructor(record: RegistryRecord | undefined, machineBoot: string, running: readonly VmId[]) {
    this.#machineBoot = machineBoot;
    this.#lives = { ...record?.lives };
    this.#running = new Set();
    const before = record?.machineBoot === machineBoot ? record.running : [];
    for (const vm of running) {
      if (before.includes(vm)) this.#running.add(vm);
      else this.begin(vm);
    }
  }

  /** A VM starts: returns the number of its new life. */
  begin(vm: VmId): Incarnation {
    const incarnation = ((this.#lives[vm] ?? 0) + 1) as Incarnation;
    this.#lives[vm] = incarnation;
    this.#running.add(vm);
    return incarnation;
  }

  /** A VM has ended. */
  end(vm: VmId): void {
    this.#running.delete(vm);
  }

  /** Running lives. */
  running(): Record<VmId, Incarnation> {
    const lives: Record<VmId, Incarnation> = {};
    for (const vm of this.#running) lives[vm] = this.#lives[vm]!;
    return lives;
  }

  /** The running life of `vm`, or 0. */
  incarnationOf(vm: VmId): Incarnation {
    return this.#running.has(vm) ? this.#lives[vm]! : (0 as Incarnation);
  }

  record(): RegistryRecord {
    return { machineBoot: this.#machineBoot, lives: { ...this.#lives }, running: [...this.#running] };
  }
}
