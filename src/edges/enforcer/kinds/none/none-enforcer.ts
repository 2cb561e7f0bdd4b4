/**
 * The Enforcer that isolates nothing: it records grants and reports them with evidence `none`.
 *
 * For trying the messages without a hypervisor. It cannot satisfy a consent that asks for evidence. Its VMs are those
 * of the configuration, and all of them run.
 */

import { type BundleDefinition, type Resource, resourcesOf } from '../../../../core/protocol/bundle.ts';
import type { BundleId, DeviceId, ResourceId, VmId } from '../../../../core/protocol/ids.ts';
import type {
  Enforcer,
  EnforcerAnswer,
  EnforcerCall,
  EnforcerDescription,
  FaultRecord,
  Reach,
} from '../../../../ports/enforcer.ts';

/** Parameters. `machineBoot` should come from the machine's boot id. */
export interface NoneOptions {
  readonly bundles: readonly BundleDefinition[];
  readonly vms: readonly VmId[];
  readonly machineBoot: string;
}

export class NoneEnforcer implements Enforcer {
  readonly #options: NoneOptions;
  readonly #bundles: ReadonlyMap<BundleId, Known>;
  /** The VM that each resource is granted to; absent: blocked. */
  readonly #noted = new Map<Resource, Reach>();

  constructor(options: NoneOptions) {
    this.#options = options;
    this.#bundles = new Map(options.bundles.map((bundle) => [bundle.id, knownOf(bundle)]));
  }

  describe(): EnforcerDescription {
    return {
      name: 'none',
      kind: 'central',
      evidence: 'none',
      capabilities: {
        forceRevoke: false,
        reset: false,
        faultReport: false,
      },
    };
  }

  machineBoot(): string {
    return this.#options.machineBoot;
  }

  running(): readonly VmId[] {
    return this.#options.vms;
  }

  run(
    bundle: BundleId,
    calls: readonly EnforcerCall[],
    done: (answers: readonly EnforcerAnswer[]) => void,
  ): void {
    const answers: EnforcerAnswer[] = [];
    for (const call of calls) {
      const answer = this.#answer(bundle, call);
      answers.push(answer);
      if (!answer.ok) break;
    }
    done(answers);
  }

  faults(): readonly FaultRecord[] {
    return [];
  }

  acknowledgeStart(): void {}

  acknowledgeExit(): void {}

  onEvent(): void {}

  close(): void {}

  #answer(bundle: BundleId, call: EnforcerCall): EnforcerAnswer {
    const known = this.#bundles.get(bundle);
    if (known === undefined) return refusal(`unknown bundle ${bundle}`);
    if (call.op === 'settle') return { ok: true, syncs: 0 };
    if (call.op === 'reset' || call.op === 'drained') {
      if (!known.devices.has(call.device))
        return refusal(`unknown device ${call.device} in bundle ${bundle}`);
      return call.op === 'reset' ? { ok: true } : { ok: true, idle: true };
    }
    const resource = known.resources.get(call.resource);
    if (resource === undefined) return refusal(`unknown resource ${call.resource} in bundle ${bundle}`);
    if (call.op === 'inspect') return { ok: true, reach: this.#noted.get(resource) ?? 'blocked' };
    if (call.op === 'fence') {
      this.#noted.delete(resource);
      return { ok: true };
    }
    return this.#grant(resource, call.vm);
  }

  #grant(resource: Resource, vm: VmId): EnforcerAnswer {
    if (!this.#options.vms.includes(vm)) return refusal(`VM ${vm} is not running`);
    const noted = this.#noted.get(resource);
    if (noted !== undefined && noted !== vm) {
      return refusal(`${resource.id} is granted to ${noted}, fence and settle it first`);
    }
    this.#noted.set(resource, vm);
    return { ok: true };
  }
}

/** The names in a bundle. */
interface Known {
  readonly devices: ReadonlySet<DeviceId>;
  readonly resources: ReadonlyMap<ResourceId, Resource>;
}

function knownOf(bundle: BundleDefinition): Known {
  return {
    devices: new Set(bundle.devices.map(({ id }) => id)),
    resources: new Map(resourcesOf(bundle).map((resource) => [resource.id, resource])),
  };
}

function refusal(error: string): EnforcerAnswer {
  return { ok: false, error };
}
