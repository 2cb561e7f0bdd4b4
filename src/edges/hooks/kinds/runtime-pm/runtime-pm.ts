/** Hook kind `runtime-pm`: lets runtime power management suspend a device (its folder in /sys), and waits for it. */

import { Type } from '../../../../common/schema.ts';
import type { DriverStatus } from '../../../../ports/world.ts';
import {
  begun,
  change,
  putBack,
  readAttribute,
  refused,
  type StepActions,
  statusOf,
  still,
  until,
} from '../../attributes.ts';
import { CLOSED, COMMON, hookKind, place, type StepOf } from '../../kind.ts';
import type { Limit } from '../../limit.ts';
import { placeOf } from '../../places.ts';
import { attributeText, placesOf } from '../../sys-look.ts';
import type { HookWorld } from '../../world.ts';

const SCHEMA = Type.Object(
  {
    ...COMMON,
    kind: Type.Literal('runtime-pm', {
      description:
        'lets runtime power management suspend a device, and waits until `runtime_status` reads ' +
        'suspended. It forces nothing: a device in use stays awake, and the step fails; a program that ' +
        'opens it later wakes it',
    }),
    device: place('folder of the device in /sys'),
  },
  CLOSED,
);

export const RUNTIME_PM = hookKind({
  schema: SCHEMA,
  isForSupplies: false,
  undoesItself: true,
  actions: (step, { world }) => runtimePm(step, world),
  places: ({ device }) => [['device', device]],
  effect: ({ device }, look) => {
    const [found] = placesOf(device, look);
    const status = `${found}/power/runtime_status`;
    if (found === undefined || attributeText(status, look) !== 'unsupported') return undefined;
    return `runtime-pm: ${status} reads unsupported: the driver has no runtime PM, so the step fails`;
  },
});

const DEAD_ENDS = ['error', 'unsupported'];

function runtimePm({ device }: StepOf<typeof SCHEMA>, world: HookWorld): StepActions {
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
      // This only permits a suspend: the device's usage count decides whether it happens.
      const hasAllowed = await change(world, call, control, 'auto');
      // Reading the delay fails if the driver uses none.
      const hasDelay =
        now !== 'suspended' &&
        (await readAttribute(world, limit, delay).catch(() => undefined)) !== undefined;
      if (hasDelay)
        await (hasAllowed ? begun(change(world, call, delay, '0')) : change(world, call, delay, '0'));
      await until(world, limit, status, 'suspended', DEAD_ENDS);
    },
    undo: async (call) => {
      const { limit, note } = call;
      if (!note.isBegun) return;
      const { control, status, delay } = await at(limit);
      // A device that was allowed to suspend resumes on use. Only one that was not must be active.
      if ((await putBack(world, call, control)) === 'on')
        await until(world, limit, status, 'active', DEAD_ENDS);
      await putBack(world, call, delay);
    },
    status: async (call) =>
      at(call.limit).then(
        ({ status }) => statusOf(world, call, status, 'suspended', 'active'),
        (): DriverStatus => 'unknown',
      ),
    // Any program that opens the device resumes it.
    recheck: async ({ limit }) => still(world, limit, (await begun(at(limit))).status, 'suspended'),
  };
}
