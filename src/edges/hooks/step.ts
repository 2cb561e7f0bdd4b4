/**
 * What every kind of step offers to the runs that are made of steps. Pure.
 *
 * A step knows how to do itself, how to undo itself and what it can see; it knows nothing of other steps, of their
 * order, or of what becomes of its failure.
 */

import type { DeviceId, Epoch } from '../../core/protocol/ids.ts';
import type { DriverStatus } from '../../ports/world.ts';
import type { Limit } from './limit.ts';
import type { StepNote } from './note.ts';
import type { HookLock } from './world.ts';

/** What a program is asked to do: the `hook` of a socket request, BATON_HOOK of a command. */
export type HookWord = 'prepare' | 'hold-supplies' | 'release-supplies' | 'suspend' | 'resume' | 'inspect';

/**
 * What undoing does of a step that has noted nothing. `nothing`: what was found stays. `drivers`: unbind, programs
 * and trusted-touch make the driver work, for it may have come up while the device was not there; attributes stay,
 * whose values the kernel starts with. `all`: the device has to work afterwards, for it was borrowed to be used.
 */
export type Wakes = 'nothing' | 'drivers' | 'all';

/** One call of a step. */
export interface StepCall {
  readonly limit: Limit;
  readonly lock: HookLock;
  readonly hook: HookWord;
  /** Absent for `inspect`. */
  readonly epoch: Epoch | undefined;
  /** What this step has changed and not put back. */
  readonly note: StepNote;
  readonly wakes: Wakes;
  /** Tells a person what was seen and left alone. */
  warn(message: string): void;
}

/** A step of any kind. All reject with a StepError. */
export interface Step {
  readonly device: DeviceId;
  /** Its name, or else its kind. */
  readonly name: string;
  readonly limitMs: number;
  /** Names what it changed in the note: a step of the same form has the same. Absent: it is never undone. */
  readonly key: string | undefined;
  apply(call: StepCall): Promise<void>;
  /**
   * Absent: nothing to undo. Does nothing for a step that was not done, or undone before, but for what the call
   * `wakes`.
   */
  readonly undo: ((call: StepCall) => Promise<void>) | undefined;
  /** What the driver does, as far as this step can tell. */
  status(call: StepCall): Promise<DriverStatus>;
  /** Rejects when the step's effect has gone by itself. Absent: it cannot. */
  readonly recheck: ((call: StepCall) => Promise<void>) | undefined;
}

/** Returns what a program said the driver does; anything else is `unknown`. */
export function driverStatus(said: unknown): DriverStatus {
  return said === 'active' || said === 'suspended' ? said : 'unknown';
}

/** Undoes only what was begun, unless the driver has to work in any case. */
export function ifBegun(undo: Step['apply']): Step['apply'] {
  return async (call) => {
    if (call.note.isBegun || call.wakes !== 'nothing') await undo(call);
  };
}
