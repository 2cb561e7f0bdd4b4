/**
 * Attributes below /sys: read, written, waited for, changed with a note of what was found, and put back.
 *
 * A write that is refused has changed nothing; after one that was taken the step counts as begun and is undone even
 * if it fails later.
 */

import type { DriverStatus } from '../../ports/world.ts';
import { type Limit, messageOf, StepError, stepError } from './limit.ts';
import { realPathOf } from './places.ts';
import type { Step, StepCall } from './step.ts';
import type { HookWorld } from './world.ts';

/** Shortest pause between two looks at an attribute, in ms: a runtime suspend takes one at the least. */
const LOOK_FIRST_MS = 1;
/** Longest such pause: half a display frame, so that looking adds little to any wait. */
const LOOK_LAST_MS = 8;

/** The parts of a step that its kind decides. */
export type StepActions = Pick<Step, 'apply' | 'undo' | 'status' | 'recheck'>;

/** Returns an error of a step. */
export function refused(message: string, mayHaveActed: boolean): StepError {
  return new StepError(message, { mayHaveActed });
}

/** Writes `value` where an attribute reads something else, having noted what. Returns whether it did. */
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

/** Where nothing is noted and the call wakes all: what reads `asleep` becomes `awake`. */
export interface Wake {
  readonly asleep: string;
  readonly awake: string;
}

/**
 * Writes back what `change` found, and waits until it reads so. A value that is neither is somebody else's and stays.
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

/** Says that somebody else has changed what we had changed. */
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
 * Waits until an attribute reads `value`; fails at once when it reads one of `deadEnds`. `shown`: what of its text
 * counts.
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

/** Looks again and again until `arrived`, or until the limit. Stands after a write that was taken. */
export async function look(limit: Limit, arrived: () => Promise<boolean>, late: () => string): Promise<void> {
  let hasLooked = false;
  const isThere = async () => {
    try {
      return await begun(arrived());
    } catch (error) {
      const { timedOut, message } = stepError(error);
      // The limit may end within a look: what was seen before says more than that.
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

/** The work of a step that has changed something already: its failure is one that must be undone. */
export function begun<T>(work: Promise<T>): Promise<T> {
  return work.catch((error) => {
    throw new StepError(messageOf(error), { timedOut: stepError(error).timedOut, mayHaveActed: true });
  });
}

/** Fails unless an attribute reads `value` now. */
export async function still(world: HookWorld, limit: Limit, path: string, value: string): Promise<void> {
  const now = await begun(readAttribute(world, limit, path));
  if (now !== value)
    throw refused(`${path} reads ${JSON.stringify(now)}, not ${JSON.stringify(value)}`, true);
}

/** What one attribute tells; `unknown` when it cannot be read or reads anything else. */
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
