/**
 * How an agent's driver hooks are configured: per bundle and device, ordered steps. Pure description.
 *
 * `suspend` is the list that matters; `resume` is its steps undone in reverse order unless it is given itself.
 * Devices are suspended in the order of the bundle (consumers before suppliers) and resumed in reverse. The
 * schema says what is well formed; `hookComplaints` says what is well formed and still makes no sense.
 */

import { type Static, Type } from '../../common/schema.ts';
import type { BundleDefinition } from '../../core/protocol/bundle.ts';
import type { VmId } from '../../core/protocol/ids.ts';

const closed = { additionalProperties: false } as const;

/** Time limit of a step that names none, in milliseconds. The slowest seen, a panel that powers up, takes 0.5 s. */
export const STEP_LIMIT_MS = 1_000;

const LIMIT = Type.Optional(
  Type.Integer({
    minimum: 1,
    maximum: 60_000,
    default: STEP_LIMIT_MS,
    title: 'milliseconds',
    description: 'time that it has; then it failed',
  }),
);
const command = (description: string) =>
  Type.Array(Type.String({ minLength: 1 }), { minItems: 1, description });
const path = (description: string) => Type.String({ pattern: '^/', title: 'an absolute path', description });
/** A place below /sys, or a pattern (names.ts). It is looked for anew at each use. */
const place = (description: string) => Type.String({ pattern: '^/', title: 'an absolute path', description });
/** One name inside a folder of /sys: never a way out of it. */
const sysName = (description: string) =>
  Type.String({ pattern: '^[^/.][^/]*$', title: 'a name in a folder of /sys, without /', description });
const trait = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, title: 'a text, or a pattern', description }));
const common = {
  name: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 64,
      description: 'what errors call it; absent: its kind',
    }),
  ),
  limitMs: LIMIT,
};
const RUNS = Type.Literal('command', {
  description:
    'runs a program; status 0 is success, any other: nothing was changed. What it did, only it knows: ' +
    'nothing is read back',
});
const ASKS = Type.Literal('socket', {
  description:
    'asks a program that listens: one JSON line out, one in. What it did, only it knows: nothing is read back',
});
const WRITES = Type.Literal('sysfs', {
  description:
    'writes an attribute, then waits until one reads as expected. Without `expect` a write that the ' +
    'kernel takes is success, whatever it did',
});

