/** Hook kind `unbind`: unbinds the driver, the explicit last resort. Checks the link `driver` both ways. */

import { Type } from '../../../../common/schema.ts';
import type { DriverStatus } from '../../../../ports/world.ts';
import { begun, look, refused, type StepActions, writeAttribute } from '../../attributes.ts';
import { CLOSED, COMMON, hookKind, type StepOf, sysName } from '../../kind.ts';
import type { Limit } from '../../limit.ts';
import { isPattern } from '../../names.ts';
import { placeOf, realPathOf } from '../../places.ts';
import type { HookWorld } from '../../world.ts';

const SCHEMA = Type.Object(
  {
    ...COMMON,
    kind: Type.Literal('unbind', {
      description:
        'unbinds the driver from the device, and waits until it is unbound: the last resort. Programs lose ' +
        'the device, and what it registers gets new numbers',
    }),
    bus: sysName('bus, as platform'),
    driver: sysName('driver'),
    device: Type.String({
      pattern: '^([^/.][^/]*$|/)',
      title: 'a name in a folder of /sys, or an absolute path',
      description: 'device: its name on the bus, or its folder in /sys',
    }),
  },
  CLOSED,
);

export const UNBIND = hookKind({
  schema: SCHEMA,
  isForSupplies: false,
  undoesItself: true,
  actions: (step, { world }) => unbind(step, world),
  places: ({ bus, device }) => [
    ['device', device.startsWith('/') ? device : `/sys/bus/${bus}/devices/${device}`],
  ],
});

function unbind(step: StepOf<typeof SCHEMA>, world: HookWorld): StepActions {
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
    // The write succeeds even when no driver was bound by it: only the link shows the result.
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
    // By its present name: what was bound must be bound again.
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
        throw refused(
          `${devices}/${name}/driver points to ${driver} again: another program has bound it`,
          true,
        );
    },
  };
}
