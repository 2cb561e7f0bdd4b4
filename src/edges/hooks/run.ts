/**
 * Runs of hook steps: lend (suspend, undone on failure), leave (suspend as much as possible), resume, prepare, and
 * inspect. The caller ensures one run at a time per bundle (hooks.ts).
 *
 * The first error is reported; errors of undoing are added to it and never replace it. Only steps that were done, or
 * may have been, are undone: the note (note.ts) records them, also across a crash of the agent. So the agent of an
 * owner that starts while it holds changes nothing.
 */

import type { BundleId, Epoch } from '../../core/protocol/ids.ts';
import type { DriverStatus, HookResult, HookStepTime, Log } from '../../ports/world.ts';
import { writeAttribute } from './attributes.ts';
import { STEP_LIMIT_MS } from './kind.ts';
import { Limit, messageOf, type StepError, stepError, tookMs } from './limit.ts';
import { type BundleNote, NO_NOTE } from './note.ts';
import type { BundlePlan, DevicePlan } from './plan.ts';
import type { HookWord, Step, StepCall } from './step.ts';
import type { HookLock, HookWorld } from './world.ts';

/** Longest error text, in characters: two program outputs and their context. */
const ERROR_CHARACTERS_MAX = 6_000;

/** The context of one run. */
export interface RunContext {
  readonly world: HookWorld;
  readonly log: Log;
  readonly bundle: BundleId;
  readonly epoch: Epoch | undefined;
  readonly lock: HookLock;
  readonly note: BundleNote;
  readonly isOwner: boolean;
  /** The completed steps with their durations. */
  readonly took: TookStep[];
  /** Work that was abandoned and has not ended. */
  readonly leftovers: Set<Promise<unknown>>;
}

/** Duration of a completed step. */
export interface TookStep extends HookStepTime {
  readonly hook: HookWord;
}

/** A completed step, with what undoes it. */
interface Done {
  readonly step: Step;
  /** Of `suspend`; absent for a step that holds supplies. */
  readonly plan: DevicePlan | undefined;
}

/** A failed step. */
interface Failure {
  readonly step: Step;
  readonly error: StepError;
}

/** Suspends for a loan: supplies are held first. A failure undoes everything that this run did. */
export async function lend(run: RunContext, plan: BundlePlan): Promise<HookResult> {
  for (const { device } of plan) run.note.take(device, 'lent');
  const fault = run.note.save();
  if (fault !== undefined) {
    for (const { device } of plan) run.note.settle(device);
    return failed('failed', [
      `${run.bundle}: the change cannot be recorded, so nothing is changed: ${fault}`,
    ]);
  }
  const done: Done[] = [];
  for (const item of forward(plan)) {
    const failure = await begin(run, item, true);
    if (!failure || failure.error.mayHaveActed) done.push(item);
    if (failure) return undo(run, plan, done, failure);
  }
  for (const { step } of done) {
    const failure = step.recheck && (await call(run, step, 'suspend', step.recheck));
    if (failure) return undo(run, plan, done, failure);
  }
  return { ok: true };
}

/**
 * Suspends because the bundle is leaving in any case: after a failed step the other steps still run, and nothing is
 * undone.
 */
export async function leave(run: RunContext, plan: BundlePlan): Promise<HookResult> {
  for (const { device } of plan) run.note.take(device, 'left');
  run.note.save();
  const failures: Failure[] = [];
  for (const item of forward(plan)) {
    const failure = await begin(run, item, false);
    if (failure) failures.push(failure);
  }
  run.note.save();
  const [first, ...others] = failures;
  if (!first) return { ok: true };
  return failed('unknown', [text(first), ...others.map((other) => `also ${text(other)}`)], first);
}

