/** Hook kind `socket`: sends a request to a local program. Its connections: programs.ts. */

import { Type } from '../../../../common/schema.ts';
import { CLOSED, COMMON, hookKind, LIMIT } from '../../kind.ts';
import { driverStatus, ifBegun, type Step } from '../../step.ts';
import { SocketPrograms } from './programs.ts';

const ASKS = Type.Literal('socket', {
  description:
    'asks a program that listens: one JSON line out, one in. Nothing is read back: only the program ' +
    'knows what it did',
});
const path = Type.String({
  pattern: '^/',
  title: 'an absolute path',
  description: 'UNIX socket of the program',
});

export const SOCKET = hookKind({
  schema: Type.Object({ ...COMMON, kind: ASKS, path }, CLOSED),
  inspect: Type.Object({ kind: ASKS, path, limitMs: LIMIT }, CLOSED),
  isForSupplies: true,
  undoesItself: false,
  actions: (step, { world, bundle, device, name, shared }) => {
    const programs = shared('agent', () => new SocketPrograms(world));
    const order = { path: step.path, bundle, device, step: name };
    const ask: Step['apply'] = async (call) => {
      await programs.ask(order, call);
    };
    return {
      apply: async (call) => {
        call.note.begin();
        await ask(call);
      },
      // The request itself names the direction: `resume` undoes `suspend`.
      undo: ifBegun(ask),
      status: async (call) => driverStatus((await programs.ask(order, call))['status']),
      recheck: undefined,
    };
  },
});
