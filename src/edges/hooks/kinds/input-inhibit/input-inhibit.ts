/** Hook kind `input-inhibit`: /sys/class/input/INPUT/inhibited, or that of each input device below a device. */

import { Type } from '../../../../common/schema.ts';
import type { DriverStatus } from '../../../../ports/world.ts';
import { begun, change, putBack, type StepActions, statusOf, still } from '../../attributes.ts';
import { CLOSED, COMMON, hookKind, type StepOf } from '../../kind.ts';
import type { Limit } from '../../limit.ts';
import { fitsPattern } from '../../names.ts';
import { inputsOf } from '../../places.ts';
import type { StepCall } from '../../step.ts';
import { attributeText, inClass, placesOf, type SysLook } from '../../sys-look.ts';
import type { HookWorld } from '../../world.ts';

const trait = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, title: 'a text, or a pattern', description }));
const SCHEMA = Type.Object(
  {
    ...COMMON,
    kind: Type.Literal('input-inhibit', {
      description:
        'inhibits input devices, and reads that back: no program gets events. Whether the driver stops ' +
        'using the registers depends on the driver: one that suspends while no program has the device open ' +
        'does; that of a virtio device does not',
    }),
    input: Type.Optional(
      Type.String({
        pattern: '^(input[0-9]+$|/)',
        title: 'a name of /sys/class/input, as input3, or an absolute path',
        description:
          'the folder in /sys of the device, as /sys/bus/i2c/devices/1-0038: all input devices below it, ' +
          'whatever their numbers are; or one input device. Either this or `find`',
      }),
    ),
    find: Type.Optional(
      Type.Object(
        {
          name: trait('its name'),
          phys: trait('its physical location'),
          uniq: trait('its serial number'),
        },
        {
          ...CLOSED,
          description: 'the one input device with these attributes below /sys/class/input/inputN',
        },
      ),
    ),
  },
  CLOSED,
);
type InhibitStep = StepOf<typeof SCHEMA>;

/** Kinds that stop a device's output or input while its driver continues to work. */
const SILENCING = ['input-inhibit', 'fb-blank'];

export const INPUT_INHIBIT = hookKind({
  schema: SCHEMA,
  isForSupplies: false,
  undoesItself: true,
  actions: (step, { world }) => inputInhibit(step, world),
  places: ({ input }) => (input === undefined ? [] : [['input', inClass(input, 'input')]]),
  insteadOfNumber: () => 'use "find"',
  complaint: ({ input, find }) => {
    if (input !== undefined && find !== undefined) return 'both "input" and "find": expected one of them';
    if (find ? Object.keys(find).length > 0 : input !== undefined) return undefined;
    return 'no input device is named: expected "input", or "find" with "name", "phys" or "uniq"';
  },
  effect: (step, look, others) =>
    others.every((kind) => SILENCING.includes(kind)) ? stillUsed(step, look) : undefined,
});

function inputInhibit(step: InhibitStep, world: HookWorld): StepActions {
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
    // Writing 0 opens the device, which may fail.
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
      // All present devices: one that appeared meanwhile is not inhibited.
      for (const path of await begun(all(limit))) await still(world, limit, path, '1');
    },
  };
}

/** Returns why the driver may still use the device although its input devices are inhibited. */
function stillUsed({ input, find }: InhibitStep, look: SysLook): string | undefined {
  const places = input === undefined ? inputsWith(find ?? {}, look) : placesOf(inClass(input, 'input'), look);
  for (const place of places) {
    const real = look.realPath(place) ?? place;
    const isVirtio =
      /\/virtio\d+(\/|$)/.test(real) || look.list(real).some((name) => /^virtio\d+$/.test(name));
    if (isVirtio)
      return `input-inhibit: events stop, but the driver of a virtio device keeps using it: "unbind" stops it`;
    const device = real.replace(/\/input\/input\d+$/, '');
    const status = `${device}/power/runtime_status`;
    if (attributeText(status, look) === 'unsupported')
      return `input-inhibit: events stop, but the driver has no runtime PM (${status}) and may use the device on`;
  }
  return undefined;
}

function inputsWith(find: Readonly<Record<string, string | undefined>>, look: SysLook): string[] {
  const folder = '/sys/class/input';
  const fits = (place: string) =>
    Object.entries(find).every(([trait, pattern]) => {
      const text = attributeText(`${place}/${trait}`, look);
      return text !== undefined && fitsPattern(pattern!, text);
    });
  return look
    .list(folder)
    .filter((name) => /^input\d+$/.test(name))
    .map((name) => `${folder}/${name}`)
    .filter(fits);
}
