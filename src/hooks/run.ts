/**
 * The runs that are made of steps: lend (suspend, undone when it fails), leave (suspend as much as goes), resume,
 * prepare, and looking. One run at a time per bundle is the caller's duty (hooks.ts).
 *
 * The first error is the one that is reported; what went wrong while undoing is reported beside it, never instead
 * of it. Every undo belongs to a step that was done, or that may have been.
 */

import type { DriverStatus, HookResult, Log } from '../ports.ts';
import type { BundleId, Epoch } from '../protocol/ids.ts';
import { Limit, messageOf, type StepError, stepError, tookMs } from './limit.ts';
import type { BundlePlan, DevicePlan } from './plan.ts';
import type { HookWord, Step, StepCall } from './step.ts';
import type { HookLock, HookWorld } from './world.ts';

/** Longest text of an error, in characters: two outputs of programs and what happened around them. */
const ERROR_CHARACTERS_MAX = 6_000;

/** What one run has to work with. */
export interface RunContext {
  readonly world: HookWorld;
  readonly log: Log;
  readonly bundle: BundleId;
  readonly epoch: Epoch | undefined;
  readonly lock: HookLock;
  /** What each step took, in ms; absent when nobody wants to know. */
  readonly took?: string[] | undefined;
  /** Work that was abandoned and has not ended. */
  readonly leftovers: Set<Promise<unknown>>;
}

/** A step that was done, with what its undoing takes. */
interface Done {
  readonly step: Step;
  /** Of `suspend`; absent for a step that holds supplies. */
  readonly plan: DevicePlan | undefined;
}

/** A step that did not succeed. */
interface Failure {
  readonly step: Step;
  readonly error: StepError;
}

/** Suspends for a loan: supplies are held first; a failure undoes everything this run did. */
export async function lend(run: RunContext, plan: BundlePlan): Promise<HookResult> {
  const todo = forward(plan);
  const done: Done[] = [];
  for (const item of todo) {
    const failure = await call(run, item.step, item.plan ? 'suspend' : 'hold-supplies', item.step.apply);
    if (!failure || failure.error.mayHaveActed) done.push(item);
    if (failure) return undo(run, done, failure);
  }
  for (const { step } of done) {
    const failure = step.recheck && (await call(run, step, 'suspend', step.recheck));
    if (failure) return undo(run, done, failure);
  }
  return { ok: true };
}

/**
 * Suspends because the bundle is going away in any case: a failure does not keep the other steps from being done,
 * and nothing is undone.
 */
export async function leave(run: RunContext, plan: BundlePlan): Promise<HookResult> {
  const failures: Failure[] = [];
  for (const { step } of forward(plan)) {
    const failure = await call(run, step, 'suspend', step.apply);
    if (failure) failures.push(failure);
  }
  const [first, ...others] = failures;
  if (!first) return { ok: true };
  return failed('unknown', [text(first), ...others.map((other) => `also ${text(other)}`)]);
}

/** Resumes, suppliers first, then lets the supplies go. Stops at the first failure: what follows depends on it. */
export async function resume(run: RunContext, plan: BundlePlan): Promise<HookResult> {
  let hasActed = false;
  for (const device of [...plan].reverse()) {
    for (const { step, act } of backward(device)) {
      const failure = await call(run, step, 'resume', act);
      if (failure)
        return failed(hasActed || failure.error.mayHaveActed ? 'unknown' : 'failed', [text(failure)]);
      hasActed = true;
    }
  }
  // A supply that stays on costs power; the driver works all the same.
  for (const step of plan.flatMap(({ holdSupplies }) => holdSupplies).reverse()) {
    const failure = step.undo && (await call(run, step, 'release-supplies', step.undo));
    if (failure) run.log('warn', 'a supply stays held', { bundle: run.bundle, error: text(failure) });
  }
  return { ok: true };
}

