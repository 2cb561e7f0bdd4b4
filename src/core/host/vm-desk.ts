/**
 * VMs between two states: those that wait for their first instruction, and those that have exited but may not be
 * freed yet. The platform is told when every bundle has let go (M5).
 */

import type { Enforcer } from '../../ports/enforcer.ts';
import type { BundleId, VmId } from '../protocol/ids.ts';

export class VmDesk {
  readonly #enforcer: Enforcer;
  readonly #starting = new Set<VmId>();
  /** VMs that have exited, and the bundles that have not let go of them. */
  readonly #exiting = new Map<VmId, Set<BundleId>>();

  constructor(enforcer: Enforcer) {
    this.#enforcer = enforcer;
  }

  /** A VM is about to run. */
  starts(vm: VmId): void {
    this.#starting.add(vm);
  }

  /** Lets those VMs run to which nothing is on its way any more. */
  releaseStarts(isComing: (vm: VmId) => boolean): void {
    for (const vm of this.#starting) {
      if (isComing(vm)) continue;
      this.#starting.delete(vm);
      this.#enforcer.acknowledgeStart(vm);
    }
  }

  /** A VM has exited; each of `bundles` has to let go of it. */
  exits(vm: VmId, bundles: Iterable<BundleId>): void {
    this.#starting.delete(vm);
    this.#exiting.set(vm, new Set(bundles));
    if (this.#exiting.get(vm)!.size === 0) this.#free(vm);
  }

  /** Nothing of this bundle reaches the VM any more. */
  letGo(vm: VmId, bundle: BundleId): void {
    const waiting = this.#exiting.get(vm);
    if (waiting?.delete(bundle) && waiting.size === 0) this.#free(vm);
  }

  #free(vm: VmId): void {
    this.#exiting.delete(vm);
    this.#enforcer.acknowledgeExit(vm);
  }
}
