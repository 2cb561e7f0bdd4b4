/** Processes and their groups, as Linux shows them below /proc. */

import { readdirSync, readFileSync } from 'node:fs';

/** What `look` returns; undefined when what it looked at is gone or not ours to see. */
export function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

/** Fields of a process from its state on: state, parent, group. The name before it may itself contain anything. */
export function statOf(pid: number): readonly string[] | undefined {
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** Process group of a process. */
export function groupOf(pid: number): number | undefined {
  const group = statOf(pid)?.[2];
  return group === undefined ? undefined : Number(group);
}

/** Whether a member of the group is more than an entry that its parent has not asked for, as under a lazy init. */
export function groupExists(group: number): boolean {
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

/** Kills a group; false when there is none. */
export function killGroup(group: number): boolean {
  return attempt(() => process.kill(-group, 'SIGKILL')) ?? false;
}
