/** Runs a program that makes something for the testbed, to its end. */

import { spawnSync } from 'node:child_process';

/** Longest run, in ms: the first one fetches Debian's packages. */
const RUN_MS = 280_000;

/** Throws an Error with the end of what it printed when it fails. */
export function run(program: string, args: readonly string[]): void {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', timeout: RUN_MS });
  if (status === 0) return;
  const tail = `${stdout}${stderr}`.slice(-2_000);
  throw new Error(`${program} ${args.join(' ')}: status ${status} ${error?.message ?? ''}\n${tail}`);
}
