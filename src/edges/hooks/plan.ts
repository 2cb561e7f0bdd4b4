/**
 * Turns the configured hooks of one bundle into steps that can be called, in the bundle's device order. Does
 * nothing itself.
 */

import type { BundleDefinition } from '../../core/protocol/bundle.ts';
import type { DeviceId, VmId } from '../../core/protocol/ids.ts';
import { attributeActions } from './attribute-steps.ts';
import type { StepActions } from './attributes.ts';
import { commandStatus, driverStatus, runCommand } from './command-step.ts';
import {
  type DeviceHooksConfig,
  type HookStep,
  type HooksConfig,
  type InspectHook,
  STEP_LIMIT_MS,
} from './hooks-config.ts';
import type { SocketPrograms } from './socket-step.ts';
import type { Step } from './step.ts';
import { type TouchMemory, trustedTouchActions } from './trusted-touch.ts';
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

/** The devices of one bundle that have hooks, in quiesce order. */
export type BundlePlan = readonly DevicePlan[];

/** Plans the hooks of one bundle. Devices without an entry have no part in it. */
export function planOf(
  bundle: BundleDefinition,
  config: HooksConfig,
  self: VmId,
  world: HookWorld,
  sockets: SocketPrograms,
): BundlePlan {
  return bundle.devices.flatMap(({ id: device }) => {
    const hooks: DeviceHooksConfig | undefined = config[bundle.id]?.[device];
    if (!hooks) return [];
    const maker = new StepMaker(bundle, device, bundle.owner === self, world, sockets);
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

/** Names a step in the note by what it does: a list may be put in another order while a device is away. */
function keyOf(list: NotedList, { name: _, limitMs: __, ...form }: HookStep): string {
  return `${list} ${JSON.stringify(form)}`;
}

class StepMaker {
  readonly #bundle: BundleDefinition;
  readonly #device: DeviceId;
  readonly #isOwner: boolean;
  readonly #world: HookWorld;
  readonly #sockets: SocketPrograms;
  readonly #touch: TouchMemory = {};
  readonly #keys = new Set<string>();

  constructor(
    bundle: BundleDefinition,
    device: DeviceId,
    isOwner: boolean,
    world: HookWorld,
    sockets: SocketPrograms,
  ) {
    this.#bundle = bundle;
    this.#device = device;
    this.#isOwner = isOwner;
    this.#world = world;
    this.#sockets = sockets;
  }

  /** A step that is never undone. */
  step(step: HookStep): Step {
    const name = step.name ?? step.kind;
    return {
      device: this.#device,
      name,
      limitMs: step.limitMs ?? STEP_LIMIT_MS,
      key: undefined,
      ...this.#actions(step, name),
    };
  }

  /** A step whose changes are noted. */
  noted(list: NotedList, step: HookStep): Step {
    const form = keyOf(list, step);
    let key = form;
    for (let number = 2; this.#keys.has(key); number++) key = `${form} ${number}`;
    this.#keys.add(key);
    return { ...this.step(step), key };
  }

  /**
   * A step of a `resume` list: kinds that undo themselves are meant in that direction. With a suspend step of the
   * same form it undoes that; else it makes the device work, whatever was found.
   */
  resumeStep(step: HookStep, suspend: readonly HookStep[]): Step {
    const forward = this.step(step);
    const { undo } = forward;
    const isOneWay = step.kind === 'command' || step.kind === 'socket' || step.kind === 'sysfs';
    if (isOneWay || !undo) return forward;
    const key = keyOf('suspend', step);
    if (suspend.some((other) => keyOf('suspend', other) === key)) return { ...forward, key, apply: undo };
    return { ...forward, apply: (call) => undo({ ...call, wakes: 'all' }) };
  }

  inspectStep(inspect: InspectHook): Step {
    if (inspect.kind === 'socket') return this.step({ ...inspect, name: 'inspect' });
    const order = { ...this.#names('inspect'), command: inspect.command };
    return {
      ...this.step({ ...inspect, name: 'inspect' }),
      status: (call) => commandStatus(this.#world, order, call),
    };
  }

  #names(step: string) {
    return { bundle: this.#bundle.id, device: this.#device, step };
  }

  #actions(step: HookStep, name: string): StepActions {
    switch (step.kind) {
      case 'command':
        return this.#command(step, name);
      case 'socket':
        return this.#socket(step.path, name);
      case 'trusted-touch':
        return trustedTouchActions(step, this.#world, this.#isOwner ? 'owner' : 'borrower', this.#touch);
      default:
        return attributeActions(step, this.#world);
    }
  }

  #command(step: Extract<HookStep, { kind: 'command' }>, name: string): StepActions {
    const run = (command: readonly string[]): Step['apply'] => {
      const order = { ...this.#names(name), command };
      return async (call) => {
        await runCommand(this.#world, order, call);
      };
    };
    return {
      apply: async (call) => {
        call.note.begin();
        await run(step.command)(call);
      },
      undo: step.undo && ifBegun(run(step.undo)),
      // Running the program to see what it does is not looking.
      status: async () => 'unknown',
      recheck: undefined,
    };
  }

  #socket(path: string, name: string): StepActions {
    const order = { ...this.#names(name), path };
    const ask: Step['apply'] = async (call) => {
      await this.#sockets.ask(order, call);
    };
    return {
      apply: async (call) => {
        call.note.begin();
        await ask(call);
      },
      // The request itself says which way: `resume` undoes `suspend`.
      undo: ifBegun(ask),
      status: async (call) => driverStatus((await this.#sockets.ask(order, call))['status']),
      recheck: undefined,
    };
  }
}

/** Undoes only what was begun, unless the driver has to work in any case. */
function ifBegun(undo: Step['apply']): Step['apply'] {
  return async (call) => {
    if (call.note.isBegun || call.wakes !== 'nothing') await undo(call);
  };
}
