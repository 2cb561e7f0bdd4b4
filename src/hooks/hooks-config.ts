/**
 * How an agent's driver hooks are configured: per bundle and device, ordered steps. Pure description.
 *
 * `suspend` is the list that matters; `resume` is its steps undone in reverse order unless it is given itself.
 * Devices are suspended in the order of the bundle (consumers before suppliers) and resumed in reverse.
 */

import { type Static, Type } from 'typebox';

const closed = { additionalProperties: false } as const;
const LIMIT = Type.Optional(Type.Integer({ minimum: 1, maximum: 60_000, description: 'milliseconds; 1000 unless given' }));
const COMMAND = Type.Array(Type.String(), { minItems: 1 });
const PATH = Type.String({ pattern: '^/' });
const common = { name: Type.Optional(Type.String({ maxLength: 64 })), limitMs: LIMIT };

/** One step. Kinds that know how to undo themselves have no `undo`. */
const STEP = Type.Union([
  /** Runs a program; status 0 is success. Environment: BATON_HOOK, _STEP, _BUNDLE, _DEVICE, _EPOCH. */
  Type.Object({ ...common, kind: Type.Literal('command'), command: COMMAND, undo: Type.Optional(COMMAND) }, closed),
  /** Asks a long-lived local program: one JSON line out, one in. */
  Type.Object({ ...common, kind: Type.Literal('socket'), path: PATH }, closed),
  /** Writes an attribute, then waits until one reads as expected. */
  Type.Object(
    {
      ...common,
      kind: Type.Literal('sysfs'),
      path: PATH,
      write: Type.String(),
      undo: Type.Optional(Type.String()),
      expect: Type.Optional(Type.Object({ path: PATH, value: Type.String() }, closed)),
    },
    closed,
  ),
  /** Inhibits an input device: /sys/class/input/INPUT/inhibited. */
  Type.Object({ ...common, kind: Type.Literal('input-inhibit'), input: Type.String({ pattern: '^input[0-9]+$' }) }, closed),
  /** Lets runtime power management suspend a device and waits for it; undo forbids it again. */
  Type.Object({ ...common, kind: Type.Literal('runtime-pm'), device: PATH }, closed),
  /** Powers a framebuffer down: /sys/class/graphics/FB/blank. */
  Type.Object({ ...common, kind: Type.Literal('fb-blank'), fb: Type.String({ pattern: '^fb[0-9]+$' }) }, closed),
  /** Unbinds the driver: the explicit last resort. Verifies the `driver` link both ways. */
  Type.Object(
    { ...common, kind: Type.Literal('unbind'), bus: Type.String(), driver: Type.String(), device: Type.String() },
    closed,
  ),
]);
export type HookStep = Static<typeof STEP>;

/** How to find out what the driver does. Absent: from the steps, where they can tell; else `unknown`. */
const INSPECT = Type.Union([
  Type.Object({ kind: Type.Literal('command'), command: COMMAND, limitMs: LIMIT }, closed),
  Type.Object({ kind: Type.Literal('socket'), path: PATH, limitMs: LIMIT }, closed),
]);

const DEVICE_HOOKS = Type.Object(
  {
    inspect: Type.Optional(INSPECT),
    /** Borrower: warms up while the handover is prepared (load a driver, allocate, draw off screen). */
    prepare: Type.Optional(Type.Array(STEP)),
    /** Owner: keeps supplies on before anything is suspended; undone after the return. */
    holdSupplies: Type.Optional(Type.Array(STEP)),
    suspend: Type.Optional(Type.Array(STEP)),
    resume: Type.Optional(Type.Array(STEP)),
  },
  closed,
);
export type DeviceHooksConfig = Static<typeof DEVICE_HOOKS>;

/** Schema of the `hooks` part of an agent's configuration: bundle → device → hooks. */
export const HOOKS_SCHEMA = Type.Record(
  Type.String({ pattern: '^[a-z]' }),
  Type.Record(Type.String({ pattern: '^[a-z]' }), DEVICE_HOOKS),
);
export type HooksConfig = Static<typeof HOOKS_SCHEMA>;
