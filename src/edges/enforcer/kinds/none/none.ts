/** Enforcer kind `none`: isolates nothing, to try messages and hooks without a hypervisor. */

import { CLOSED, vmField } from '../../../../common/fields.ts';
import { Type } from '../../../../common/schema.ts';
import { enforcerKind, listedVms, vmIds } from '../../kind.ts';
import { NoneEnforcer } from './none-enforcer.ts';

export const NONE = enforcerKind({
  schema: Type.Object(
    {
      kind: Type.Literal('none', { description: 'isolates nothing: to try messages and hooks' }),
      vms: Type.Array(vmField('a VM'), {
        description: 'VMs that count as running, for as long as the host runs',
      }),
    },
    CLOSED,
  ),
  open: async ({ vms }, { bundles, machineBoot }) =>
    new NoneEnforcer({ bundles, vms: vmIds(vms), machineBoot: machineBoot() }),
  vms: ({ vms }) => listedVms(vms, 'vms'),
});
