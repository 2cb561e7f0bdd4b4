/**
 * Turns the configured hooks of one bundle into callable steps, in the bundle's device order. Runs nothing itself.
 */

import type { BundleDefinition } from '../../core/protocol/bundle.ts';
import type { DeviceId, VmId } from '../../core/protocol/ids.ts';
import type { StepActions } from './attributes.ts';
import type { DeviceHooksConfig, HooksConfig, InspectHook } from './hooks-config.ts';
import { STEP_LIMIT_MS } from './kind.ts';
import { type HookStep, kindOf } from './kinds.ts';
import type { Step } from './step.ts';
import type { HookWorld } from './world.ts';

/** The hooks of one device. */
export interface DevicePlan {
  readonly device: DeviceId;
  readonly prepare: readonly Step[];
  readonly holdSupplies: readonly Step[];
  readonly suspend: readonly Step[];
  /** Replaces the undoing of `suspend`: each step already acts in the direction of resume. */
  readonly resume: readonly Step[] | undefined;
  /** Only its `status` is called. */
  readonly inspect: Step | undefined;
}

/** The devices of one bundle with hooks, in the order of suspend. */
export type BundlePlan = readonly DevicePlan[];

/** State of kinds, by kind. */
type Shared = Map<string, unknown>;

/** State that the hooks of all bundles of an agent share. */
export interface AgentParts {
  readonly self: VmId;
  readonly world: HookWorld;
  readonly ofAgent: Shared;
}

/** Plans the hooks of one bundle. Devices without an entry are skipped. */
export function planOf(bundle: BundleDefinition, config: HooksConfig, agent: AgentParts): BundlePlan {
  return bundle.devices.flatMap(({ id: device }) => {
    const hooks: DeviceHooksConfig | undefined = config[bundle.id]?.[device];
    if (!hooks) return [];
    const maker = new StepMaker(bundle, device, agent);
    return [
      {
        device,
        prepare: (hooks.prepare ?? []).map((step) => maker.step(step)),
        holdSupplies: (hooks.holdSupplies ?? []).map((step) => maker.noted('holdSupplies', step)),
        suspend: (hooks.suspend ?? []).map((step) => maker.noted('suspend', step)),
        resume: hooks.resume?.map((step) => maker.resumeStep(step, hooks.suspend ?? [])),
        inspect: hooks.inspect && maker.inspectStep(hooks.inspect),
      },
    ];
  });
}

type NotedList = 'holdSupplies' | 'suspend';

/** Identifies a step in the note by what it does, since a list may be reordered while a device is away. */
function keyOf(list: NotedList, { name: _, limitMs: __, ...form }: HookStep): string {
  return `${list} ${JSON.stringify(form)}`;
}

class StepMaker {
  readonly #bundle: BundleDefinition;
  readonly #device: DeviceId;
  readonly #isOwner: boolean;
  readonly #agent: AgentParts;
  readonly #ofDevice: Shared = new Map();
  readonly #keys = new Set<string>();

  constructor(bundle: BundleDefinition, device: DeviceId, agent: AgentParts) {
    this.#bundle = bundle;
    this.#device = device;
    this.#isOwner = bundle.owner === agent.self;
    this.#agent = agent;
  }

  /** A step that is never undone. */
  step(step: HookStep): Step {
    const name = step.name ?? step.kind;
    return {
      device: this.#device,
      name,
      limitMs: step.limitMs ?? STEP_LIMIT_MS,
      key: undefined,
      ...this.#actions(step, name, false),
    };
  }

  /** A step whose changes are recorded. */
  noted(list: NotedList, step: HookStep): Step {
    const form = keyOf(list, step);
    let key = form;
    for (let number = 2; this.#keys.has(key); number++) key = `${form} ${number}`;
    this.#keys.add(key);
    return { ...this.step(step), key };
  }

  /**
   * A step of a `resume` list: kinds that undo themselves act in that direction. It undoes the suspend step of the
   * same form, if there is one; otherwise it makes the device work, whatever was found.
   */
  resumeStep(step: HookStep, suspend: readonly HookStep[]): Step {
    const forward = this.step(step);
    const { undo } = forward;
    if (!kindOf(step).undoesItself || !undo) return forward;
    const key = keyOf('suspend', step);
    if (suspend.some((other) => keyOf('suspend', other) === key)) return { ...forward, key, apply: undo };
    return { ...forward, apply: (call) => undo({ ...call, wakes: 'all' }) };
  }

  /** The step of `inspect`: only its `status` is called. */
  inspectStep(inspect: InspectHook): Step {
    return { ...this.step({ ...inspect, name: 'inspect' }), ...this.#actions(inspect, 'inspect', true) };
  }

  #actions(step: HookStep, name: string, isInspect: boolean): StepActions {
    const { world, ofAgent } = this.#agent;
    return kindOf(step).actions(step, {
      bundle: this.#bundle.id,
      device: this.#device,
      name,
      isOwner: this.#isOwner,
      isInspect,
      world,
      shared: (of, make) => sharedBy(of === 'agent' ? ofAgent : this.#ofDevice, step.kind, make),
    });
  }
}

/** Returns the state under `kind`; `make` creates it at its first use. */
function sharedBy<T>(state: Shared, kind: string, make: () => T): T {
  if (!state.has(kind)) state.set(kind, make());
  return state.get(kind) as T;
}
