/**
 * A note of the process group that runs a program now, for a later life of this process to end it: the group goes on when
 * this process is killed. It needs nothing of the program, and holds wherever the folder is moved and whatever name spaces the
 * next life has, but for that of processes.
 *
 * A group's number is not given to others while it has members, so a note is of a group that is gone, or of ours, or of one
 * that got the number later. Its leader's start tells the latter two apart; where the leader is gone, nothing does.
 */

import { openSync, readdirSync, readFileSync, writeSync } from 'node:fs';

/** Bytes of a note: two numbers and a boot's name. It is written over in place, which takes no space on the disk. */
const NOTE_BYTES = 96;

/** What runs of an earlier life. `isOurs`: undefined when it cannot be told. */
export interface EarlierRun {
  readonly group: number;
  readonly isOurs: boolean | undefined;
}

export class RunNote {
  readonly #fd: number;

  /** Throws when the file cannot be written. Read `earlierRun` before. */
  constructor(path: string) {
    this.#fd = openSync(path, 'w', 0o600);
    this.#write('');
  }

  /** The leader of a group was started, and does nothing yet. Throws when it cannot be written. */
  begin(leader: number): void {
    this.#write(`${leader} ${startOf(leader) ?? 0} ${bootOfMachine()}`);
  }

  #write(text: string): void {
    writeSync(this.#fd, text.padEnd(NOTE_BYTES - 1).concat('\n'), 0);
  }
}

/** Looks whether something lives of what a note says; undefined when nothing does. */
export function earlierRun(path: string): EarlierRun | undefined {
  const [leader, start, boot] = (attempt(() => readFileSync(path, 'latin1')) ?? '').trim().split(' ');
  const group = Number(leader);
  // Groups 0 and 1 are read as something else by kill(2), and our own is never meant.
  if (!Number.isSafeInteger(group) || group < 2 || boot !== bootOfMachine()) return undefined;
  if (!groupLives(group)) return undefined;
  const now = startOf(group);
  return { group, isOurs: now === undefined ? undefined : now === Number(start) };
}

/** Whether a member of the group is more than an entry that its parent has not asked for, as under a lazy init. */
export function groupLives(group: number): boolean {
  try {
    return readdirSync('/proc').some((name) => {
      if (!/^[0-9]+$/.test(name)) return false;
      const fields = statOf(Number(name));
      return fields !== undefined && Number(fields[2]) === group && fields[0] !== 'Z' && fields[0] !== 'X';
    });
  } catch {
    // Without /proc nobody can tell.
    return true;
  }
}

/** When a process started, in ticks since the boot: field 22 of proc_pid_stat(5). */
function startOf(pid: number): number | undefined {
  const start = statOf(pid)?.[19];
  return start === undefined ? undefined : Number(start);
}

/** Fields of a process from its state on: state, parent, group. The name before it may itself contain anything. */
function statOf(pid: number): readonly string[] | undefined {
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** Linux names each boot of the machine. */
export function bootOfMachine(): string {
  return attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()) ?? 'unknown';
}

/** What `look` returns; undefined when what it looked at is gone or not ours to see. */
function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
