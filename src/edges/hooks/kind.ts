/**
 * What a kind of hook step is: one object per folder of `kinds/`, with its schema (whose descriptions make the tables
 * of docs/CONFIG.md), what its steps do, and what `check-config` says of them. Pure.
 */

import { type Static, type TSchema, Type } from '../../common/schema.ts';
import type { BundleId, DeviceId } from '../../core/protocol/ids.ts';
import type { StepActions } from './attributes.ts';
import type { SysLook } from './sys-look.ts';
import type { HookWorld } from './world.ts';

/** Time limit of a step that names none, in milliseconds. The slowest seen, a panel that powers up, takes 0.5 s. */
export const STEP_LIMIT_MS = 1_000;

export const CLOSED = { additionalProperties: false } as const;
export const LIMIT = Type.Optional(
  Type.Integer({
    minimum: 1,
    maximum: 60_000,
    default: STEP_LIMIT_MS,
    title: 'milliseconds',
    description: 'time that it has; then it failed',
  }),
);
/** Fields that a step of any kind has, beside its `kind`. */
export const COMMON = {
  name: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 64,
      description: 'what errors call it; absent: its kind',
    }),
  ),
  limitMs: LIMIT,
};
/** A place below /sys, or a pattern (names.ts). It is looked for anew at each use. */
export const place = (description: string) =>
  Type.String({ pattern: '^/', title: 'an absolute path', description });
/** One name inside a folder of /sys: never a way out of it. */
export const sysName = (description: string) =>
  Type.String({ pattern: '^[^/.][^/]*$', title: 'a name in a folder of /sys, without /', description });

type Frozen<T> = T extends object ? { readonly [K in keyof T]: Frozen<T[K]> } : T;
/** A step as the code sees it: the widest form of its kind. */
export type StepOf<T extends TSchema> = Frozen<Static<T>>;

/** What a step is about and what it runs on. */
export interface StepParts {
  readonly bundle: BundleId;
  readonly device: DeviceId;
  /** What errors and programs call the step. */
  readonly name: string;
  readonly isOwner: boolean;
  /** It stands under `inspect`: only its `status` is called. */
  readonly isInspect: boolean;
  readonly world: HookWorld;
  /**
   * State that a kind keeps for all steps of the agent, or of one device; made by `make` at its first use. Gone with
   * the agent.
   */
  shared<T>(of: 'agent' | 'device', make: () => T): T;
}

/** Lists of a device's hooks in which undoing is possible. */
export type MovingList = 'suspend' | 'resume';

/** One kind. `T`: schema of its widest form. */
export interface HookKind<T extends TSchema = TSchema> {
  readonly schema: T;
  /** Form where nothing is ever undone (`prepare`, `resume`); absent: the same. */
  readonly plain?: TSchema;
  /** Form of `inspect`; absent: this kind cannot be used there. */
  readonly inspect?: TSchema;
  /** May stand in `prepare` and `holdSupplies`, beside `suspend` and `resume`. */
  readonly isForSupplies: boolean;
  /** Its steps in `resume` act as the undoing of a step in `suspend`. */
  readonly undoesItself: boolean;
  /** What a step does. Nothing is touched before one of them is called. */
  actions(step: StepOf<T>, parts: StepParts): StepActions;
  /** Paths in /sys that a step names, each with the key that has it. */
  places?(step: StepOf<T>): readonly (readonly [key: string, path: string])[];
  /** What to name in place of a `part` of a path whose number changes; absent: the part as a pattern. */
  insteadOfNumber?(part: string): string;
  /** What makes no sense in a step at this place of a list that the schema accepts. */
  complaint?(step: StepOf<T>, list: MovingList, index: number, length: number): string | undefined;
  /** Why a step is never undone; `other`: words for the other way that its list offers. */
  neverUndone?(step: StepOf<T>, other: string, look: SysLook): string | undefined;
  /** What the success of a suspend step leaves open on this machine. `others`: kinds of all steps of its list. */
  effect?(step: StepOf<T>, look: SysLook, others: readonly string[]): string | undefined;
}

/** Types a kind by its schema. */
export function hookKind<T extends TSchema>(kind: HookKind<T>): HookKind<T> {
  return kind;
}