/** Runs a program in a process group of its own; status 0 is success, any other: nothing was changed. */
const COMMAND_STEP = Type.Object(
  { ...common, kind: RUNS, command: command('program and its arguments') },
  closed,
);
const COMMAND_STEP_UNDO = Type.Object(
  {
    ...common,
    kind: RUNS,
    command: command('program and its arguments'),
    undo: Type.Optional(command('what undoes it; absent: nothing does, or the `resume` steps do')),
  },
  closed,
);
/** Asks a long-lived local program over a UNIX socket: one JSON line out, one in. */
const SOCKET_STEP = Type.Object({ ...common, kind: ASKS, path: path('UNIX socket of the program') }, closed);
/** Writes an attribute, then waits until one reads as expected. */
const SYSFS_STEP = Type.Object(
  {
    ...common,
    kind: WRITES,
    path: place('attribute that is written'),
    write: Type.String({ description: 'what is written' }),
    expect: Type.Optional(
      Type.Object(
        {
          path: place('attribute that is read'),
          value: Type.String({ description: 'what it must read' }),
        },
        { ...closed, description: 'what is waited for; absent: nothing' },
      ),
    ),
  },
  closed,
);
const SYSFS_STEP_UNDO = Type.Object(
  {
    ...common,
    kind: WRITES,
    path: place('attribute that is written'),
    write: Type.String({ description: 'what is written' }),
    undo: Type.Optional(
      Type.String({
        description:
          'what is written to undo it, where what was found is unknown or cannot be written back; absent: ' +
          'what was found',
      }),
    ),
    expect: Type.Optional(
      Type.Object(
        {
          path: place('attribute that is read'),
          value: Type.String({ description: 'what it must read' }),
          undone: Type.Optional(Type.String({ description: 'what it reads once `undo` is written' })),
        },
        { ...closed, description: 'what is waited for; absent: nothing' },
      ),
    ),
  },
  closed,
);
/** Inhibits input devices: /sys/class/input/INPUT/inhibited, or that of each input device below a device. */
const INPUT_INHIBIT_STEP = Type.Object(
  {
    ...common,
    kind: Type.Literal('input-inhibit', {
      description:
        'inhibits input devices, and reads that back: no program gets events. Whether the driver lets the ' +
        'registers be, is up to the driver: it does if it suspends while nobody has the device open, and ' +
        'that of a virtio device does not',
    }),
    input: Type.Optional(
      Type.String({
        pattern: '^(input[0-9]+$|/)',
        title: 'a name of /sys/class/input, as input3, or an absolute path',
        description:
          'the folder in /sys of the device, as /sys/bus/i2c/devices/1-0038: all input devices below it, ' +
          'whatever numbers they have this time; or one input device. This or `find`',
      }),
    ),
    find: Type.Optional(
      Type.Object(
        {
          name: trait('its name'),
          phys: trait('where it is plugged in'),
          uniq: trait('its serial number'),
        },
        {
          ...closed,
          description: 'the one input device of which these attributes below /sys/class/input/inputN read so',
        },
      ),
    ),
  },
  closed,
);
/** Lets runtime power management suspend a device (its folder in /sys) and waits for it. */
const RUNTIME_PM_STEP = Type.Object(
  {
    ...common,
    kind: Type.Literal('runtime-pm', {
      description:
        'lets runtime power management suspend a device, and waits until `runtime_status` reads ' +
        'suspended. It forces nothing: a device in use stays awake, and the step fails; who opens it ' +
        'later wakes it',
    }),
    device: place('folder of the device in /sys'),
  },
  closed,
);
/** Powers a framebuffer down by its attribute `blank`. */
const FB_BLANK_STEP = Type.Object(
  {
    ...common,
    kind: Type.Literal('fb-blank', {
      description:
        'powers a framebuffer down, and waits until `dpms` of the connectors of its device reads Off. ' +
        'While a DRM master has the display, as a compositor, nothing is blanked, and the step fails; of ' +
        'a device without connectors nobody can tell',
    }),
    fb: Type.String({
      pattern: '^(fb[0-9]+$|/)',
      title: 'a name of /sys/class/graphics, as fb0, or an absolute path',
      description: 'the folder in /sys of the device, which has one framebuffer; or the framebuffer',
    }),
  },
  closed,
);
/** Unbinds the driver: the explicit last resort. Verifies the `driver` link both ways. */
const UNBIND_STEP = Type.Object(
  {
    ...common,
    kind: Type.Literal('unbind', {
      description:
        'unbinds the driver from the device, and waits until it is gone: the last resort. Programs lose ' +
        'the device, and what it registers gets other numbers',
    }),
    bus: sysName('bus, as platform'),
    driver: sysName('driver'),
    device: Type.String({
      pattern: '^([^/.][^/]*$|/)',
      title: 'a name in a folder of /sys, or an absolute path',
      description: 'device: its name on the bus, or its folder in /sys',
    }),
  },
  closed,
);

/**
 * Lends, or borrows, through Qualcomm's touch driver: the owner's last suspend step, the borrower's first resume
 * step.
 */
