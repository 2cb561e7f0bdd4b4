/**
 * Runs an executable once per line: the line on its standard input, the answer on its standard output.
 *
 * The answer is given only when nothing of the run's process group lives: a late grant must not act behind a later
 * fence, and of an earlier host's run nothing lives when the first line is asked (enforcer-lock.ts). An executable that
 * starts a daemon has to give it a session of its own, without descriptor 3: it is then not ours to end.
 */

import type { RunLine } from '../../../src/edges/enforcer/kinds/command/command-enforcer.ts';
import { LINE_CHARS_MAX } from '../../../src/edges/enforcer/kinds/command/contract.ts';
import { runOnce } from '../system/run-once.ts';
import type { EnforcerLock } from './enforcer-lock.ts';

/**
 * Returns a RunLine for `command`. What a call has not done after `limitMs` it will not do. `lock`: by which a later
 * life of the host finds a run that outlives this one.
 */
export function runLineCommand(
  command: readonly string[],
  limitMs: number,
  lock?: EnforcerLock,
  run: typeof runOnce = runOnce,
): RunLine {
  /** Set when a call could not be ended: nothing may be asked of this enforcer any more. */
  let stuck: string | undefined;
  return (line, done) => {
    if (stuck !== undefined) return done({ ok: false, error: stuck });
    const bounds = { limitMs, outputCharsMax: 2 * LINE_CHARS_MAX };
    const traced = lock && {
      lockFd: lock.lock.fd,
      onStarted: (group: number) => lock.note.begin(group),
    };
    const order = { command, input: `${line}\n`, ...bounds, ...traced };
    run(order, (end) => {
      if (end.ok) return done({ ok: true, line: end.output.trimEnd() });
      if (end.lives) stuck = `${end.error}; restart the host when it is gone`;
      done({ ok: false, error: stuck ?? end.error });
    });
  };
}
