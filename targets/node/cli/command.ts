/**
 * The command of `baton borrow` and all its descendants, which must not outlive the lease.
 *
 * Two things identify them. Without a terminal the command leads its own process group; at a terminal it does not,
 * since it would lose its input, Ctrl-C and Ctrl-Z. And its environment has a mark, which descendants inherit in any
 * group or session and /proc shows. Not found is a process that has left the group and has no mark: its environment was
 * cleared or overwritten, it belongs to another user, or a daemon started it on request.
 *
 * If this process is killed, a guardian ends them: a shell in its own session, which notices the end of a pipe.
 */

import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Child } from '../../../src/cli/world.ts';
import { newMark, processesOf, startGuardian } from '../system/marks.ts';
import { attempt, statOf } from '../system/processes.ts';

/** Environment variable with the marks of the leases that a process belongs to; nested leases add theirs. */
const MARK_NAME = 'BATON_LEASE';

/** Starts `command` with this process's environment and `env`. `says` prints a line for the user. */
export function startCommand(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  says: (line: string) => void,
): Child {
  const [program = '', ...args] = command;
  const mark = newMark();
  const outer = process.env[MARK_NAME];
  const marked = { ...process.env, ...env, [MARK_NAME]: outer === undefined ? mark : `${outer} ${mark}` };
  const guardian = startGuardian(mark, (error) =>
    says(`baton: ${error.message}: if baton is killed, COMMAND continues without the bundle`),
  );
  const isLeader = !process.stdin.isTTY;
  const child = spawn(program, args, { stdio: 'inherit', env: marked, detached: isLeader });
  const { pid } = child;
  const group = isLeader ? pid : undefined;
  if (group !== undefined) guardian.stdin!.write(`group ${group}\n`);
  let isOver = pid === undefined;
  const seen = new Set<number>();
  const ended = new Promise<number>((resolve) => {
    child.once('error', (error) => {
      isOver = true;
      says(`baton: ${program}: ${error.message}`);
      resolve((error as NodeJS.ErrnoException).code === 'ENOENT' ? 127 : 126);
    });
    child.once('exit', (code, signal) => {
      isOver = true;
      resolve(code ?? 128 + (constants.signals[signal!] ?? 0));
    });
  });
  return {
    ended,
    signal: (name) => {
      if (group !== undefined) attempt(() => process.kill(-group, name));
      else if (!isOver) child.kill(name);
      // Each signal once per process: a second SIGTERM may interrupt a clean-up.
      for (const other of processesOf(undefined, mark))
        if (other !== pid && (group === undefined || Number(statOf(other)?.[2]) !== group))
          attempt(() => process.kill(other, name));
    },
    left: () => {
      const left = processesOf(group, mark).filter((other) => isOver || other !== pid);
      for (const each of left) seen.add(each);
      return left;
    },
    hasEntries: () => [...seen].some((each) => statOf(each)?.[0] === 'Z'),
    release: () => guardian.stdin!.end('done\n'),
  };
}
