/**
 * Runs an executable once per line: the line on its standard input, the answer on its standard output.
 *
 * The answer is given only when nothing of the run's process group lives: a late grant must not act behind a later
 * fence. An executable that starts a daemon has to give it a session of its own, which is then not ours to end.
 */

import { BACK_END_LIMIT_MS } from '../../src/config/daemon-config.ts';
import type { RunLine } from '../../src/enforcer/command.ts';
import { LINE_CHARS_MAX } from '../../src/enforcer/command-contract.ts';
import { runOnce } from './run-once.ts';

/** Returns a RunLine for `command`. What a call has not done after `limitMs` it will not do. */
export function runLineCommand(command: readonly string[], limitMs = BACK_END_LIMIT_MS): RunLine {
  /** Set when a call could not be ended: nothing may be asked of this back end any more. */
  let stuck: string | undefined;
  return (line, done) => {
    if (stuck !== undefined) return done({ ok: false, error: stuck });
    const order = { command, input: `${line}\n`, limitMs, outputCharsMax: 2 * LINE_CHARS_MAX };
    runOnce(order, (end) => {
      if (end.ok) return done({ ok: true, line: end.output.trimEnd() });
      if (end.lives) stuck = `${end.error}; restart the host when it is gone`;
      done({ ok: false, error: stuck ?? end.error });
    });
  };
}