/** Resumes, suppliers first, then releases the supplies. Stops at the first failure, since later steps depend on it. */
export async function resume(run: RunContext, plan: BundlePlan): Promise<HookResult> {
  let hasActed = false;
  for (const device of [...plan].reverse()) {
    // It was never taken from its driver, so there is nothing to undo.
    if (run.isOwner && !run.note.taken(device.device)) continue;
    for (const { step, act } of backward(device)) {
      const failure = await call(run, step, 'resume', act);
      if (failure) {
        run.note.save();
        return failed(
          hasActed || failure.error.mayHaveActed ? 'unknown' : 'failed',
          [text(failure)],
          failure,
        );
      }
      hasActed = true;
      if (!device.resume) run.note.end(step.device, step.key!);
    }
    for (const { key } of device.suspend) run.note.end(device.device, key!);
  }
  // A supply that stays on costs power; the driver works.
  for (const step of plan.flatMap(({ holdSupplies }) => holdSupplies).reverse()) {
    if (!step.undo || !run.note.isBegun(step.device, step.key!)) continue;
    const failure = await call(run, step, 'release-supplies', step.undo);
    if (failure)
      run.log('warn', 'a supply could not be released', { bundle: run.bundle, error: text(failure) });
    else run.note.end(step.device, step.key!);
  }
  await undoOrphans(run, plan);
  for (const { device } of plan) run.note.settle(device);
  run.note.save();
  return { ok: true };
}

/**
 * Restores the changes of steps that are not configured any more. A change that cannot be restored is logged and
 * forgotten.
 */
async function undoOrphans(
  { world, log, bundle, note, leftovers }: RunContext,
  plan: BundlePlan,
): Promise<void> {
  const steps = plan.flatMap(({ holdSupplies, suspend }) => [...holdSupplies, ...suspend]);
  const isKnown = (device: string, key: string) =>
    steps.some((step) => step.device === device && step.key === key);
  for (const { changes } of note.orphans(isKnown)) {
    const limit = new Limit(world.clock, STEP_LIMIT_MS, leftovers);
    for (const { path, found, wrote } of changes) {
      try {
        const now = (await limit.wait(() => world.attributes.read(path), `reading ${path}`)).trim();
        if (found !== undefined && now === wrote) await writeAttribute(world, limit, path, found);
      } catch (error) {
        log('warn', 'the change of a step that is no longer configured was not restored', {
          bundle,
          error: messageOf(error),
        });
      }
    }
    if (changes.length === 0)
      log('warn', 'a step that is no longer configured was begun, and nothing undoes it', { bundle });
  }
  note.dropOrphans(isKnown);
}

/** Runs the prepare steps. Stops at the first failure; nothing is undone, since nothing was given up. */
export async function prepare(run: RunContext, plan: BundlePlan): Promise<HookResult> {
  for (const step of plan.flatMap((device) => device.prepare)) {
    const failure = await call(run, step, 'prepare', step.apply);
    if (failure) return failed('failed', [text(failure)], failure);
  }
  return { ok: true };
}

/**
 * Determines the driver's state. It is known only if all devices agree. An owner with recorded changes does not call
 * its driver active: a device may be in use and still changed.
 */
export async function inspect(run: RunContext, plan: BundlePlan): Promise<DriverStatus> {
  const seen = new Set<DriverStatus>();
  // All devices, since later runs need each program's answer.
  for (const device of plan)
    if (device.inspect || device.suspend.length > 0) seen.add(await statusOf(run, device));
  const [status = 'unknown'] = seen;
  if (seen.size > 1 || (run.isOwner && status === 'active' && run.note.hasSteps)) return 'unknown';
  return status;
}

/**
 * Returns the state of one device. For an owner's device that this agent did not take, an inspect program counts as
 * it is: the driver must be resumed. An attribute may read suspended because the device is idle, or because of
 * another program.
 */
async function statusOf(run: RunContext, { device, inspect, suspend }: DevicePlan): Promise<DriverStatus> {
  const seen = new Set<DriverStatus>();
  for (const step of inspect ? [inspect] : suspend) {
    seen.add(await look(run, step));
    if (seen.has('unknown') || seen.size > 1) return 'unknown';
  }
  const [status = 'unknown'] = seen;
  if (status !== 'suspended' || !run.isOwner || run.note.taken(device)) return status;
  if (inspect) run.note.take(device, 'left');
  else run.log('info', 'found suspended, and not by this agent', { bundle: run.bundle, device });
  return inspect ? status : 'unknown';
}

async function look(run: RunContext, step: Step): Promise<DriverStatus> {
  try {
    return await step.status(callOf(run, step, 'inspect'));
  } catch (error) {
    run.log('warn', 'inspect failed', { bundle: run.bundle, device: step.device, error: messageOf(error) });
    return 'unknown';
  }
}

/** Returns all steps of a suspend in order: supplies of all devices, then device by device. */
function forward(plan: BundlePlan): Done[] {
  return [
    ...plan.flatMap(({ holdSupplies }) => holdSupplies.map((step) => ({ step, plan: undefined }))),
    ...plan.flatMap((device) => device.suspend.map((step) => ({ step, plan: device }))),
  ];
}

