/**
 * Steps that read and write attributes below /sys: sysfs, input-inhibit, runtime-pm, fb-blank, unbind.
 *
 * Each says what it wants, then looks whether it came about: most of these writes succeed although nothing
 * happened. A write that is refused has changed nothing; after one that was taken the step counts as begun and is
 * undone even if it fails later. Undoing sets, never counts, so it may be repeated.
 */

import type { DriverStatus } from '../ports.ts';
import type { AttributeHookStep } from './hooks-config.ts';
import { type Limit, messageOf, StepError, stepError } from './limit.ts';
import type { Step, StepCall } from './step.ts';
import type { HookWorld } from './world.ts';

/** Shortest pause between two looks at an attribute, in ms: a runtime suspend takes one at the least. */
const LOOK_FIRST_MS = 1;
/** Longest such pause: half a display frame, so that looking adds little to any wait. */
const LOOK_LAST_MS = 8;

/** The parts of a step that its kind decides. */
export type StepActions = Pick<Step, 'apply' | 'undo' | 'status' | 'recheck'>;

/** Returns what an attribute step does. */
export function attributeActions(step: AttributeHookStep, world: HookWorld): StepActions {
  switch (step.kind) {
    case 'sysfs':
      return sysfs(step, world);
    case 'input-inhibit':
      return inputInhibit(step.input, world);
    case 'runtime-pm':
      return runtimePm(`${step.device}/power`, world);
    case 'fb-blank':
      return fbBlank(`${world.sys}/class/graphics/${step.fb}/blank`, world);
    case 'unbind':
      return unbind(step, world);
  }
}

function sysfs(step: Extract<AttributeHookStep, { kind: 'sysfs' }>, world: HookWorld): StepActions {
  const { path, write: done, undo: undone, expect } = step;
  const shown = expect ?? { path, value: done, undone };
  return {
    apply: async ({ limit }) => {
      await writeAttribute(world, limit, path, done);
      if (expect) await until(world, limit, expect.path, expect.value);
    },
    undo:
      undone === undefined
        ? undefined
        : async ({ limit }) => {
            await writeAttribute(world, limit, path, undone);
            if (expect?.undone !== undefined) await until(world, limit, expect.path, expect.undone);
          },
    status: (call) => statusOf(world, call, shown.path, shown.value, shown.undone),
    recheck: expect ? ({ limit }) => still(world, limit, expect.path, expect.value) : undefined,
  };
}

function inputInhibit(input: string, world: HookWorld): StepActions {
  const set = async (limit: Limit, value: string) => {
    const [first, ...others] = await inhibitedOf(input, world, limit);
    await setInhibited(world, limit, first, value);
    for (const path of others) await begun(setInhibited(world, limit, path, value));
  };
  return {
    apply: ({ limit }) => set(limit, '1'),
    undo: ({ limit }) => set(limit, '0'),
    status: async (call) => {
      const seen = new Set<DriverStatus>();
      const paths = await inhibitedOf(input, world, call.limit).catch(() => []);
      for (const path of paths) seen.add(await statusOf(world, call, path, '1', '0'));
      const [status = 'unknown'] = seen;
      return seen.size === 1 ? status : 'unknown';
    },
    recheck: async ({ limit }) => {
      // All that there are now: one that came meanwhile is not inhibited.
      for (const path of await begun(inhibitedOf(input, world, limit))) await still(world, limit, path, '1');
    },
  };
}

/** The write of 0 opens the device, which may fail; either value is read back. */
async function setInhibited(world: HookWorld, limit: Limit, path: string, value: string): Promise<void> {
  await writeAttribute(world, limit, path, value);
  await still(world, limit, path, value);
}

/** The attributes of an input device, or of all that a device has now: their numbers change with each boot and each bind. */
async function inhibitedOf(input: string, world: HookWorld, limit: Limit): Promise<[string, ...string[]]> {
  if (!input.startsWith('/')) return [`${world.sys}/class/input/${input}/inhibited`];
  const folder = `${input}/input`;
  const names = await limit.wait(() => world.attributes.list(folder), `looking into ${folder}`);
  const [first, ...others] = names.filter((name) => /^input\d+$/.test(name)).sort();
  const path = (name: string) => `${folder}/${name}/inhibited`;
  if (first !== undefined) return [path(first), ...others.map(path)];
  throw refused(`${folder}: no input device in it: is the driver bound?`, false);
}