const TRUSTED_TOUCH_STEP = Type.Object(
  {
    ...common,
    kind: Type.Literal('trusted-touch', {
      description:
        'lends (owner) or releases (borrower) by `trusted_touch_enable`, and waits until it reads so; ' +
        'last of its list. Undone it reclaims, or accepts. What the hypervisor did, the driver says',
    }),
    device: place('folder in /sys of `trusted_touch_enable` and `trusted_touch_event`'),
  },
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
  | Static<typeof TRUSTED_TOUCH_STEP>
>;
/** A step that reads and writes attributes below /sys. */
export type AttributeHookStep = Exclude<HookStep, { kind: 'command' | 'socket' | 'trusted-touch' }>;

/** How to find out what the driver does. Absent: from the suspend steps, where they can tell; else `unknown`. */
const INSPECT = Type.Union(
  [
    Type.Object({ kind: RUNS, command: command('program and its arguments'), limitMs: LIMIT }, closed),
    Type.Object({ kind: ASKS, path: path('UNIX socket of the program'), limitMs: LIMIT }, closed),
  ],
  {
    description: 'how to find out what the driver does; absent: from the suspend steps, where they can tell',
  },
);
export type InspectHook = Frozen<Static<typeof INSPECT>>;

/** Schema of the hooks of one device. Only steps that are ever undone may say how. */
const DEVICE_HOOKS = Type.Object(
  {
    inspect: Type.Optional(INSPECT),
    prepare: Type.Optional(
      Type.Array(Type.Union([COMMAND_STEP, SOCKET_STEP, SYSFS_STEP]), {
        description: 'borrower: warms up while the handover is prepared',
      }),
    ),
    holdSupplies: Type.Optional(
      Type.Array(Type.Union([COMMAND_STEP_UNDO, SOCKET_STEP, SYSFS_STEP_UNDO]), {
        description: 'owner: keeps supplies on before anything is suspended; undone after the return',
      }),
    ),
    suspend: Type.Optional(
      Type.Array(
        Type.Union([COMMAND_STEP_UNDO, SOCKET_STEP, SYSFS_STEP_UNDO, ...ATTRIBUTE_STEPS, TRUSTED_TOUCH_STEP]),
        {
          description: 'the driver lets go of the device',
        },
      ),
    ),
    /** Kinds that undo themselves act in the direction of resume here. */
    resume: Type.Optional(
      Type.Array(
        Type.Union([COMMAND_STEP, SOCKET_STEP, SYSFS_STEP, ...ATTRIBUTE_STEPS, TRUSTED_TOUCH_STEP]),
        {
          description: 'it takes it again; absent: the suspend steps undone in reverse order',
        },
      ),
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
  Type.Record(Type.String({ pattern: '^[a-z]' }), DEVICE_HOOKS, {
    ...closed,
    description:
      'device → its hooks; devices are suspended in the order of the bundle file and resumed in reverse',
  }),
  { ...closed, description: 'bundle → device → what the agent does to its driver; absent: nothing' },
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
  const misplaced = (list: 'suspend' | 'resume', index: number, where: string) =>
    complaints.push({
      path: [...path, list, index, 'kind'],
      message: `while it is lent nothing else reaches the device: expected the ${where} step of ${list}`,
    });
  for (const [index, step] of (hooks.resume ?? []).entries()) {
    if (step.kind === 'trusted-touch' && index > 0) misplaced('resume', index, 'first');
  }
  for (const list of ['suspend', 'resume'] as const) {
    for (const [index, step] of (hooks[list] ?? []).entries()) {
      const message = step.kind === 'input-inhibit' ? inputFault(step) : undefined;
      if (message !== undefined) complaints.push({ path: [...path, list, index, 'kind'], message });
    }
  }
  for (const [index, step] of (hooks.suspend ?? []).entries()) {
    if (step.kind === 'trusted-touch' && index < hooks.suspend!.length - 1)
      misplaced('suspend', index, 'last');
    if (!hooks.resume || !('undo' in step)) continue;
    const message =
      'never used: the device has resume steps of its own, which undo its suspend steps as well';
    complaints.push({ path: [...path, 'suspend', index, 'undo'], message });
  }
  return complaints;
}

function inputFault({ input, find }: Extract<HookStep, { kind: 'input-inhibit' }>): string | undefined {
  if (input !== undefined && find !== undefined) return 'both "input" and "find": expected one of them';
  if (find ? Object.keys(find).length > 0 : input !== undefined) return undefined;
  return 'no input device is named: expected "input", or "find" with "name", "phys" or "uniq"';
}