/** Returns the steps that resume one device: its own resume steps, or its suspend steps undone in reverse. */
function backward({ resume, suspend }: DevicePlan): { step: Step; act: Step['apply'] }[] {
  if (resume) return resume.map((step) => ({ step, act: step.apply }));
  return [...suspend].reverse().flatMap((step) => (step.undo ? [{ step, act: step.undo }] : []));
}

/** Starts one step. A step that changed nothing, now or before, is not recorded as begun. */
async function begin(run: RunContext, { step, plan }: Done, isStrict: boolean): Promise<Failure | undefined> {
  const wasBegun = run.note.isBegun(step.device, step.key!);
  const hook = plan ? 'suspend' : 'hold-supplies';
  const failure = await call(run, step, hook, step.apply, isStrict);
  if (failure && !failure.error.mayHaveActed && !wasBegun) run.note.end(step.device, step.key!);
  return failure;
}

/**
 * Undoes completed steps, last first. Continues when one fails, since the others still help. An abandoned write may
 * still take effect and repeat an undone change; its record stays, and the next resume undoes it.
 */
async function undo(
  run: RunContext,
  plan: BundlePlan,
  done: readonly Done[],
  first: Failure,
): Promise<HookResult> {
  const failures: Failure[] = [];
  const attempt = async (step: Step, hook: HookWord, act: Step['apply'] | undefined) => {
    const failure = act && (await call(run, step, hook, act));
    if (failure) failures.push(failure);
    return failure === undefined;
  };
  const resumed = new Set<DevicePlan>();
  for (const { step, plan } of [...done].reverse()) {
    const { device, key } = step;
    if (!plan?.resume) {
      const isUndone = await attempt(step, plan ? 'resume' : 'release-supplies', step.undo);
      if (isUndone && run.leftovers.size === 0) run.note.end(device, key!);
    } else if (!resumed.has(plan)) {
      // The device's own resume steps undo all of its suspend steps at once.
      resumed.add(plan);
      let isUndone = true;
      for (const own of plan.resume) isUndone = (await attempt(own, 'resume', own.apply)) && isUndone;
      if (isUndone && run.leftovers.size === 0)
        for (const { key } of plan.suspend) run.note.end(device, key!);
    }
  }
  for (const { device } of plan) run.note.settle(device);
  run.note.save();
  const outcome = first.error.timedOut || failures.length > 0 ? 'unknown' : 'failed';
  const parts = [text(first), ...failures.map((failure) => `undoing failed: ${text(failure)}`)];
  return failed(outcome, parts, first);
}

/** Runs one step within its limit. Returns the failure, if any. */
async function call(
  run: RunContext,
  step: Step,
  hook: HookWord,
  act: (call: StepCall) => Promise<void>,
  isStrict = false,
): Promise<Failure | undefined> {
  const { world } = run;
  const startMs = world.clock.nowMs();
  try {
    await act(callOf(run, step, hook, isStrict));
    run.took.push({ hook, device: step.device, name: step.name, ms: tookMs(world.clock, startMs) });
    return undefined;
  } catch (error) {
    return { step, error: stepError(error) };
  }
}

function callOf(run: RunContext, step: Step, hook: HookWord, isStrict = false): StepCall {
  const { world, lock, epoch, leftovers, note, log, bundle } = run;
  const { device, key, name } = step;
  return {
    limit: new Limit(world.clock, step.limitMs, leftovers),
    lock,
    hook,
    epoch,
    note: key === undefined ? NO_NOTE : note.ofStep(device, key, isStrict),
    wakes: !run.isOwner ? 'all' : note.taken(device) === 'left' ? 'drivers' : 'nothing',
    warn: (message) => log('warn', message, { bundle, device, step: name }),
  };
}

function text({ step, error }: Failure): string {
  return `${step.device}/${step.name}: ${error.message}`;
}

/** A step's error text may name files of this VM; the other party gets only the step's name. */
function failed(outcome: 'failed' | 'unknown', parts: readonly string[], at?: Failure): HookResult {
  const error = parts.join('; ').slice(0, ERROR_CHARACTERS_MAX);
  if (!at) return { ok: false, outcome, error };
  const { device, name } = at.step;
  const late = at.error.timedOut ? ', which took too long' : '';
  return { ok: false, outcome, error, where: `device ${device}, step ${name}${late}` };
}
