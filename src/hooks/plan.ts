/**
 * Turns the configured hooks of one bundle into steps that can be called, in the bundle's device order. Does
 * nothing itself.
 */

import type { BundleDefinition } from '../protocol/bundle.ts';
import type { DeviceId, VmId } from '../protocol/ids.ts';
import { attributeActions, type StepActions } from './attributes.ts';
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
        holdSupplies: (hooks.holdSupplies ?? []).map((step) => maker.step(step)),
        suspend: (hooks.suspend ?? []).map((step) => maker.step(step)),
        resume: hooks.resume?.map((step) => maker.resumeStep(step)),
        inspect: hooks.inspect && maker.inspectStep(hooks.inspect),
      },
    ];
  });
}

class StepMaker {
  readonly #bundle: BundleDefinition;
  readonly #device: DeviceId;
  readonly #isOwner: boolean;
  readonly #world: HookWorld;
  readonly #sockets: SocketPrograms;
  readonly #touch: TouchMemory = {};

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

  step(step: HookStep): Step {
    const name = step.name ?? step.kind;
    return {
      device: this.#device,
      name,
      limitMs: step.limitMs ?? STEP_LIMIT_MS,
      ...this.#actions(step, name),
    };
  }

  /** A step of a `resume` list: kinds that undo themselves are meant in that direction. */
  resumeStep(step: HookStep): Step {
    const forward = this.step(step);
    const isOneWay = step.kind === 'command' || step.kind === 'socket' || step.kind === 'sysfs';
    return isOneWay || !forward.undo ? forward : { ...forward, apply: forward.undo };
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
      apply: run(step.command),
      undo: step.undo && run(step.undo),
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
      apply: ask,
      // The request itself says which way: `resume` undoes `suspend`.
      undo: ask,
      status: async (call) => driverStatus((await this.#sockets.ask(order, call))['status']),
      recheck: undefined,
    };
  }
}
