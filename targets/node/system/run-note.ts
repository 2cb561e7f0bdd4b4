/**
 * A note of the process group of the running program, with which a later run of this process can end it: the group
 * lives on when this process is killed. It needs no cooperation of the program, and stays valid when the folder is
 * moved and in other name spaces, except in another one of processes.
 *
 * The number of a group is not reused while it has members. So the noted group is gone, or is ours, or is a later one
 * with the same number. The start time of its leader distinguishes the latter two; if the leader is gone, they cannot
 * be distinguished.
 */

import { openSync, readFileSync, writeSync } from 'node:fs';
import { attempt, groupExists, statOf } from './processes.ts';

/** Bytes of a note: two numbers and the id of the boot. It is overwritten in place, which needs no disk space. */
const NOTE_BYTES = 96;

/** A group that is alive since an earlier run. `isOurs`: undefined when unknown. */
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

  /** Notes the leader of a new group, before it does anything. Throws when the note cannot be written. */
  begin(leader: number): void {
    this.#write(`${leader} ${startOf(leader) ?? 0} ${bootOfMachine()}`);
  }

  #write(text: string): void {
    writeSync(this.#fd, text.padEnd(NOTE_BYTES - 1).concat('\n'), 0);
  }
}

/** Returns the noted group if it is still alive; else undefined. */
export function earlierRun(path: string): EarlierRun | undefined {
  const [leader, start, boot] = (attempt(() => readFileSync(path, 'latin1')) ?? '').trim().split(' ');
  const group = Number(leader);
  // kill(2) does not take 0 and 1 as groups, and our own group is never noted.
  if (!Number.isSafeInteger(group) || group < 2 || boot !== bootOfMachine()) return undefined;
  if (!groupExists(group)) return undefined;
  const now = startOf(group);
  return { group, isOurs: now === undefined ? undefined : now === Number(start) };
}

/** Start time of a process, in ticks since the boot: field 22 of proc_pid_stat(5). */
function startOf(pid: number): number | undefined {
  const start = statOf(pid)?.[19];
  return start === undefined ? undefined : Number(start);
}

/** Id that Linux gives to each boot of the machine. */
export function bootOfMachine(): string {
  return attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()) ?? 'unknown';
}
