/**
 * Interface of a step of any kind, as runs use it. Pure.
 *
 * A step can act, be undone and report the status; it knows neither other steps, nor their order, nor what follows
 * from its failure.
 */

import type { DeviceId, Epoch } from '../../core/protocol/ids.ts';
import type { DriverStatus } from '../../ports/world.ts';
import type { Limit } from './limit.ts';
import type { StepNote } from './note.ts';
import type { HookLock } from './world.ts';

/** The hook that a program is asked to run: `hook` of a socket request, BATON_HOOK of a command. */
export type HookWord = 'prepare' | 'hold-supplies' | 'release-supplies' | 'suspend' | 'resume' | 'inspect';

/**
 * What undoing a step without a record does. `nothing`: the present state stays. `drivers`: unbind, programs and
 * trusted-touch make the driver work, since it may have started while the device was away; attributes stay, at the
 * kernel's initial values. `all`: the device must work afterwards, since it was borrowed to be used.
 */
export type Wakes = 'nothing' | 'drivers' | 'all';

/** One call of a step. */
export interface StepCall {
  readonly limit: Limit;
  readonly lock: HookLock;
  readonly hook: HookWord;
  /** Absent for `inspect`. */
  readonly epoch: Epoch | undefined;
  /** The recorded changes of this step. */
  readonly note: StepNote;
  readonly wakes: Wakes;
  /** Reports what was seen and left unchanged. */
  warn(message: string): void;
}

/** A step of any kind. All reject with a StepError. */
export interface Step {
  readonly device: DeviceId;
  /** Its name, or else its kind. */
  readonly name: string;
  readonly limitMs: number;
  /** Identifies its changes in the note; equal for steps of the same form. Absent: it is never undone. */
  readonly key: string | undefined;
  apply(call: StepCall): Promise<void>;
  /**
   * Absent: nothing to undo. Does nothing for a step that was not done or is already undone, except what `wakes` of
   * the call demands.
   */
  readonly undo: ((call: StepCall) => Promise<void>) | undefined;
  /** The driver's state, as far as this step can determine it. */
  status(call: StepCall): Promise<DriverStatus>;
  /** Rejects when the step's effect is gone. Absent: it cannot be checked. */
  readonly recheck: ((call: StepCall) => Promise<void>) | undefined;
}

/** Returns the status that a program reported; anything else is `unknown`. */
export function driverStatus(said: unknown): DriverStatus {
  return said === 'active' || said === 'suspended' ? said : 'unknown';
}

/** Undoes only what was begun, unless the driver must work in any case. */
export function ifBegun(undo: Step['apply']): Step['apply'] {
  return async (call) => {
    if (call.note.isBegun || call.wakes !== 'nothing') await undo(call);
  };
}
