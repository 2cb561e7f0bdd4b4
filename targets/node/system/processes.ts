/** Processes and their groups, from /proc of Linux. */

import { readdirSync, readFileSync } from 'node:fs';

/** Returns the result of `look`; undefined when its subject is gone or not visible to this user. */
export function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

/**
 * Fields of a process from its state on: state, parent, group. They follow the last parenthesis, since the name may
 * contain anything.
 */
export function statOf(pid: number): readonly string[] | undefined {
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** Process group of a process. */
export function groupOf(pid: number): number | undefined {
  const group = statOf(pid)?.[2];
  return group === undefined ? undefined : Number(group);
}

/** Whether a member of the group is alive: not only an ended process that is not reaped, as under a slow init. */
export function groupExists(group: number): boolean {
  try {
    return readdirSync('/proc').some((name) => {
      if (!/^[0-9]+$/.test(name)) return false;
      const fields = statOf(Number(name));
      return fields !== undefined && Number(fields[2]) === group && fields[0] !== 'Z' && fields[0] !== 'X';
    });
  } catch {
    // Without /proc this is unknown.
    return true;
  }
}

/** Kills a group; returns false when there is none. */
export function killGroup(group: number): boolean {
  return attempt(() => process.kill(-group, 'SIGKILL')) ?? false;
}
