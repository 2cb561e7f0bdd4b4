/**
 * Marks in the environment of a process, which its descendants inherit in any group or session, and /proc shows. When
 * the process that started them is killed, a guardian ends the processes with its mark.
 */

import { Buffer } from 'node:buffer';
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { ENTROPY } from './entropy.ts';
import { attempt, statOf } from './processes.ts';

const MARK_BYTES = 16;

/**
 * Reads `group NUMBER` and `done`; when its input ends without `done`, it ends the marked processes: SIGTERM, and
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

/** Returns a unique mark: 32 random hexadecimal digits. */
export function newMark(): string {
  return [...ENTROPY.random(MARK_BYTES)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * Starts a guardian for the processes with `mark`. Its input: `group NUMBER`, a process group to end as well, and
 * `done`, nothing needs to be ended. `onError`: it cannot be started.
 */
export function startGuardian(mark: string, onError: (error: Error) => void): ChildProcess {
  const words = ['-c', GUARDIAN, 'baton-guardian', mark];
  const guardian = spawn('sh', words, { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  guardian.once('error', onError);
  // The guardian was ended first.
  guardian.stdin!.on('error', () => {});
  return guardian;
}

/** Processes of the group, or with the mark, without those that have ended and are not reaped yet. */
export function processesOf(group: number | undefined, mark: string): number[] {
  const names = attempt(() => readdirSync('/proc')) ?? [];
  // Without /proc only the group can be checked.
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

/** Bytes per read of an environment. */
const PART_BYTES = 16 * 1024;

/** Whether `mark` is in the initial environment of a process, as far as this user may read it. */
function hasMark(pid: number, mark: string): boolean {
  // Processes of other users cannot be read, and need not be ended.
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
