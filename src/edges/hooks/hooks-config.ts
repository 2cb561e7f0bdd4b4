/**
 * Configuration of an agent's driver hooks: per bundle and device, ordered steps. Pure.
 *
 * `suspend` is the main list; `resume` defaults to its steps undone in reverse order. Devices are suspended in the
 * order of the bundle (consumers before suppliers) and resumed in reverse. The schema checks the form;
 * `hookComplaints` finds well-formed hooks that make no sense.
 */

import { Type } from '../../common/schema.ts';
import type { BundleDefinition } from '../../core/protocol/bundle.ts';
import type { VmId } from '../../core/protocol/ids.ts';
import { CLOSED, type MovingList } from './kind.ts';
import { formsIn, HOOK_KINDS, type HookStep, kindOf } from './kinds.ts';

const INSPECT = Type.Union(
  HOOK_KINDS.flatMap(({ inspect }) => inspect ?? []),
  {
    description: 'how to determine the state of the driver; absent: by the suspend steps that can',
  },
);

/** How to find out the driver's state. */
export type InspectHook = Extract<HookStep, { kind: 'command' | 'socket' }>;

const steps = (list: Parameters<typeof formsIn>[0], description: string) =>
  Type.Optional(Type.Array(Type.Union(formsIn(list)), { description }));

/** Schema of the hooks of one device. Only steps that may be undone have `undo`. */
const DEVICE_HOOKS = Type.Object(
  {
    inspect: Type.Optional(INSPECT),
    prepare: steps('prepare', 'borrower: warm-up while the handover is prepared'),
    holdSupplies: steps(
      'holdSupplies',
      'owner: keeps supplies on before anything is suspended; undone after the return',
    ),
    suspend: steps('suspend', 'stops the driver’s use of the device'),
    // Kinds that undo themselves act in the direction of resume here.
    resume: steps('resume', 'starts it again; absent: the suspend steps undone in reverse order'),
  },
  CLOSED,
);

/** The hooks of one device. */
export interface DeviceHooksConfig {
  readonly inspect?: InspectHook;
  readonly prepare?: readonly HookStep[];
  readonly holdSupplies?: readonly HookStep[];
  readonly suspend?: readonly HookStep[];
  readonly resume?: readonly HookStep[];
}

/** Schema of the `hooks` part of an agent's configuration: bundle → device → hooks. */
export const HOOKS_SCHEMA = Type.Record(
  Type.String({ pattern: '^[a-z]' }),
  Type.Record(Type.String({ pattern: '^[a-z]' }), DEVICE_HOOKS, {
    ...CLOSED,
    description:
      'device → its hooks; devices are suspended in the order of the bundle file and resumed in reverse',
  }),
  { ...CLOSED, description: 'bundle → device → what the agent does to its driver; absent: nothing' },
);
export type HooksConfig = Readonly<Record<string, Readonly<Record<string, DeviceHooksConfig>>>>;

/** A hook that makes no sense although the schema accepts it, and its place below `hooks`. */
export interface HookComplaint {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** Returns the hooks of `self` that would never run, or not as written. */
export function hookComplaints(
  config: HooksConfig,
  bundles: readonly BundleDefinition[],
  self: VmId,
): readonly HookComplaint[] {
  return Object.entries(config).flatMap(([bundle, devices]) => {
    const definition = bundles.find(({ id }) => id === bundle);
    if (!definition)
      return [{ path: [bundle], message: `no bundle of this name: ${expectedNames(bundles)}` }];
    return Object.entries(devices).flatMap(([device, hooks]) =>
      definition.devices.some(({ id }) => id === device)
        ? deviceComplaints([bundle, device], hooks, definition.owner === self)
        : [
            {
              path: [bundle, device],
              message: `no device of this name: ${expectedNames(definition.devices)}`,
            },
          ],
    );
  });
}

function expectedNames(named: readonly { readonly id: string }[]): string {
  return `expected ${named.map(({ id }) => `"${id}"`).join(' or ') || 'none'}`;
}

function deviceComplaints(
  path: readonly string[],
  hooks: DeviceHooksConfig,
  isOwner: boolean,
): HookComplaint[] {
  const complaints: HookComplaint[] = [];
  if (hooks.prepare && isOwner) {
    complaints.push({
      path: [...path, 'prepare'],
      message: 'only a borrower prepares; this VM is the owner',
    });
  }
  if (hooks.holdSupplies && !isOwner) {
    complaints.push({ path: [...path, 'holdSupplies'], message: 'only the owner holds supplies' });
  }
  for (const list of ['suspend', 'resume'] as const)
    complaints.push(...stepComplaints([...path, list], list, hooks[list] ?? []));
  for (const [index, step] of (hooks.suspend ?? []).entries()) {
    if (!hooks.resume || !('undo' in step)) continue;
    const message =
      'never used: the device has resume steps of its own, which undo its suspend steps as well';
    complaints.push({ path: [...path, 'suspend', index, 'undo'], message });
  }
  return complaints;
}

function stepComplaints(
  path: readonly string[],
  list: MovingList,
  steps: readonly HookStep[],
): HookComplaint[] {
  return steps.flatMap((step, index) => {
    const message = kindOf(step).complaint?.(step, list, index, steps.length);
    return message === undefined ? [] : [{ path: [...path, index, 'kind'], message }];
  });
}
