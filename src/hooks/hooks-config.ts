/**
 * How an agent's driver hooks are configured: per bundle and device, ordered steps. Pure description.
 *
 * `suspend` is the list that matters; `resume` is its steps undone in reverse order unless it is given itself.
 * Devices are suspended in the order of the bundle (consumers before suppliers) and resumed in reverse. The
 * schema says what is well formed; `hookComplaints` says what is well formed and still makes no sense.
 */

import { type Static, Type } from 'typebox';
import type { BundleDefinition } from '../protocol/bundle.ts';
import type { VmId } from '../protocol/ids.ts';

const closed = { additionalProperties: false } as const;
const LIMIT = Type.Optional(
  Type.Integer({ minimum: 1, maximum: 60_000, description: 'milliseconds; 1000 unless given' }),
);
const COMMAND = Type.Array(Type.String({ minLength: 1 }), { minItems: 1 });
const PATH = Type.String({ pattern: '^/', description: 'an absolute path' });
/** One name inside a folder of /sys: never a way out of it. */
const SYS_NAME = Type.String({
  pattern: '^[^/.][^/]*$',
  description: 'a name in a folder of /sys, without /',
});
const common = { name: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })), limitMs: LIMIT };

/** Time limit of a step that names none, in milliseconds. The slowest seen, a panel that powers up, takes 0.5 s. */
export const STEP_LIMIT_MS = 1_000;

/** Runs a program in a process group of its own; status 0 is success, any other: nothing was changed. */
const COMMAND_STEP = Type.Object({ ...common, kind: Type.Literal('command'), command: COMMAND }, closed);
const COMMAND_STEP_UNDO = Type.Object(
  { ...common, kind: Type.Literal('command'), command: COMMAND, undo: Type.Optional(COMMAND) },
  closed,
);
/** Asks a long-lived local program over a UNIX socket: one JSON line out, one in. */
const SOCKET_STEP = Type.Object({ ...common, kind: Type.Literal('socket'), path: PATH }, closed);
/** Writes an attribute, then waits until one reads as expected. */
const SYSFS_STEP = Type.Object(
  {
    ...common,
    kind: Type.Literal('sysfs'),
    path: PATH,
    write: Type.String(),
    expect: Type.Optional(Type.Object({ path: PATH, value: Type.String() }, closed)),
  },
  closed,
);
const SYSFS_STEP_UNDO = Type.Object(
  {
    ...common,
    kind: Type.Literal('sysfs'),
    path: PATH,
    write: Type.String(),
    undo: Type.Optional(Type.String({ description: 'what is written to undo it' })),
    expect: Type.Optional(
      Type.Object(
        {
          path: PATH,
          value: Type.String(),
          undone: Type.Optional(Type.String({ description: 'what it reads once the step is undone' })),
        },
        closed,
      ),
    ),
  },
  closed,
);
/** Inhibits an input device: /sys/class/input/INPUT/inhibited. */
const INPUT_INHIBIT_STEP = Type.Object(
  {
    ...common,
    kind: Type.Literal('input-inhibit'),
    input: Type.String({ pattern: '^input[0-9]+$', description: 'a name of /sys/class/input, as input3' }),
  },
  closed,
);
/** Lets runtime power management suspend a device (its folder in /sys) and waits for it; undo forbids it again. */
const RUNTIME_PM_STEP = Type.Object({ ...common, kind: Type.Literal('runtime-pm'), device: PATH }, closed);
/** Powers a framebuffer down: /sys/class/graphics/FB/blank. */
const FB_BLANK_STEP = Type.Object(
  {
    ...common,
    kind: Type.Literal('fb-blank'),
    fb: Type.String({ pattern: '^fb[0-9]+$', description: 'a name of /sys/class/graphics, as fb0' }),
  },
  closed,
);
/** Unbinds the driver: the explicit last resort. Verifies the `driver` link both ways. */
const UNBIND_STEP = Type.Object(
  { ...common, kind: Type.Literal('unbind'), bus: SYS_NAME, driver: SYS_NAME, device: SYS_NAME },
  closed,
);

const ATTRIBUTE_STEPS = [INPUT_INHIBIT_STEP, RUNTIME_PM_STEP, FB_BLANK_STEP, UNBIND_STEP] as const;

type Frozen<T> = T extends object ? { readonly [K in keyof T]: Frozen<T[K]> } : T;

/** One step as the code sees it: the widest form of each kind. */
export type HookStep = Frozen<
  | Static<typeof COMMAND_STEP_UNDO>
  | Static<typeof SOCKET_STEP>
  | Static<typeof SYSFS_STEP_UNDO>
  | Static<(typeof ATTRIBUTE_STEPS)[number]>
>;
/** A step that reads and writes attributes below /sys. */
export type AttributeHookStep = Exclude<HookStep, { kind: 'command' | 'socket' }>;

/** How to find out what the driver does. Absent: from the suspend steps, where they can tell; else `unknown`. */
const INSPECT = Type.Union([
  Type.Object({ kind: Type.Literal('command'), command: COMMAND, limitMs: LIMIT }, closed),
  Type.Object({ kind: Type.Literal('socket'), path: PATH, limitMs: LIMIT }, closed),
]);
export type InspectHook = Frozen<Static<typeof INSPECT>>;

/** Schema of the hooks of one device. Only steps that are ever undone may say how. */
const DEVICE_HOOKS = Type.Object(
  {
    inspect: Type.Optional(INSPECT),
    /** Borrower: warms up while the handover is prepared (load a driver, allocate, draw off screen). */
    prepare: Type.Optional(Type.Array(Type.Union([COMMAND_STEP, SOCKET_STEP, SYSFS_STEP]))),
    /** Owner: keeps supplies on before anything is suspended; undone after the return. */
    holdSupplies: Type.Optional(Type.Array(Type.Union([COMMAND_STEP_UNDO, SOCKET_STEP, SYSFS_STEP_UNDO]))),
    suspend: Type.Optional(
      Type.Array(Type.Union([COMMAND_STEP_UNDO, SOCKET_STEP, SYSFS_STEP_UNDO, ...ATTRIBUTE_STEPS])),
    ),
    /** Replaces the undoing of `suspend`. Kinds that undo themselves act in the direction of resume here. */
    resume: Type.Optional(
      Type.Array(Type.Union([COMMAND_STEP, SOCKET_STEP, SYSFS_STEP, ...ATTRIBUTE_STEPS])),
    ),
  },
  closed,
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
  Type.Record(Type.String({ pattern: '^[a-z]' }), DEVICE_HOOKS, closed),
  closed,
);
export type HooksConfig = Readonly<Record<string, Readonly<Record<string, DeviceHooksConfig>>>>;

/** What makes no sense in a configuration that the schema accepts, and where below `hooks`. */
export interface HookComplaint {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** Returns what would never run, or never as its writer thinks, in the hooks of `self`. */
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
  for (const [index, step] of (hooks.suspend ?? []).entries()) {
    if (!hooks.resume || !('undo' in step)) continue;
    const message =
      'never used: the device has resume steps of its own, which undo its suspend steps as well';
    complaints.push({ path: [...path, 'suspend', index, 'undo'], message });
  }
  return complaints;
}
