/** Enforcer kind `kvm`: `baton-kvm`, or another VMM that owns its VMs, on an enforcer socket (../../remote.ts). */

import { addressField, CLOSED } from '../../../../common/fields.ts';
import { Type } from '../../../../common/schema.ts';
import { enforcerKind } from '../../kind.ts';
import { openRemote, remoteSocket } from '../../remote.ts';

export const KVM = enforcerKind({
  schema: Type.Object(
    {
      kind: Type.Literal('kvm', { description: 'baton-kvm, or another VMM on an enforcer socket' }),
      address: addressField('where the VMM listens'),
    },
    CLOSED,
  ),
  open: openRemote,
  sockets: remoteSocket,
});
