/** Enforcer kind `simulated`: the simulated machine, or any helper on an enforcer socket (../../remote.ts). */

import { addressField, CLOSED } from '../../../../common/fields.ts';
import { Type } from '../../../../common/schema.ts';
import { enforcerKind } from '../../kind.ts';
import { openRemote, remoteSocket } from '../../remote.ts';

export const SIMULATED = enforcerKind({
  schema: Type.Object(
    {
      kind: Type.Literal('simulated', {
        description: 'the simulated machine, or another program on an enforcer socket',
      }),
      address: addressField('where it listens'),
    },
    CLOSED,
  ),
  open: openRemote,
  sockets: remoteSocket,
});
