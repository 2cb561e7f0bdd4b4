/**
 * Ensures that no order of an earlier host to a `command` enforcer is still being carried out: its `grant` would take
 * effect after a fence of this host. Running programs are ended, as at their deadline; inspection then shows what they
 * did.
 *
 * Two things identify them: a note of the process group of each run (run-note.ts), and a lock that the processes
 * inherit (inherited-lock.ts), which also shows those that left the group.
 */

import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../../src/ports/world.ts';
import { type HeldLock, InheritedLock } from '../system/inherited-lock.ts';
import { nameOfPath } from '../system/name-lock.ts';
import { killGroup } from '../system/processes.ts';
import { earlierRun, RunNote } from '../system/run-note.ts';

/** Longest wait for killed programs to end, in ms. A process in an uninterruptible wait outlives it. */
const GONE_MS = 2_000;
const LOOK_MS = 10;

/** What each run of the enforcer needs from the host. */
export interface EnforcerLock {
  /** Inherited by its processes as descriptor 3. */
  readonly lock: HeldLock;
  readonly note: RunNote;
}

/**
 * Returns the lock and the note for the runs of the enforcer. Throws when programs of an earlier run cannot be ended,
 * or when it is not known whose they are. `state`: the host's state folder, which exists and is locked.
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
    `${state}: a program of the enforcer that an earlier host started is still running and cannot be ` +
      `ended (${left}); end it, then start again`,
  );
}
