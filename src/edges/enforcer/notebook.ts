/**
 * Records of grants, for enforcers that cannot read them back: the rules of the port (`fence` and `settle` before
 * another VM's `grant`), refusals by name, and the state to store. Pure.
 */

import { type BundleDefinition, type Resource, resourcesOf } from '../../core/protocol/bundle.ts';
import type { BundleId, DeviceId, ResourceId, VmId } from '../../core/protocol/ids.ts';
import type { EnforcerAnswer, EnforcerCall, Reach } from '../../ports/enforcer.ts';

/** `fenced`: blocked, but not settled. */
type Note = VmId | 'blocked' | 'fenced' | 'unknown';

/** Stored state of a machine's bundles: bundle, resource, who reaches it. */
export type Notes = Readonly<Record<string, Readonly<Record<string, Reach>>>>;

export class Notebook {
  readonly #bundles = new Map<BundleId, Known>();

  /** `notes`: the stored state. `otherwise`: the state of resources without a record. */
  constructor(bundles: readonly BundleDefinition[], otherwise: 'blocked' | 'unknown', notes: Notes = {}) {
    for (const bundle of bundles) {
      const reach = notes[bundle.id] ?? {};
      this.#bundles.set(bundle.id, {
        devices: new Set(bundle.devices.map(({ id }) => id)),
        resources: new Map(resourcesOf(bundle).map((resource) => [resource.id, resource])),
        reach: new Map(resourcesOf(bundle).map(({ id }) => [id, reach[id] ?? otherwise])),
      });
    }
  }

  /** Returns why a call cannot refer to this machine; undefined when it can. */
  whyNot(bundle: BundleId, call: EnforcerCall): string | undefined {
    const known = this.#bundles.get(bundle);
    if (known === undefined) return `unknown bundle ${bundle}`;
    if ('device' in call && !known.devices.has(call.device))
      return `unknown device ${call.device} in bundle ${bundle}`;
    if ('resource' in call && !known.resources.has(call.resource))
      return `unknown resource ${call.resource} in bundle ${bundle}`;
    return undefined;
  }

  /** Records a call. `running`: VMs that can get a grant. */
  note(bundle: BundleId, call: EnforcerCall, running: readonly VmId[]): EnforcerAnswer {
    const error = this.whyNot(bundle, call);
    if (error !== undefined) return { ok: false, error };
    const { reach } = this.#bundles.get(bundle)!;
    switch (call.op) {
      case 'fence':
        if (reach.get(call.resource) !== 'blocked') reach.set(call.resource, 'fenced');
        return { ok: true };
      case 'settle':
        for (const [id, note] of reach) if (note === 'fenced') reach.set(id, 'blocked');
        return { ok: true, syncs: 0 };
      case 'reset':
        return { ok: true };
      case 'drained':
        return { ok: true, idle: true };
      case 'grant':
        return this.#grant(reach, call.resource, call.vm, running);
      case 'inspect': {
        const note = reach.get(call.resource)!;
        return { ok: true, reach: note === 'fenced' ? 'unknown' : note };
      }
    }
  }

  /** Returns the VM that holds all of a bundle. */
  holderOf(bundle: BundleId): VmId | undefined {
    const all = new Set(this.#bundles.get(bundle)?.reach.values());
    const [only] = all;
    if (all.size !== 1 || only === undefined) return undefined;
    return only === 'blocked' || only === 'fenced' || only === 'unknown' ? undefined : only;
  }

  /** Removes a VM that has ended, with its grants. */
  forget(vm: VmId): void {
    for (const { reach } of this.#bundles.values()) {
      for (const [id, note] of reach) if (note === vm) reach.set(id, 'fenced');
    }
  }

  /** Returns the state to store. Fenced and not settled becomes unknown. */
  notes(): Notes {
    return Object.fromEntries(
      [...this.#bundles].map(([bundle, { reach }]) => [
        bundle,
        Object.fromEntries([...reach].map(([id, note]) => [id, note === 'fenced' ? 'unknown' : note])),
      ]),
    );
  }

  #grant(reach: Known['reach'], id: ResourceId, vm: VmId, running: readonly VmId[]): EnforcerAnswer {
    const note = reach.get(id);
    if (!running.includes(vm)) return { ok: false, error: `${id}: VM ${vm} is not running` };
    if (note !== 'blocked' && note !== vm) {
      const found = note === 'fenced' ? 'is fenced and not settled' : `is granted to ${note}: fence it first`;
      return { ok: false, error: `${id} ${found}` };
    }
    reach.set(id, vm);
    return { ok: true };
  }
}

/** A bundle by its names. */
interface Known {
  readonly devices: ReadonlySet<DeviceId>;
  readonly resources: ReadonlyMap<ResourceId, Resource>;
  readonly reach: Map<ResourceId, Note>;
}
