/** The kinds of enforcers, a line each, in the order in which docs/CONFIG.md lists them. */

import { type Static, type TSchema, type TUnsafe, Type } from '../../common/schema.ts';
import type { EnforcerKind } from './kind.ts';
import { COMMAND } from './kinds/command/command.ts';
import { KVM } from './kinds/kvm/kvm.ts';
import { NONE } from './kinds/none/none.ts';
import { QMP } from './kinds/qmp/qmp.ts';
import { SIMULATED } from './kinds/simulated/simulated.ts';
import { TRUSTED_TOUCH } from './kinds/trusted-touch/trusted-touch.ts';

const KINDS = {
  simulated: SIMULATED,
  kvm: KVM,
  command: COMMAND,
  none: NONE,
  'trusted-touch': TRUSTED_TOUCH,
  qmp: QMP,
} as const;

/** The part `enforcer` of a host's configuration. */
export type EnforcerConfig = Static<(typeof KINDS)[keyof typeof KINDS]['schema']>;

/** Every kind, by name. */
export const ENFORCER_KINDS = KINDS as unknown as Readonly<Record<string, EnforcerKind>>;

/** Forms of the part `enforcer`. */
export const ENFORCER_SCHEMA = Type.Union(
  Object.values(ENFORCER_KINDS).map(({ schema }): TSchema => schema),
  { description: 'the enforcer that switches access; no default' },
) as unknown as TUnsafe<EnforcerConfig>;

/** The kind that a configuration chooses. */
export function enforcerKindOf({ kind }: EnforcerConfig): EnforcerKind {
  return ENFORCER_KINDS[kind]!;
}
