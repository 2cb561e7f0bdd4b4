/**
 * Runs the program of a `command` step. The program gets no input; environment variables describe the request:
 *
 *   BATON_HOOK      prepare, hold-supplies, release-supplies, suspend, resume or inspect
 *   BATON_STEP      the step's name            BATON_BUNDLE, BATON_DEVICE   what it is about
 *   BATON_EPOCH     the epoch; absent for inspect                BATON_LIMIT_MS   milliseconds it has
 *
 * Status 0 is success. Any other status means that nothing was changed. A program that was killed, by its limit or
 * otherwise, may have changed something.
 */

import type { BundleId, DeviceId } from '../../../../core/protocol/ids.ts';
import type { DriverStatus } from '../../../../ports/world.ts';
import { LATE, StepError, within } from '../../limit.ts';
import { driverStatus, type StepCall } from '../../step.ts';
import type { HookWorld, ProgramEnd } from '../../world.ts';

/** Time between SIGTERM and SIGKILL, in ms: enough for a trap to clean up, short for a user. */
export const TERM_GRACE_MS = 200;
/** Longest wait for the end of a killed program, in ms. A process may be blocked in a driver in the kernel. */
export const KILL_GRACE_MS = 500;

/** The subject of a run, besides the call. */
export interface CommandOrder {
  readonly command: readonly string[];
  readonly bundle: BundleId;
  readonly device: DeviceId;
  readonly step: string;
}

/** Runs a program to its end. Returns its standard output. Rejects with a StepError. */
export async function runCommand(world: HookWorld, order: CommandOrder, call: StepCall): Promise<string> {
  const { clock } = world;
  const { command } = order;
  let tell: (end: ProgramEnd) => void = () => {};
  const ended = new Promise<ProgramEnd>((resolve) => {
    tell = resolve;
  });
  const program = call.lock.start({ command, environment: environmentOf(order, call) }, tell);
  let end = await within(clock, call.limit.leftMs, ended);
  if (end !== LATE) return resultOf(command, end);
  program.signal('terminate');
  end = await within(clock, TERM_GRACE_MS, ended);
  if (end === LATE) {
    program.signal('kill');
    end = await within(clock, KILL_GRACE_MS, ended);
  }
  const fate = end === LATE ? 'not even SIGKILL ended it' : `killed${said(end)}`;
  throw new StepError(`${command[0]}: no end within ${call.limit.ms} ms; ${fate}`, {
    timedOut: true,
    mayHaveActed: true,
  });
}

/** Asks an inspect program, which prints `active`, `suspended` or `unknown`. */
export async function commandStatus(
  world: HookWorld,
  order: CommandOrder,
  call: StepCall,
): Promise<DriverStatus> {
  return driverStatus((await runCommand(world, order, call)).trim());
}

function environmentOf(order: CommandOrder, { hook, epoch, limit }: StepCall): Record<string, string> {
  return {
    BATON_HOOK: hook,
    BATON_STEP: order.step,
    BATON_BUNDLE: order.bundle,
    BATON_DEVICE: order.device,
    BATON_LIMIT_MS: String(limit.ms),
    ...(epoch === undefined ? {} : { BATON_EPOCH: String(epoch) }),
  };
}

function resultOf(command: readonly string[], end: ProgramEnd): string {
  const { how } = end;
  if ('notStarted' in how)
    throw new StepError(`${command[0]}: not started: ${how.notStarted}`, { mayHaveActed: false });
  if ('signal' in how) {
    throw new StepError(`${command[0]}: killed by ${how.signal}${said(end)}`, { mayHaveActed: true });
  }
  if (how.status === 0) return end.stdout;
  throw new StepError(`${command[0]}: status ${how.status}${said(end)}`, { mayHaveActed: false });
}

/** Returns the last output of a program, as part of a line. */
function said({ stderr }: ProgramEnd): string {
  const text = stderr.trim().replace(/\s*\n\s*/g, ' / ');
  return text === '' ? '' : `: ${text}`;
}
