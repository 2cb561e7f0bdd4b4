/**
 * Steps that read and write attributes below /sys: sysfs, input-inhibit, runtime-pm, unbind; fb-blank.ts has the
 * fifth.
 *
 * Each finds what it names anew, says what it wants, then looks whether it came about: most of these writes succeed
 * although nothing happened. What it finds is noted before it is changed, and that is put back. Undoing sets, never
 * counts, so it may be repeated.
 */

import type { DriverStatus } from '../../ports/world.ts';
import {
  begun,
  change,
  leftAlone,
  look,
  putBack,
  readAttribute,
  refused,
  type StepActions,
  statusOf,
  still,
  until,
  writeAttribute,
} from './attributes.ts';
import { fbBlank } from './fb-blank.ts';
import type { AttributeHookStep } from './hooks-config.ts';
import { type Limit, StepError } from './limit.ts';
import { isPattern } from './names.ts';
import type { Change } from './note.ts';
import { inputsOf, placeOf, realPathOf } from './places.ts';
import type { StepCall } from './step.ts';
import type { HookWorld } from './world.ts';

type StepOf<K> = Extract<AttributeHookStep, { kind: K }>;

/** Returns what an attribute step does. */
export function attributeActions(step: AttributeHookStep, world: HookWorld): StepActions {
  switch (step.kind) {
    case 'sysfs':
      return sysfs(step, world);
    case 'input-inhibit':
      return inputInhibit(step, world);
    case 'runtime-pm':
      return runtimePm(step, world);
    case 'fb-blank':
      return fbBlank(step.fb, world);
    case 'unbind':
      return unbind(step, world);
  }
}

function sysfs(step: StepOf<'sysfs'>, world: HookWorld): StepActions {
  const { path, write, undo, expect } = step;
  const at = (limit: Limit) => placeOf(world, limit, path);
  const shown = expect ?? { path, value: write, undone: undo };
  const shownAt = (limit: Limit) => placeOf(world, limit, shown.path);
  const undone = async (call: StepCall, place: string) => {
    await writeAttribute(world, call.limit, place, undo!);
    if (expect?.undone !== undefined)
      await until(world, call.limit, await shownAt(call.limit), expect.undone);
  };
  return {
    apply: async (call) => {
      const { limit, note } = call;
      const place = await at(limit);
      const real = await realPathOf(world, limit, place);
      const found = await readValue(world, limit, place);
      if (found !== write.trim())
        note.remember({ path: real, wrote: write.trim(), ...(found === undefined ? {} : { found }) });
      await writeAttribute(world, limit, place, write);
      const lookAgain = async () => {
        const reads = await begun(readValue(world, limit, place));
        if (reads !== undefined) note.reads(real, reads);
      };
      await lookAgain();
      if (!expect) return;
      await until(world, limit, await begun(shownAt(limit)), expect.value);
      await lookAgain();
    },
    undo: async (call) => {
      const { limit, note } = call;
      const isToWake = call.wakes === 'all' && undo !== undefined;
      if (!note.isBegun && !isToWake) return;
      const place = await at(limit);
      const real = await realPathOf(world, limit, place);
      const noted = note.changes.find((each) => each.path === real);
      if (!noted) return isToWake ? undone(call, place) : undefined;
      const how = howToUndo(noted, place, await readValue(world, limit, place), undo);
      if ('warn' in how) return call.warn(how.warn);
      if (how.value === undefined) return;
      if (how.value === undo) return undone(call, place);
      await writeAttribute(world, limit, place, how.value);
      await until(world, limit, place, how.value, [], chosenOf);
    },
    status: async (call) =>
      shownAt(call.limit).then(
        (place) => statusOf(world, call, place, shown.value, shown.undone),
        (): DriverStatus => 'unknown',
      ),
    recheck: expect
      ? async ({ limit }) => still(world, limit, await begun(shownAt(limit)), expect.value)
      : undefined,
  };
}

/**
 * What is written to undo a change of the attribute `place` that reads `now`: nothing when it reads as found; a
 * warning when it stays as it is. `undo` is what the configuration says: it counts where what was found cannot be
 * written back.
 */
function howToUndo(
  { found, wrote, reads }: Change,
  place: string,
  now: string | undefined,
  undo: string | undefined,
): { readonly value: string | undefined } | { readonly warn: string } {
  if (found !== undefined) {
    if (now === found) return { value: undefined };
    // What reads as it was written takes back what it read before.
    if (now === wrote || (now === undefined && reads === undefined)) return { value: found };
    const isOurs = now === undefined || now === reads || reads === found;
    if (!isOurs) return { warn: leftAlone(place, now, wrote) };
  }
  if (undo !== undefined) return { value: undo };
  return {
    warn: `${place}: what was found cannot be written back, and the step has no "undo": left as it is`,
  };
}

/** What an attribute reads; of a list of choices, as `a [b] c`, the chosen one. Undefined when it cannot be read. */
async function readValue(world: HookWorld, limit: Limit, path: string): Promise<string | undefined> {
  const text = await readAttribute(world, limit, path).catch((error) => {
    if (error instanceof StepError) throw error;
    return undefined;
  });
  return text === undefined ? undefined : chosenOf(text);
}

function chosenOf(text: string): string {
  const [, chosen] = /^(?:[^[\]]*\s)?\[([^\s[\]]+)\](?:\s[^[\]]*)?$/.exec(text) ?? [];
  return chosen ?? text;
}

