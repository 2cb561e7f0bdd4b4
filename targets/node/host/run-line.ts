/**
 * Runs an executable once per line: the line on its standard input, the answer on its standard output.
 *
 * The answer is passed on only when no process of the run's group is alive: a late grant must not take effect after a
 * later fence. For the same reason enforcer-lock.ts ends the runs of an earlier host before the first line. An
 * executable that starts a daemon must give it its own session, without descriptor 3; it is then not ended here.
 */

import type { RunLine } from '../../../src/edges/enforcer/kinds/command/command-enforcer.ts';
import { LINE_CHARS_MAX } from '../../../src/edges/enforcer/kinds/command/contract.ts';
import { runOnce } from '../system/run-once.ts';
import type { EnforcerLock } from './enforcer-lock.ts';

/**
 * Returns a RunLine for `command`. A call that has not ended after `limitMs` is killed. `lock`: lets a later run of the
 * host find a program that outlives this one.
 */
export function runLineCommand(
  command: readonly string[],
  limitMs: number,
  lock?: EnforcerLock,
  run: typeof runOnce = runOnce,
): RunLine {
  /** Set when a call could not be ended: this enforcer gets no more requests. */
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