/** Warms up. Stops at the first failure; nothing is undone, for nothing is given up. */
export async function prepare(run: RunContext, plan: BundlePlan): Promise<HookResult> {
  for (const step of plan.flatMap((device) => device.prepare)) {
    const failure = await call(run, step, 'prepare', step.apply);
    if (failure) return failed('failed', [text(failure)]);
  }
  return { ok: true };
}

/** Looks what the driver does. Only what all devices and all their steps agree on is known. */
export async function inspect(run: RunContext, plan: BundlePlan): Promise<DriverStatus> {
  const steps = plan.flatMap(({ inspect, suspend }) => (inspect ? [inspect] : suspend));
  const seen = new Set<DriverStatus>();
  for (const step of steps) {
    const status = await look(run, step);
    seen.add(status);
    if (status === 'unknown' || seen.size > 1) return 'unknown';
  }
  const [status = 'unknown'] = seen;
  return status;
}

async function look(run: RunContext, step: Step): Promise<DriverStatus> {
  try {
    return await step.status(callOf(run, step, 'inspect'));
  } catch (error) {
    run.log('warn', 'inspect failed', { bundle: run.bundle, device: step.device, error: messageOf(error) });
    return 'unknown';
  }
}

/** All steps of a suspend in their order: supplies of all devices, then device by device. */
function forward(plan: BundlePlan): Done[] {
  return [
    ...plan.flatMap(({ holdSupplies }) => holdSupplies.map((step) => ({ step, plan: undefined }))),
    ...plan.flatMap((device) => device.suspend.map((step) => ({ step, plan: device }))),
  ];
}

/** What resumes one device: its own resume steps, or else its suspend steps undone in reverse. */
function backward({ resume, suspend }: DevicePlan): { step: Step; act: Step['apply'] }[] {
  if (resume) return resume.map((step) => ({ step, act: step.apply }));
  return [...suspend].reverse().flatMap((step) => (step.undo ? [{ step, act: step.undo }] : []));
}

/** Undoes what was done, last first. Goes on when an undo fails: the others still help. */
async function undo(run: RunContext, done: readonly Done[], first: Failure): Promise<HookResult> {
  const failures: Failure[] = [];
  const attempt = async (step: Step, hook: HookWord, act: Step['apply'] | undefined) => {
    const failure = act && (await call(run, step, hook, act));
    if (failure) failures.push(failure);
  };
  const resumed = new Set<DevicePlan>();
  for (const { step, plan } of [...done].reverse()) {
    if (!plan) await attempt(step, 'release-supplies', step.undo);
    else if (!plan.resume) await attempt(step, 'resume', step.undo);
    else if (!resumed.has(plan)) {
      // The device's own resume steps undo all of its suspend steps at once.
      resumed.add(plan);
      for (const own of plan.resume) await attempt(own, 'resume', own.apply);
    }
  }
  const outcome = first.error.timedOut || failures.length > 0 ? 'unknown' : 'failed';
  return failed(outcome, [text(first), ...failures.map((failure) => `undoing failed: ${text(failure)}`)]);
}

/** Calls one step within its limit. Returns how it failed, if it did. */
async function call(
  run: RunContext,
  step: Step,
  hook: HookWord,
  act: (call: StepCall) => Promise<void>,
): Promise<Failure | undefined> {
  const { world } = run;
  const startMs = world.clock.nowMs();
  try {
    await act(callOf(run, step, hook));
    run.took?.push(`${hook} ${step.device}/${step.name}: ${tookMs(world.clock, startMs)}`);
    return undefined;
  } catch (error) {
    return { step, error: stepError(error) };
  }
}

function callOf({ world, lock, epoch, leftovers }: RunContext, step: Step, hook: HookWord): StepCall {
  return { limit: new Limit(world.clock, step.limitMs, leftovers), lock, hook, epoch };
}

function text({ step, error }: Failure): string {
  return `${step.device}/${step.name}: ${error.message}`;
}

function failed(outcome: 'failed' | 'unknown', parts: readonly string[]): HookResult {
  return { ok: false, outcome, error: parts.join('; ').slice(0, ERROR_CHARACTERS_MAX) };
}
