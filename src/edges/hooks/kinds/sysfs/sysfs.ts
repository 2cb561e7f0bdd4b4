/** Hook kind `sysfs`: writes an attribute, records its former value, and waits until one reads as expected. */

import { Type } from '../../../../common/schema.ts';
import type { DriverStatus } from '../../../../ports/world.ts';
import {
  begun,
  leftAlone,
  readAttribute,
  type StepActions,
  statusOf,
  still,
  until,
  writeAttribute,
} from '../../attributes.ts';
import { CLOSED, COMMON, hookKind, place, type StepOf } from '../../kind.ts';
import { type Limit, StepError } from '../../limit.ts';
import type { Change } from '../../note.ts';
import { placeOf, realPathOf } from '../../places.ts';
import type { StepCall } from '../../step.ts';
import { placesOf } from '../../sys-look.ts';
import type { HookWorld } from '../../world.ts';

const WRITES = Type.Literal('sysfs', {
  description:
    'writes an attribute, then waits until one reads as expected. Without `expect` every write that ' +
    'the kernel accepts is success, whatever its effect',
});
const WAITED_FOR = { ...CLOSED, description: 'what to wait for; absent: nothing' };
const expected = {
  path: place('attribute that is read'),
  value: Type.String({ description: 'what it must read' }),
};
const written = {
  ...COMMON,
  kind: WRITES,
  path: place('attribute that is written'),
  write: Type.String({ description: 'what is written' }),
};
const SCHEMA = Type.Object(
  {
    ...written,
    undo: Type.Optional(
      Type.String({
        description:
          'value that undoes it if the former value is unknown or cannot be written back; absent: ' +
          'the former value',
      }),
    ),
    expect: Type.Optional(
      Type.Object(
        {
          ...expected,
          undone: Type.Optional(Type.String({ description: 'value that it reads after `undo` was written' })),
        },
        WAITED_FOR,
      ),
    ),
  },
  CLOSED,
);

export const SYSFS = hookKind({
  schema: SCHEMA,
  plain: Type.Object({ ...written, expect: Type.Optional(Type.Object(expected, WAITED_FOR)) }, CLOSED),
  isForSupplies: true,
  undoesItself: false,
  actions: (step, { world }) => sysfs(step, world),
  places: ({ path, expect }) => [['path', path], ...(expect ? [['expect', expect.path] as const] : [])],
  neverUndone: (step, other, look) => {
    if (step.undo !== undefined) return undefined;
    const [found] = placesOf(step.path, look);
    if (found === undefined || (look.look(found)!.mode & 0o444) !== 0) return undefined;
    return `sysfs: ${found} cannot be read, so its former value is not restored: expected "undo"${other}`;
  },
  effect: (step) =>
    step.expect ? undefined : 'sysfs: without "expect" a write that does nothing counts as success',
});

function sysfs(step: StepOf<typeof SCHEMA>, world: HookWorld): StepActions {
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
 * Returns the text that undoes a change of the attribute `place`, which reads `now`: none when it reads as found, a
 * warning when it stays as it is. `undo` comes from the configuration and is used when the former value cannot be
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
    // An attribute that reads as written accepts its former value again.
    if (now === wrote || (now === undefined && reads === undefined)) return { value: found };
    const isOurs = now === undefined || now === reads || reads === found;
    if (!isOurs) return { warn: leftAlone(place, now, wrote) };
  }
  if (undo !== undefined) return { value: undo };
  return {
    warn: `${place}: the former value cannot be written back, and the step has no "undo": left as it is`,
  };
}

/** Returns the value of an attribute; of a list of choices, as `a [b] c`, the chosen one. Undefined when unreadable. */
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
