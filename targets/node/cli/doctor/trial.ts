/**
 * Attributes of driver hooks tried: the step is carried out by the code of its kind, looked at, and undone.
 *
 * Only for a bundle that this VM owns and has, at rest by the agent's own word, and under the lock of its hooks: a
 * handover that begins meanwhile waits for it as it waits for a program of an earlier run, which is longer than a trial
 * may take.
 */

import { readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { Json } from '../../../../src/common/lines.ts';
import type { BundleId, DeviceId } from '../../../../src/core/protocol/ids.ts';
import { LEFTOVER_WAIT_MS } from '../../../../src/edges/hooks/hooks.ts';
import { kindOf } from '../../../../src/edges/hooks/kinds.ts';
import { Limit } from '../../../../src/edges/hooks/limit.ts';
import { BundleNote, type StepNote } from '../../../../src/edges/hooks/note.ts';
import type { StepCall } from '../../../../src/edges/hooks/step.ts';
import { placesOf } from '../../../../src/edges/hooks/sys-look.ts';
import type { HookLock } from '../../../../src/edges/hooks/world.ts';
import { CLOCK } from '../../system/clock.ts';
import { InheritedLock } from '../../system/inherited-lock.ts';
import { nameOfPath } from '../../system/name-lock.ts';
import { type Check, type Finding, fault, ok, skipped } from './check.ts';
import { LOOKING, type PlacedStep, stepsOf } from './hook-steps.ts';
import { answered, type Subject } from './subject.ts';

/** Time of doing, and again of undoing, in ms. The agent waits LEFTOVER_WAIT_MS for the lock: both fit in. */
const HALF_MS = LEFTOVER_WAIT_MS * 0.4;
/** Kinds that write attributes alone, and put back what they found. Others stop a driver for longer. */
const TRIED = ['sysfs', 'input-inhibit'];
/** State of an owner's table in which nothing is asked, prepared or lent. */
const AT_REST = 'held';

/** Of kinds that are tried none starts a program. */
const NO_LOCK: HookLock = {
  start: () => {
    throw new Error('no program is started in a trial');
  },
  release: () => {},
};

/** What a trial of one step gave. */
interface Trial {
  readonly about: string;
  /** Why it was not tried. */
  readonly why?: string;
  /** What was seen when it was done; undefined: as it should. */
  readonly failed?: string;
  /** What is left changed; undefined: nothing. */
  readonly left?: string;
  readonly paths?: readonly string[];
}

/** Tries every step once for both checks. */
function trialsOf(subject: Subject): Promise<readonly Trial[]> {
  return subject.once('trials', async () => {
    const trials: Trial[] = [];
    const steps = stepsOf(subject).filter(
      ({ step, list }) => TRIED.includes(step.kind) && (list === 'suspend' || list === 'holdSupplies'),
    );
    for (const placed of steps) trials.push({ about: placed.about, ...(await tried(subject, placed)) });
    return trials;
  });
}

async function tried(subject: Subject, placed: PlacedStep): Promise<Omit<Trial, 'about'>> {
  if (!subject.may.tries) return { why: '--no-try' };
  const { bundle } = placed;
  const name = `${nameOfPath('hooks', realpathSync(subject.state))}-${bundle}`;
  // The agent keeps this name from its start on. Where it is not seen, ours would keep out nobody.
  if (!isBound(`${name}-agent`)) return { why: 'no agent is seen that its lock would keep out' };
  const lock = new InheritedLock(`${name}-run`, join(subject.state, `hooks-${bundle}.lock`));
  const held = await lock.take();
  if (!held) return { why: 'its hooks run now' };
  // The state is asked under the lock: no hook runs from here on.
  let isAskedToEnd = false;
  const unhook = subject.machine.onSignal(() => {
    isAskedToEnd = true;
  });
  try {
    const why = whyNot(await subject.ask({ do: 'status' }), subject.party, bundle);
    return why === undefined ? await carriedOut(subject, placed) : { why };
  } finally {
    held.release();
    unhook();
    // What was asked for while an attribute was changed.
    if (isAskedToEnd) process.kill(process.pid, 'SIGTERM');
  }
}

/**
 * Reads of the kernel's list of sockets until a name counts as absent: the list is read in pieces, and one that is read
 * while sockets come and go may lack a row.
 */
const LIST_READS = 5;

/** Whether a process in our network name space has bound an abstract name. */
function isBound(name: string): boolean {
  for (let read = 0; read < LIST_READS; read++) {
    const rows = readFileSync('/proc/net/unix', 'utf8').split('\n');
    if (rows.some((row) => row.replace(/@+$/, '').endsWith(` @${name}`))) return true;
  }
  return false;
}

/** Returns why a bundle must be left alone; undefined when this VM has its own and nothing goes on. */
function whyNot(status: Json | { why: string }, self: string, bundle: string): string | undefined {
  if (!answered(status as Json)) return 'no agent says who holds it';
  const views = ((status as Json)['bundles'] ?? []) as readonly Json[];
  const view = views.find((each) => each['bundle'] === bundle);
  if (!view) return 'the running agent does not know this bundle';
  if (view['role'] !== 'owner') return 'this VM does not own it: its driver may not reach the device';
  if (view['phase'] !== 'held' || view['holder'] !== self)
    return `it is ${view['phase'] === 'held' ? `lent to ${view['holder']}` : String(view['phase'])}`;
  if (view['state'] !== AT_REST || view['driver'] === 'suspended')
    return `a handover goes on: ${view['state']}, driver ${view['driver']}`;
  return undefined;
}

async function carriedOut(subject: Subject, placed: PlacedStep): Promise<Omit<Trial, 'about'>> {
  const { step, bundle, device } = placed;
  const actions = kindOf(step).actions(step, {
    bundle: bundle as BundleId,
    device: device as DeviceId,
    name: placed.about,
    isOwner: true,
    isInspect: false,
    world: LOOKING,
    shared: (_, make) => make(),
  });
  const note = new BundleNote(LOOKING.notes, bundle as BundleId, subject.machine.log);
  const ofStep = note.ofStep(device as DeviceId, placed.about, true);
  const warnings: string[] = [];
  const call = (): StepCall => ({
    limit: new Limit(CLOCK, HALF_MS, new Set()),
    lock: NO_LOCK,
    hook: 'suspend',
    epoch: undefined,
    note: ofStep,
    wakes: 'nothing',
    warn: (message) => warnings.push(message),
  });
  if (await isForever(subject, placed))
    return { why: 'it cannot be read and has no "undo": nothing could be put back' };
  if ((await actions.status(call())) === 'suspended') return { why: 'it reads as suspended already' };
  let failed: string | undefined;
  try {
    await actions.apply(call());
    failed = ignored(placed, ofStep);
  } catch (error) {
    failed = (error as Error).message;
  }
  const left = await undone(actions.undo, call, ofStep, warnings);
  const paths = ofStep.changes.map(({ path }) => path);
  return { ...(failed === undefined ? {} : { failed }), ...(left === undefined ? {} : { left }), paths };
}

async function isForever({ machine }: Subject, { step }: PlacedStep): Promise<boolean> {
  if (step.kind !== 'sysfs' || step.undo !== undefined) return false;
  return LOOKING.attributes.read(placesOf(step.path, machine.files)[0] ?? step.path).then(
    () => false,
    () => true,
  );
}

/** A step without "expect" counts a write as success: an attribute that still reads as before did nothing. */
function ignored({ step }: PlacedStep, { changes }: StepNote): string | undefined {
  if (step.kind !== 'sysfs' || step.expect) return undefined;
  const same = changes.find(
    ({ found, wrote, reads }) => found !== undefined && found !== wrote && reads === found,
  );
  return (
    same && `${same.path} took ${JSON.stringify(same.wrote)} and still reads ${JSON.stringify(same.found)}`
  );
}

/** Undoes the step, and returns what reads otherwise than before. */
async function undone(
  undo: ((call: StepCall) => Promise<void>) | undefined,
  call: () => StepCall,
  note: StepNote,
  warnings: readonly string[],
): Promise<string | undefined> {
  const changes = [...note.changes];
  let error: string | undefined;
  try {
    await undo?.(call());
  } catch (failure) {
    error = (failure as Error).message;
  }
  for (const { path, found } of changes) {
    if (found === undefined) continue;
    const now = await LOOKING.attributes.read(path).then(
      (text) => text.trim(),
      () => undefined,
    );
    if (now !== found && !now?.includes(`[${found}]`))
      return `${path} reads ${JSON.stringify(now)}, not ${JSON.stringify(found)} as before${error ? `: ${error}` : ''}`;
  }
  return error ?? warnings[0];
}

function trialCheck(name: string, say: (trial: Trial) => readonly Finding[]): Check {
  return {
    name,
    of: 'agent',
    run: async (subject) => (await trialsOf(subject)).flatMap((trial) => say(trial)),
  };
}

const WORKS = trialCheck('attribute-works', ({ about, why, failed, paths = [] }) => {
  if (why !== undefined) return skipped(about, why);
  if (failed === undefined) return ok(about, `done and undone: ${paths.join(', ') || 'nothing to change'}`);
  return fault(
    about,
    failed,
    'a write that does what the step says',
    'look at the driver: cat and echo by hand, dmesg; another attribute or another kind of step',
  );
});

const RESTORED = trialCheck('attribute-restored', ({ about, why, left }) => {
  if (why !== undefined) return skipped(about, why);
  if (left === undefined) return ok(about, 'it reads as before');
  return fault(
    about,
    `LEFT CHANGED: ${left}`,
    'what was found before',
    'write the former value by hand now; then give the step "undo", or "expect" with "undone"',
  );
});

/** Checks that change an attribute for a moment. */
export const TRIAL_CHECKS: readonly Check[] = [WORKS, RESTORED];
