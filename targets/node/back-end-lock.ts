/**
 * Sees to it that nothing an earlier host ordered from a `command` back end is still carried out: a `grant` of it
 * would act behind the fence of this one. What runs is ended, as at its deadline; inspection then says what it did.
 */

import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../src/ports.ts';
import { type HeldLock, InheritedLock } from './inherited-lock.ts';
import { nameOfPath } from './name-lock.ts';

/** Longest wait for killed programs to be gone, in ms. What is in an uninterruptible wait outlives it. */
const GONE_MS = 2_000;
const LOOK_MS = 10;

/**
 * Returns the lock that each program of the back end has to inherit. Throws when programs of an earlier life cannot be
 * ended. `state`: the folder of the host's state, made and locked already.
 */
export async function lockBackEnd(state: string, log: Log): Promise<HeldLock> {
  const name = nameOfPath('back-end', realpathSync(state));
  const lock = new InheritedLock(name, join(state, 'back-end.lock'));
  const endMs = performance.now() + GONE_MS;
  for (;;) {
    const held = await lock.take();
    if (held !== undefined) {
      held.note();
      return held;
    }
    if (lock.evict() > 0) log('warn', 'ended a program of the back end that an earlier host had started');
    if (performance.now() > endMs) break;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  throw new Error(
    `${state}: a program of the back end that an earlier host started still runs, and cannot be ended (its lock is @${name} in /proc/net/unix); end it, then start again`,
  );
}
