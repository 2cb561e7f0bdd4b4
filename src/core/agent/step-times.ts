/**
 * How long the policy and the hooks of one bundle took, for the `steps` of an agent's messages to the host (R109).
 *
 * Pure: times are those of the facts. For people; no decision depends on them.
 */

import type { HookName, HookStepTime } from '../../ports/world.ts';
import { type BundleId, UINT32_MAX } from '../protocol/ids.ts';
import {
  type Message,
  type MessageKind,
  STEP_NAME_BYTES_MAX,
  STEPS_MAX,
  type StepTime,
} from '../protocol/messages.ts';
import { clipText } from '../wire/utf8.ts';

/** What is timed. */
type Timed = 'policy' | HookName;

/** A question to the policy, or a run of a hook. `id`: number of the request; epoch of the hook. */
interface Begun {
  readonly id: number;
  readonly sinceMs: number;
}
interface Done {
  readonly id: number;
  readonly steps: readonly StepTime[];
}

/** The last run of each hook and the last question to the policy. Immutable. */
export interface StepTimes {
  readonly begun: Readonly<Partial<Record<Timed, Begun>>>;
  readonly done: Readonly<Partial<Record<Timed, Done>>>;
}

export const NO_TIMES: StepTimes = { begun: {}, done: {} };

/** Most steps of one hook in a message: of two hooks, with the hooks themselves, all fit. */
const HOOK_STEPS_MAX = STEPS_MAX / 2 - 1;

/** Messages with `steps`, and what each reports: what its sender did for it. */
const REPORTED: Partial<Record<MessageKind, readonly Timed[]>> = {
  prepare: ['policy'],
  lend: ['suspend'],
  confirm: ['prepare', 'resume'],
  release: ['suspend'],
};

/** An input of an agent's table, as far as it ends something. */
interface Input {
  readonly on: string;
  readonly hook?: HookName;
  readonly steps?: readonly HookStepTime[];
  readonly request?: number;
}
/** An effect of an agent's table, as far as it begins something. */
interface Effect {
  readonly do: string;
  readonly hook?: HookName;
  readonly epoch?: number;
  readonly request?: number;
}

/** Returns the times of all bundles after an input of one. */
export function timedIn(
  all: Readonly<Record<BundleId, StepTimes>>,
  bundle: BundleId,
  input: object & { readonly on: string },
  effects: readonly { readonly do: string }[],
  nowMs: number,
): Readonly<Record<BundleId, StepTimes>> {
  const before = all[bundle] ?? NO_TIMES;
  const after = timed(before, input, effects, nowMs);
  return after === before ? all : { ...all, [bundle]: after };
}

/** Returns the times after an input, which may end a hook or a question, and its effects, which may begin one. */
export function timed(
  times: StepTimes,
  input: object & { readonly on: string },
  effects: readonly { readonly do: string }[],
  nowMs: number,
): StepTimes {
  let next = ended(times, input, nowMs);
  for (const effect of effects as readonly Effect[]) {
    if (effect.do === 'decide') next = begun(next, 'policy', effect.request!, nowMs);
    else if (effect.do === 'hook') next = begun(next, effect.hook!, effect.epoch!, nowMs);
  }
  return next;
}

function begun(times: StepTimes, what: Timed, id: number, nowMs: number): StepTimes {
  const { [what]: _, ...done } = times.done;
  return { begun: { ...times.begun, [what]: { id, sinceMs: nowMs } }, done };
}

function ended(times: StepTimes, input: Input, nowMs: number): StepTimes {
  const what = input.on === 'policyDecided' ? 'policy' : input.on === 'hookDone' ? input.hook! : undefined;
  const run = what && times.begun[what];
  // A late answer of the policy is about a request that was given up.
  if (!run || (what === 'policy' && run.id !== input.request)) return times;
  const { [what]: _, ...others } = times.begun;
  const whole: StepTime = { step: what, ms: wireMs(nowMs - run.sinceMs) };
  const steps = [whole, ...slowest(input.steps ?? [])];
  return { begun: others, done: { ...times.done, [what]: { id: run.id, steps } } };
}

/** Returns the slowest steps of a hook, in their order, without those that took no time. */
function slowest(steps: readonly HookStepTime[]): StepTime[] {
  const slow = steps.filter(({ ms }) => wireMs(ms) > 0);
  const kept = new Set([...slow].sort((a, b) => b.ms - a.ms).slice(0, HOOK_STEPS_MAX));
  return slow
    .filter((step) => kept.has(step))
    .map(({ device, name, ms }) => ({
      step: 'hook',
      device,
      ms: wireMs(ms),
      name: clipText(name, STEP_NAME_BYTES_MAX),
    }));
}

function wireMs(ms: number): number {
  return Math.min(Math.max(Math.round(ms), 0), UINT32_MAX);
}

/** Returns `message` with the times of what led to it: of the policy, and of hooks under its epoch. */
export function withSteps(message: Message, { done }: StepTimes = NO_TIMES): Message {
  const steps = (REPORTED[message.kind] ?? []).flatMap((what) => {
    const run = done[what];
    return run && (what === 'policy' || ('epoch' in message && run.id === message.epoch)) ? run.steps : [];
  });
  return steps.length === 0 ? message : ({ ...message, steps } as Message);
}
