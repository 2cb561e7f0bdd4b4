/** Transport kind `stream`: a byte stream from each VM to the host, which forwards frames; UNIX, TCP or vsock. */

import { ANY_GUEST, CLOSED, wayField } from '../../../../common/fields.ts';
import { Type } from '../../../../common/schema.ts';
import { VM_PATTERN, type VmId } from '../../../../core/protocol/ids.ts';
import { transportKind } from '../../kind.ts';
import { StreamRouter } from './stream-router.ts';
import { StreamTransport } from './stream-transport.ts';

export const STREAM = transportKind({
  agent: Type.Object(
    {
      kind: Type.Literal('stream', {
        description: 'a byte stream to the host, which forwards to other agents',
      }),
      address: wayField('where the host listens for this VM; from inside a guest, vsock:2:port'),
    },
    CLOSED,
  ),
  host: Type.Object(
    {
      kind: Type.Literal('stream', { description: 'the host listens, and forwards between agents' }),
      listen: Type.Record(
        Type.String({ pattern: VM_PATTERN }),
        wayField('where it listens for this VM', ANY_GUEST),
        { ...CLOSED, description: 'one address per VM, which identifies the VM' },
      ),
    },
    CLOSED,
  ),
  openAgent: ({ address }, { self, streams, clock, entropy, log }) =>
    new StreamTransport({ self: self as VmId, address, streams, clock, entropy, log }),
  openHost: ({ listen }, { streams, clock, log }) =>
    new StreamRouter({
      listen: Object.entries(listen).map(([vm, address]) => ({ vm: vm as VmId, address })),
      streams,
      clock,
      log,
    }),
});
