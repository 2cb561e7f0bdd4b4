/** Runs an executable once per line: the line on its standard input, the answer on its standard output. */

import { execFile } from 'node:child_process';
import type { RunLine } from '../../src/enforcer/command.ts';
import { LINE_CHARS_MAX } from '../../src/enforcer/command-contract.ts';

/** Time one call has by default. Below the host's own deadline for a phase, so that its error is the one seen. */
const LIMIT_MS = 2_500;

/** Returns a RunLine for `command`. The executable is killed after `limitMs`. */
export function runLineCommand(command: readonly string[], limitMs = LIMIT_MS): RunLine {
  const [program = '', ...args] = command;
  const options = { timeout: limitMs, killSignal: 'SIGKILL', maxBuffer: 2 * LINE_CHARS_MAX } as const;
  return (line, done) => {
    const child = execFile(program, args, options, (error, output, errors) => {
      if (!error) return done({ ok: true, line: output.trimEnd() });
      const why = child.killed ? `no answer within ${limitMs} ms` : error.message.split('\n')[0]!;
      done({ ok: false, error: `${why}${errors ? `: ${errors.trim().slice(-200)}` : ''}` });
    });
    // An executable that does not read its input is told by its exit.
    child.stdin?.on('error', () => {});
    child.stdin?.end(`${line}\n`);
  };
}
