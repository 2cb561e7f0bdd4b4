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

import { Buffer } from 'node:buffer';
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { constants } from 'node:os';
import type { Child } from '../../src/cli/world.ts';
import { ENTROPY } from './entropy.ts';
import { attempt, statOf } from './processes.ts';

/** Variable of the environment that marks what belongs to a lease; leases within a lease add theirs. */
const MARK_NAME = 'BATON_LEASE';
const MARK_BYTES = 16;

/**
 * Reads `group NUMBER` and `done`; when its input ends without `done`, it ends the lease's processes: SIGTERM, and
 * SIGKILL a second later.
 * `$1`: the mark. POSIX shell, and grep.
 */
const GUARDIAN = `
group=
while read -r word value; do
  case $word in
    group) group=$value ;;
    done) exit 0 ;;
  esac
done
end() {
  [ -z "$group" ] || kill -s "$1" -- "-$group"
  for file in $(grep -ls -e "$2" /proc/[0-9]*/environ); do
    file=\${file#/proc/}
    kill -s "$1" "\${file%/environ}"
  done
}
end TERM "$1"
sleep 1
end KILL "$1"
end KILL "$1"
`;

/** Starts `command` with `env` besides this process's environment. `says`: a line for the user. */
export function startCommand(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  says: (line: string) => void,
): Child {
  const [program = '', ...args] = command;
  const mark = [...ENTROPY.random(MARK_BYTES)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const outer = process.env[MARK_NAME];
  const marked = { ...process.env, ...env, [MARK_NAME]: outer === undefined ? mark : `${outer} ${mark}` };
  const guardian = startGuardian(mark, says);
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

function startGuardian(mark: string, says: (line: string) => void): ChildProcess {
  const words = ['-c', GUARDIAN, 'baton-guardian', mark];
  const guardian = spawn('sh', words, { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  guardian.once('error', (error) =>
    says(`baton: ${error.message}: were baton killed, COMMAND would go on without the bundle`),
  );
  // It was ended before us.
  guardian.stdin!.on('error', () => {});
  return guardian;
}

/** Processes of the group, or with the mark. Those that only wait to be asked for are none. */
function processesOf(group: number | undefined, mark: string): number[] {
  const names = attempt(() => readdirSync('/proc')) ?? [];
  // Without /proc the group alone can be asked.
  if (!names.includes('self'))
    return group !== undefined && attempt(() => process.kill(-group, 0)) ? [group] : [];
  return names
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const [state, , ofGroup] = statOf(pid) ?? ['X'];
      if (state === 'Z' || state === 'X') return false;
      return (group !== undefined && Number(ofGroup) === group) || hasMark(pid, mark);
    });
}

/** Bytes of an environment that are read at once. */
const PART_BYTES = 16 * 1024;

function hasMark(pid: number, mark: string): boolean {
  // Those of others cannot be read, and are not ours to end.
  const fd = attempt(() => openSync(`/proc/${pid}/environ`, 'r'));
  if (fd === undefined) return false;
  const part = Buffer.alloc(PART_BYTES);
  let rest = '';
  const read = () => attempt(() => readSync(fd, part)) ?? 0;
  let isFound = false;
  for (let count = read(); count > 0 && !isFound; count = read()) {
    rest += part.toString('utf8', 0, count);
    isFound = rest.includes(mark);
    rest = rest.slice(-mark.length);
  }
  closeSync(fd);
  return isFound;
}
