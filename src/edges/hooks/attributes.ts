/**
 * Attributes below /sys: read, written, awaited, changed with a note of the former value, and restored.
 *
 * A refused write has changed nothing. After an accepted one the step counts as begun, and is undone even if it fails
 * later.
 */

import type { DriverStatus } from '../../ports/world.ts';
import { type Limit, messageOf, StepError, stepError } from './limit.ts';
import { realPathOf } from './places.ts';
import type { Step, StepCall } from './step.ts';
import type { HookWorld } from './world.ts';

/** Shortest pause between two reads of an attribute, in ms: at least the duration of a runtime suspend. */
const LOOK_FIRST_MS = 1;
/** Longest such pause, in ms: half a display frame, so that polling adds little to any wait. */
const LOOK_LAST_MS = 8;

/** The parts of a step that its kind defines. */
export type StepActions = Pick<Step, 'apply' | 'undo' | 'status' | 'recheck'>;

/** Returns an error of a step. */
export function refused(message: string, mayHaveActed: boolean): StepError {
  return new StepError(message, { mayHaveActed });
}

/** Writes `value` unless the attribute reads it, after recording the former value. Returns whether it did. */
export async function change(
  world: HookWorld,
  call: StepCall,
  path: string,
  value: string,
): Promise<boolean> {
  const { limit, note } = call;
  const found = await readAttribute(world, limit, path);
  if (found === value) return false;
  note.remember({ path: await realPathOf(world, limit, path), found, wrote: value });
  await writeAttribute(world, limit, path, value);
  return true;
}

/** If nothing is recorded and the call wakes all: what reads `asleep` becomes `awake`. */
export interface Wake {
  readonly asleep: string;
  readonly awake: string;
}

/**
 * Writes back what `change` found, and waits until it reads so. A third value was set by another program and stays.
 * Returns what was written; undefined when nothing was.
 */
export async function putBack(
  world: HookWorld,
  call: StepCall,
  path: string,
  wake?: Wake,
): Promise<string | undefined> {
  const { limit, note } = call;
  const real = await realPathOf(world, limit, path);
  const noted = note.changes.find((each) => each.path === real);
  if (noted?.found === undefined && !(wake && call.wakes === 'all')) return undefined;
  const now = await readAttribute(world, limit, path);
  let value = noted?.found;
  if (value === undefined) value = now === wake!.asleep ? wake!.awake : now;
  else if (now !== value && now !== noted!.wrote) {
    call.warn(leftAlone(path, now, noted!.wrote));
    return undefined;
  }
  if (now === value) return undefined;
  await writeAttribute(world, limit, path, value);
  await until(world, limit, path, value);
  return value;
}

/** Returns the warning that another program has changed an attribute after us. */
export function leftAlone(path: string, now: string, wrote: string): string {
  return `${path} reads ${JSON.stringify(now)}, and this agent wrote ${JSON.stringify(wrote)}: left as it is`;
}

/** Reads an attribute, without the newline at its end. */
export async function readAttribute(world: HookWorld, limit: Limit, path: string): Promise<string> {
  return (await limit.wait(() => world.attributes.read(path), `reading ${path}`)).trim();
}

/** Writes an attribute. */
export function writeAttribute(world: HookWorld, limit: Limit, path: string, text: string): Promise<void> {
  return limit.wait(() => world.attributes.write(path, text), `writing ${JSON.stringify(text)} to ${path}`);
}

/**
 * Waits until an attribute reads `value`; fails at once when it reads one of `deadEnds`. `shown`: returns the
 * relevant part of its text.
 */
export async function until(
  world: HookWorld,
  limit: Limit,
  path: string,
  value: string,
  deadEnds: readonly string[] = [],
  shown: (text: string) => string = (text) => text,
): Promise<void> {
  let last = '';
  const arrived = async () => {
    last = shown(await readAttribute(world, limit, path));
    if (deadEnds.includes(last)) throw refused(`${path} reads ${last}`, true);
    return last === value;
  };
  const late = () =>
    `${path} still reads ${JSON.stringify(last)} after ${limit.ms} ms, not ${JSON.stringify(value)}`;
  await look(limit, arrived, late);
}

/** Repeats a read until `arrived`, or until the limit. Used after an accepted write. */
export async function look(limit: Limit, arrived: () => Promise<boolean>, late: () => string): Promise<void> {
  let hasLooked = false;
  const isThere = async () => {
    try {
      return await begun(arrived());
    } catch (error) {
      const { timedOut, message } = stepError(error);
      // The limit may interrupt a read: the last complete one is more informative.
      if (!timedOut || !hasLooked) throw error;
      throw new StepError(`${late()}; ${message}`, { timedOut, mayHaveActed: true });
    }
  };
  for (let ms = LOOK_FIRST_MS; !(await isThere()); ms = Math.min(2 * ms, LOOK_LAST_MS)) {
    hasLooked = true;
    await limit.sleep(ms);
    if (limit.isOver) throw refused(late(), true);
  }
}

/** Runs work after a change: its failure must be undone. */
export function begun<T>(work: Promise<T>): Promise<T> {
  return work.catch((error) => {
    throw new StepError(messageOf(error), { timedOut: stepError(error).timedOut, mayHaveActed: true });
  });
}

/** Throws unless an attribute reads `value` now. */
export async function still(world: HookWorld, limit: Limit, path: string, value: string): Promise<void> {
  const now = await begun(readAttribute(world, limit, path));
  if (now !== value)
    throw refused(`${path} reads ${JSON.stringify(now)}, not ${JSON.stringify(value)}`, true);
}

/** Returns the status that one attribute shows; `unknown` when it is unreadable or reads anything else. */
export async function statusOf(
  world: HookWorld,
  { limit }: StepCall,
  path: string,
  suspended: string,
  active: string | undefined,
): Promise<DriverStatus> {
  const now = await readAttribute(world, limit, path).catch(() => undefined);
  if (now === suspended.trim()) return 'suspended';
  return now !== undefined && now === active?.trim() ? 'active' : 'unknown';
}
