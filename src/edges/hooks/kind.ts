/**
 * Interface of a hook kind: one object per folder of `kinds/`, with its schema (whose descriptions make the tables of
 * docs/CONFIG.md), its actions, and its checks for `check-config`. Pure.
 */

import { type Static, type TSchema, Type } from '../../common/schema.ts';
import type { BundleId, DeviceId } from '../../core/protocol/ids.ts';
import type { StepActions } from './attributes.ts';
import type { SysLook } from './sys-look.ts';
import type { HookWorld } from './world.ts';

/** Default time limit of a step, in ms. The slowest seen, a panel that powers up, takes 0.5 s. */
export const STEP_LIMIT_MS = 1_000;

export const CLOSED = { additionalProperties: false } as const;
export const LIMIT = Type.Optional(
  Type.Integer({
    minimum: 1,
    maximum: 60_000,
    default: STEP_LIMIT_MS,
    title: 'milliseconds',
    description: 'time limit of the step; then it has failed',
  }),
);
/** Fields of every step, besides its `kind`. */
export const COMMON = {
  name: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 64,
      description: 'its name in error texts; absent: its kind',
    }),
  ),
  limitMs: LIMIT,
};
/** A place below /sys, or a pattern (names.ts). It is resolved anew at each use. */
export const place = (description: string) =>
  Type.String({ pattern: '^/', title: 'an absolute path', description });
/** One name inside a folder of /sys, never a path out of it. */
export const sysName = (description: string) =>
  Type.String({ pattern: '^[^/.][^/]*$', title: 'a name in a folder of /sys, without /', description });

type Frozen<T> = T extends object ? { readonly [K in keyof T]: Frozen<T[K]> } : T;
/** A step in the widest form of its kind. */
export type StepOf<T extends TSchema> = Frozen<Static<T>>;

/** The subject of a step and its environment. */
export interface StepParts {
  readonly bundle: BundleId;
  readonly device: DeviceId;
  /** Name of the step for errors and programs. */
  readonly name: string;
  readonly isOwner: boolean;
  /** Whether it is listed under `inspect`: only its `status` is called. */
  readonly isInspect: boolean;
  readonly world: HookWorld;
  /**
   * Returns state that a kind keeps for all steps of the agent, or of one device; `make` creates it at its first use.
   * Lost with the agent.
   */
  shared<T>(of: 'agent' | 'device', make: () => T): T;
}

/** Lists of a device's hooks whose steps may be undone. */
export type MovingList = 'suspend' | 'resume';

/** One kind. `T`: schema of its widest form. */
export interface HookKind<T extends TSchema = TSchema> {
  readonly schema: T;
  /** Form for lists that are never undone (`prepare`, `resume`); absent: the same. */
  readonly plain?: TSchema;
  /** Form of `inspect`; absent: not allowed there. */
  readonly inspect?: TSchema;
  /** Whether it is allowed in `prepare` and `holdSupplies`, besides `suspend` and `resume`. */
  readonly isForSupplies: boolean;
  /** Whether its steps in `resume` act as the undoing of a step in `suspend`. */
  readonly undoesItself: boolean;
  /** Returns the actions of a step. Nothing is touched before one of them is called. */
  actions(step: StepOf<T>, parts: StepParts): StepActions;
  /** Paths in /sys that a step names, each with the key that has it. */
  places?(step: StepOf<T>): readonly (readonly [key: string, path: string])[];
  /** Replacement for a `part` of a path whose number changes; absent: the part as a pattern. */
  insteadOfNumber?(part: string): string;
  /** Returns what is wrong with a step at this position of a list, although the schema accepts it. */
  complaint?(step: StepOf<T>, list: MovingList, index: number, length: number): string | undefined;
  /** Returns why a step is never undone; `other`: text for the alternative that its list offers. */
  neverUndone?(step: StepOf<T>, other: string, look: SysLook): string | undefined;
  /**
   * Returns what the success of a suspend step does not prove on this machine. `others`: kinds of all steps of its
   * list.
   */
  effect?(step: StepOf<T>, look: SysLook, others: readonly string[]): string | undefined;
}

/** Types a kind by its schema. */
export function hookKind<T extends TSchema>(kind: HookKind<T>): HookKind<T> {
  return kind;
}
