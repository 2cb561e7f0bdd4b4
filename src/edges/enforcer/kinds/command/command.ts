/** Enforcer kind `command`: an executable, run for each request. Its contract: contract.ts. */

import { CLOSED, commandField, msField } from '../../../../common/fields.ts';
import { Type } from '../../../../common/schema.ts';
import { type EnforcerParts, enforcerKind } from '../../kind.ts';
import { type CommandEnforcer, openCommandEnforcer } from './command-enforcer.ts';

/**
 * Default time limit of one request to the executable, in ms: below the host's deadline for a phase (`enforceMs`).
 */
const LIMIT_MS = 2_500;
/** Interval of polls for events, in ms: a VM's exit is seen at most this much later. */
const POLL_MS = 200;

/** Fields of a program that implements this contract. */
export const PROGRAM_FIELDS = {
  command: commandField('program and its arguments, run for each request'),
  limitMs: Type.Optional(msField('time limit of one run', LIMIT_MS)),
};

export const COMMAND = enforcerKind({
  schema: Type.Object(
    { kind: Type.Literal('command', { description: 'your executable' }), ...PROGRAM_FIELDS },
    CLOSED,
  ),
  open: openCommand,
});

/** Opens a program that implements this contract. Rejects with the reason when it cannot be used. */
export async function openCommand(
  { command, limitMs = LIMIT_MS }: { readonly command: readonly string[]; readonly limitMs?: number },
  { bundles, clock, log, program }: EnforcerParts,
): Promise<CommandEnforcer> {
  const runLine = await program(command, limitMs);
  // Its arguments may contain a password.
  log('debug', 'asking the command enforcer', { program: command[0] });
  const enforcer = await new Promise<CommandEnforcer>((resolve, reject) => {
    openCommandEnforcer(
      bundles,
      runLine,
      (result) => (result.ok ? resolve(result.enforcer) : reject(new Error(result.error))),
      log,
    );
  });
  const poll = () => enforcer.poll(() => clock.after(POLL_MS, poll));
  poll();
  return enforcer;
}
