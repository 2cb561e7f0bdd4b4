/** The kinds of hook steps, a line each, in the order in which docs/CONFIG.md lists them. */

import type { TSchema } from '../../common/schema.ts';
import type { HookKind, StepOf } from './kind.ts';
import { COMMAND } from './kinds/command/command.ts';
import { FB_BLANK } from './kinds/fb-blank/fb-blank.ts';
import { INPUT_INHIBIT } from './kinds/input-inhibit/input-inhibit.ts';
import { RUNTIME_PM } from './kinds/runtime-pm/runtime-pm.ts';
import { SOCKET } from './kinds/socket/socket.ts';
import { SYSFS } from './kinds/sysfs/sysfs.ts';
import { TRUSTED_TOUCH } from './kinds/trusted-touch/trusted-touch.ts';
import { UNBIND } from './kinds/unbind/unbind.ts';

const KINDS = {
  command: COMMAND,
  socket: SOCKET,
  sysfs: SYSFS,
  'input-inhibit': INPUT_INHIBIT,
  'runtime-pm': RUNTIME_PM,
  'fb-blank': FB_BLANK,
  unbind: UNBIND,
  'trusted-touch': TRUSTED_TOUCH,
} as const;

/** A step of any kind, in its widest form. */
export type HookStep = StepOf<(typeof KINDS)[keyof typeof KINDS]['schema']>;

/** Every kind. */
export const HOOK_KINDS = Object.values(KINDS) as unknown as readonly HookKind[];

/** The kind of a step. */
export function kindOf(step: HookStep): HookKind {
  return KINDS[step.kind] as unknown as HookKind;
}

/** Forms of a step that every kind has in a list. */
export function formsIn(list: 'prepare' | 'holdSupplies' | 'suspend' | 'resume'): TSchema[] {
  const isUndone = list === 'holdSupplies' || list === 'suspend';
  const isForSupplies = list === 'prepare' || list === 'holdSupplies';
  return HOOK_KINDS.filter((kind) => kind.isForSupplies || !isForSupplies).map((kind) =>
    isUndone ? kind.schema : (kind.plain ?? kind.schema),
  );
}
