/** Looks for processes by their environment. */

import { readdirSync, readFileSync } from 'node:fs';
import { attempt, statOf } from '../../../targets/node/system/processes.ts';

/** Processes whose environment has `text`. */
export function withEnvironment(text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && statOf(Number(name))?.[0] !== 'Z')
    .filter((name) => attempt(() => readFileSync(`/proc/${name}/environ`, 'latin1'))?.includes(text))
    .map(Number);
}