function inputInhibit(step: StepOf<'input-inhibit'>, world: HookWorld): StepActions {
  const all = async (limit: Limit) =>
    (await inputsOf(world, limit, step)).map((input) => `${input}/inhibited`);
  const each = async (call: StepCall, act: (path: string) => Promise<void>) => {
    let hasActed = false;
    for (const path of await all(call.limit)) {
      await (hasActed ? begun(act(path)) : act(path));
      hasActed = true;
    }
  };
  return {
    apply: (call) =>
      each(call, async (path) => {
        await change(world, call, path, '1');
        await still(world, call.limit, path, '1');
      }),
    // The write of 0 opens the device, which may fail.
    undo: (call) =>
      each(call, async (path) => void (await putBack(world, call, path, { asleep: '1', awake: '0' }))),
    status: async (call) => {
      const seen = new Set<DriverStatus>();
      const paths = await all(call.limit).catch(() => []);
      for (const path of paths) seen.add(await statusOf(world, call, path, '1', '0'));
      const [status = 'unknown'] = seen;
      return seen.size === 1 ? status : 'unknown';
    },
    recheck: async ({ limit }) => {
      // All that there are now: one that came meanwhile is not inhibited.
      for (const path of await begun(all(limit))) await still(world, limit, path, '1');
    },
  };
}

function runtimePm({ device }: StepOf<'runtime-pm'>, world: HookWorld): StepActions {
  const at = async (limit: Limit) => {
    const power = `${await placeOf(world, limit, device)}/power`;
    return {
      control: `${power}/control`,
      status: `${power}/runtime_status`,
      delay: `${power}/autosuspend_delay_ms`,
    };
  };
  return {
    apply: async (call) => {
      const { limit } = call;
      const { control, status, delay } = await at(limit);
      const now = await readAttribute(world, limit, status);
      if (now === 'unsupported')
        throw refused(`${status} reads unsupported: the driver has no runtime PM`, false);
      // This only stops forbidding: whether the device suspends is up to its usage count.
      const hasAllowed = await change(world, call, control, 'auto');
      // Reading the delay fails where the driver uses none.
      const hasDelay =
        now !== 'suspended' &&
        (await readAttribute(world, limit, delay).catch(() => undefined)) !== undefined;
      if (hasDelay)
        await (hasAllowed ? begun(change(world, call, delay, '0')) : change(world, call, delay, '0'));
      await until(world, limit, status, 'suspended', RUNTIME_PM_DEAD_ENDS);
    },
    undo: async (call) => {
      const { limit, note } = call;
      if (!note.isBegun) return;
      const { control, status, delay } = await at(limit);
      // A device that was allowed to sleep wakes when it is used; only one that was not has to be awake.
      if ((await putBack(world, call, control)) === 'on')
        await until(world, limit, status, 'active', RUNTIME_PM_DEAD_ENDS);
      await putBack(world, call, delay);
    },
    status: async (call) =>
      at(call.limit).then(
        ({ status }) => statusOf(world, call, status, 'suspended', 'active'),
        (): DriverStatus => 'unknown',
      ),
    // Anybody who opens the device wakes it.
    recheck: async ({ limit }) => still(world, limit, (await begun(at(limit))).status, 'suspended'),
  };
}

const RUNTIME_PM_DEAD_ENDS = ['error', 'unsupported'];

function unbind(step: StepOf<'unbind'>, world: HookWorld): StepActions {
  const { bus, driver } = step;
  const drivers = `${world.sys}/bus/${bus}/drivers/${driver}`;
  const devices = `${world.sys}/bus/${bus}/devices`;
  const nameOf = async (limit: Limit) => {
    const { device } = step;
    const isPlace = device.startsWith('/');
    if (!isPlace && !isPattern(device)) return device;
    const place = await placeOf(world, limit, isPlace ? device : `${devices}/${device}`);
    return (isPlace ? await realPathOf(world, limit, place) : place).split('/').at(-1)!;
  };
  const bound = async (limit: Limit, name: string) => {
    const folder = `${devices}/${name}`;
    const link = `${folder}/driver`;
    if (!(await limit.wait(() => world.attributes.exists(folder), folder)))
      throw refused(`${folder}: no such device`, false);
    const found = await limit.wait(() => world.attributes.linkName(link), link);
    if (found !== undefined && found !== driver)
      throw refused(`${link} points to ${found}, not to ${driver}`, false);
    return found === driver;
  };
  const write = async (limit: Limit, name: string, file: 'bind' | 'unbind') => {
    const wanted = file === 'bind';
    await writeAttribute(world, limit, `${drivers}/${file}`, name);
    const late =
      `${devices}/${name}/driver ${wanted ? 'does not point' : 'still points'} to ` +
      `${driver} ${limit.ms} ms after ${file}`;
    // The write succeeds even when no driver was bound by it: only the link tells.
    await look(
      limit,
      async () => (await bound(limit, name)) === wanted,
      () => late,
    );
  };
  return {
    apply: async ({ limit, note }) => {
      const name = await nameOf(limit);
      if (!(await bound(limit, name))) return;
      note.remember({ path: `${devices}/${name}/driver`, found: driver, wrote: '' });
      await write(limit, name, 'unbind');
    },
    // By whatever name it has now: what was bound has to be bound again.
    undo: async ({ limit, note, wakes }) => {
      if (!note.isBegun && wakes === 'nothing') return;
      const name = await nameOf(limit);
      if (!(await bound(limit, name))) await write(limit, name, 'bind');
    },
    status: async ({ limit }) =>
      nameOf(limit)
        .then((name) => bound(limit, name))
        .then(
          (isBound): DriverStatus => (isBound ? 'active' : 'suspended'),
          () => 'unknown',
        ),
    recheck: async ({ limit }) => {
      const name = await begun(nameOf(limit));
      if (await begun(bound(limit, name)))
        throw refused(`${devices}/${name}/driver points to ${driver} again: somebody has bound it`, true);
    },
  };
}
