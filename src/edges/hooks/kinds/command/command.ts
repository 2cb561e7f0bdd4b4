/** Hook kind `command`: runs a program. How it is started and ended: run-command.ts. */

import { Type } from '../../../../common/schema.ts';
import { CLOSED, COMMON, hookKind, LIMIT, type StepParts } from '../../kind.ts';
import { ifBegun, type Step } from '../../step.ts';
import { commandStatus, runCommand } from './run-command.ts';

const RUNS = Type.Literal('command', {
  description:
    'runs a program. Status 0 is success; any other status means that nothing was changed. Nothing is ' +
    'read back: only the program knows what it did',
});
const argv = (description: string) => Type.Array(Type.String({ minLength: 1 }), { minItems: 1, description });
const program = argv('program and its arguments');

export const COMMAND = hookKind({
  schema: Type.Object(
    {
      ...COMMON,
      kind: RUNS,
      command: program,
      undo: Type.Optional(argv('program that undoes it; absent: nothing does, or the `resume` steps do')),
    },
    CLOSED,
  ),
  plain: Type.Object({ ...COMMON, kind: RUNS, command: program }, CLOSED),
  inspect: Type.Object({ kind: RUNS, command: program, limitMs: LIMIT }, CLOSED),
  isForSupplies: true,
  undoesItself: false,
  actions: (step, parts) => ({
    apply: async (call) => {
      call.note.begin();
      await run(parts, step.command)(call);
    },
    undo: step.undo && ifBegun(run(parts, step.undo)),
    // As a step it is not run to find the status; as `inspect` it is.
    status: async (call) =>
      parts.isInspect ? commandStatus(parts.world, orderOf(parts, step.command), call) : 'unknown',
    recheck: undefined,
  }),
  neverUndone: (step, other) =>
    step.undo === undefined ? `command: never undone: expected "undo"${other}` : undefined,
});

function orderOf({ bundle, device, name }: StepParts, command: readonly string[]) {
  return { bundle, device, step: name, command };
}

function run(parts: StepParts, command: readonly string[]): Step['apply'] {
  return async (call) => {
    await runCommand(parts.world, orderOf(parts, command), call);
  };
}
