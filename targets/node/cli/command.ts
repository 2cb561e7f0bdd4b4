/**
 * The command of `baton borrow`, with everything that it starts: what may not outlive the lease.
 *
 * Two things tell what belongs to it. Where there is no terminal it leads a process group of its own; at a terminal
 * that would take its input, its Ctrl-C and its Ctrl-Z away. And its environment has a mark, which whatever it starts
 * inherits, in any group or session: /proc shows it. Out of reach is a process that has left the group and has no
 * mark: its environment was cleared or overwritten, it belongs to another user, or a daemon outside started it at the
 * command's wish.
 *
 * A guardian, a shell in a session of its own, does the same when this process is killed: the end of a pipe tells it.
 */

import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Child } from '../../../src/cli/world.ts';
import { newMark, processesOf, startGuardian } from '../system/marks.ts';
import { attempt, statOf } from '../system/processes.ts';

/** Variable of the environment that marks what belongs to a lease; leases within a lease add theirs. */
const MARK_NAME = 'BATON_LEASE';

/** Starts `command` with `env` besides this process's environment. `says`: a line for the user. */
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
    says(`baton: ${error.message}: were baton killed, COMMAND would go on without the bundle`),
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
      // Each once: a second SIGTERM may cut a clean-up short.
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