function runtimePm(power: string, world: HookWorld): StepActions {
  const status = `${power}/runtime_status`;
  const delay = `${power}/autosuspend_delay_ms`;
  /** The delay before our own; a restarted agent no longer knows it and leaves ours. */
  let delayBefore: string | undefined;
  return {
    apply: async ({ limit }) => {
      const now = await readAttribute(world, limit, status);
      if (now === 'unsupported')
        throw refused(`${status} reads unsupported: the driver has no runtime PM`, false);
      // Reading the delay fails where the driver uses none.
      const found = await readAttribute(world, limit, delay).catch(() => undefined);
      // This only stops forbidding: whether the device suspends is up to its usage count.
      await writeAttribute(world, limit, `${power}/control`, 'auto');
      if (found !== undefined) {
        delayBefore ??= found;
        await begun(writeAttribute(world, limit, delay, '0'));
      }
      await until(world, limit, status, 'suspended', RUNTIME_PM_DEAD_ENDS);
    },
    undo: async ({ limit }) => {
      await writeAttribute(world, limit, `${power}/control`, 'on');
      await until(world, limit, status, 'active', RUNTIME_PM_DEAD_ENDS);
      if (delayBefore !== undefined) await writeAttribute(world, limit, delay, delayBefore);
      delayBefore = undefined;
    },
    status: (call) => statusOf(world, call, status, 'suspended', 'active'),
    // Anybody who opens the device wakes it.
    recheck: ({ limit }) => still(world, limit, status, 'suspended'),
  };
}

const RUNTIME_PM_DEAD_ENDS = ['error', 'unsupported'];

function fbBlank(path: string, world: HookWorld): StepActions {
  return {
    apply: ({ limit }) => writeAttribute(world, limit, path, FB_POWERDOWN),
    undo: ({ limit }) => writeAttribute(world, limit, path, FB_UNBLANK),
    // Most kernels show nothing here; then the step cannot tell.
    status: (call) => statusOf(world, call, path, FB_POWERDOWN, FB_UNBLANK),
    recheck: undefined,
  };
}

/** FB_BLANK_POWERDOWN and FB_BLANK_UNBLANK of linux/fb.h. */
const FB_POWERDOWN = '4';
const FB_UNBLANK = '0';

function unbind(step: Extract<AttributeHookStep, { kind: 'unbind' }>, world: HookWorld): StepActions {
  const { bus, driver, device } = step;
  const folder = `${world.sys}/bus/${bus}/devices/${device}`;
  const link = `${folder}/driver`;
  const drivers = `${world.sys}/bus/${bus}/drivers/${driver}`;
  const bound = async (limit: Limit) => {
    if (!(await limit.wait(() => world.attributes.exists(folder), folder)))
      throw refused(`${folder}: no such device`, false);
    const found = await limit.wait(() => world.attributes.linkName(link), link);
    if (found !== undefined && found !== driver)
      throw refused(`${link} points to ${found}, not to ${driver}`, false);
    return found === driver;
  };
  const change = async (limit: Limit, file: 'bind' | 'unbind') => {
    const wanted = file === 'bind';
    if ((await bound(limit)) === wanted) return;
    await writeAttribute(world, limit, `${drivers}/${file}`, device);
    const late = `${link} ${wanted ? 'does not point' : 'still points'} to ${driver} ${limit.ms} ms after ${file}`;
    // The write succeeds even when no driver was bound by it: only the link tells.
    await look(
      limit,
      async () => (await bound(limit)) === wanted,
      () => late,
    );
  };
  return {
    apply: ({ limit }) => change(limit, 'unbind'),
    undo: ({ limit }) => change(limit, 'bind'),
    status: async ({ limit }) =>
      bound(limit).then(
        (isBound): DriverStatus => (isBound ? 'active' : 'suspended'),
        () => 'unknown',
      ),
    recheck: undefined,
  };
}

function refused(message: string, mayHaveActed: boolean): StepError {
  return new StepError(message, { mayHaveActed });
}

/** Reads an attribute, without the newline at its end. */
export async function readAttribute(world: HookWorld, limit: Limit, path: string): Promise<string> {
  return (await limit.wait(() => world.attributes.read(path), `reading ${path}`)).trim();
}

/** Writes an attribute. */
export function writeAttribute(world: HookWorld, limit: Limit, path: string, text: string): Promise<void> {
  return limit.wait(() => world.attributes.write(path, text), `writing ${JSON.stringify(text)} to ${path}`);
}

/** Waits until an attribute reads `value`; fails at once when it reads one of `deadEnds`. */
async function until(
  world: HookWorld,
  limit: Limit,
  path: string,
  value: string,
  deadEnds: readonly string[] = [],
): Promise<void> {
  let last = '';
  const arrived = async () => {
    last = await readAttribute(world, limit, path);
    if (deadEnds.includes(last)) throw refused(`${path} reads ${last}`, true);
    return last === value;
  };
  const late = () =>
    `${path} still reads ${JSON.stringify(last)} after ${limit.ms} ms, not ${JSON.stringify(value)}`;
  await look(limit, arrived, late);
}

/** Looks again and again until `arrived`, or until the limit. Stands after a write that was taken. */
async function look(limit: Limit, arrived: () => Promise<boolean>, late: () => string): Promise<void> {
  for (let ms = LOOK_FIRST_MS; !(await begun(arrived())); ms = Math.min(2 * ms, LOOK_LAST_MS)) {
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
