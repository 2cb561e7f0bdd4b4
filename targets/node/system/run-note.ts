/**
 * A note of the process group that runs a program now, for a later run of this process to end it: the group goes on
 * when this process is killed. It needs nothing of the program, and holds wherever the folder is moved and whatever
 * name spaces the next run has, but for that of processes.
 *
 * A group's number is not given to others while it has members, so a note is of a group that is gone, or of ours, or
 * of one that got the number later. Its leader's start tells the latter two apart; where the leader is gone, nothing
 * does.
 */

import { openSync, readFileSync, writeSync } from 'node:fs';
import { attempt, groupExists, statOf } from './processes.ts';

/** Bytes of a note: two numbers and a boot's name. It is written over in place, which takes no space on the disk. */
const NOTE_BYTES = 96;

/** What runs of an earlier run. `isOurs`: undefined when it cannot be told. */
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
  if (!groupExists(group)) return undefined;
  const now = startOf(group);
  return { group, isOurs: now === undefined ? undefined : now === Number(start) };
}

/** When a process started, in ticks since the boot: field 22 of proc_pid_stat(5). */
function startOf(pid: number): number | undefined {
  const start = statOf(pid)?.[19];
  return start === undefined ? undefined : Number(start);
}

/** Linux names each boot of the machine. */
export function bootOfMachine(): string {
  return attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()) ?? 'unknown';
}
