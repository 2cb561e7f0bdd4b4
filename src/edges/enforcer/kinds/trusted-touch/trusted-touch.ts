/** Enforcer kind `trusted-touch`: the guests' own drivers lend and accept; the host only keeps records. */

import { CLOSED, vmField } from '../../../../common/fields.ts';
import { Type } from '../../../../common/schema.ts';
import { type BundleDefinition, resourcesOf } from '../../../../core/protocol/bundle.ts';
import { enforcerKind, listedVms, resetFaults, vmIds } from '../../kind.ts';
import { openCommand, PROGRAM_FIELDS } from '../command/command.ts';
import { NoneEnforcer } from '../none/none-enforcer.ts';
import { TrustedTouchEnforcer } from './trusted-touch-enforcer.ts';

/** Source of the running VMs, which the enforcer itself does not see. */
const INCARNATIONS = Type.Union(
  [
    Type.Object(
      {
        kind: Type.Literal('fixed', {
          description: 'a fixed list: they run as long as the host; no VM is ever seen to end',
        }),
        vms: Type.Array(vmField('a VM'), { description: 'VMs that count as running' }),
      },
      CLOSED,
    ),
    Type.Object(
      {
        kind: Type.Literal('command', {
          description:
            'a program reports them; of the contract of `command` it needs only what is not about bundles',
        }),
        ...PROGRAM_FIELDS,
      },
      CLOSED,
    ),
  ],
  { description: 'source of the running VMs' },
);

export const TRUSTED_TOUCH = enforcerKind({
  schema: Type.Object(
    {
      kind: Type.Literal('trusted-touch', {
        description: 'the guests lend and accept by their hooks `trusted-touch`; the host only keeps records',
      }),
      incarnations: INCARNATIONS,
    },
    CLOSED,
  ),
  open: async ({ incarnations: config }, parts) => {
    const { bundles, log } = parts;
    const incarnations =
      config.kind === 'command'
        ? await openCommand(config, parts)
        : new NoneEnforcer({ bundles, vms: vmIds(config.vms), machineBoot: parts.machineBoot() });
    return new TrustedTouchEnforcer({ bundles, incarnations, store: parts.notes(), log });
  },
  vms: ({ incarnations }) =>
    incarnations.kind === 'fixed' ? listedVms(incarnations.vms, 'incarnations', 'vms') : [],
  complaints: (_, bundles) =>
    bundles.flatMap((bundle) => touchFaults(bundle).map((message) => ({ path: ['kind'], message }))),
});

/**
 * Limits of the touch driver: it lends registers and one interrupt, keeps the supplies on, resets nothing, and lends
 * no DMA.
 */
function touchFaults(bundle: BundleDefinition): string[] {
  const stream = resourcesOf(bundle).find(({ kind }) => kind === 'stream');
  return [
    ...(stream ? [`trusted-touch moves no DMA, and ${bundle.id} has ${stream.id}: expected no streams`] : []),
    ...resetFaults('trusted-touch', bundle),
    ...(bundle.keeper === 'owner'
      ? []
      : [`trusted-touch has the owner keep the supplies of ${bundle.id} on: expected "keeper": "owner"`]),
  ];
}
