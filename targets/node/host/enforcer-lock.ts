/**
 * Sees to it that nothing an earlier host ordered from a `command` enforcer is still carried out: a `grant` of it
 * would act behind the fence of this one. What runs is ended, as at its deadline; inspection then says what it did.
 *
 * Two things tell of it: a note of the process group of each run (run-note.ts), and a lock that its processes inherit
 * (inherited-lock.ts), which also tells of those that left the group.
 */

import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../../src/ports/world.ts';
import { type HeldLock, InheritedLock } from '../system/inherited-lock.ts';
import { nameOfPath } from '../system/name-lock.ts';
import { killGroup } from '../system/processes.ts';
import { earlierRun, RunNote } from '../system/run-note.ts';

/** Longest wait for killed programs to be gone, in ms. What is in an uninterruptible wait outlives it. */
const GONE_MS = 2_000;
const LOOK_MS = 10;

/** What each run of the enforcer needs. */
export interface EnforcerLock {
  /** To be inherited by its processes as descriptor 3. */
  readonly lock: HeldLock;
  readonly note: RunNote;
}

/**
 * Returns what each run of the enforcer has to have. Throws when programs of an earlier run cannot be ended, or when
 * it cannot be told whose they are. `state`: the folder of the host's state, made and locked already.
 */
export async function lockEnforcer(state: string, log: Log): Promise<EnforcerLock> {
  const notePath = join(state, 'enforcer.run');
  const inherited = new InheritedLock(
    nameOfPath('enforcer', realpathSync(state)),
    join(state, 'enforcer.lock'),
  );
  const endMs = performance.now() + GONE_MS;
  let left = '';
  for (;;) {
    const run = earlierRun(notePath);
    const lock = run === undefined ? await inherited.take() : undefined;
    if (lock !== undefined) {
      lock.note();
      return { lock, note: new RunNote(notePath) };
    }
    const ended = (run?.isOurs && killGroup(run.group) ? 1 : 0) + inherited.evict();
    if (ended > 0) log('warn', 'ended a program of the enforcer that an earlier host had started');
    left = run ? `its process group is ${run.group}` : 'ss -xlp shows who has a name @baton-enforcer-…';
    if (performance.now() > endMs) break;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  throw new Error(
    `${state}: a program of the enforcer that an earlier host started still runs, and cannot be ` +
      `ended (${left}); end it, then start again`,
  );
}
