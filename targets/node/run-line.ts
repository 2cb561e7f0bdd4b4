/**
 * Runs an executable once per line: the line on its standard input, the answer on its standard output.
 *
 * Each call is a process group of its own. A call that takes too long is killed with all it started, and its answer
 * is given only when nothing of it lives: a late grant must not act behind a later fence.
 */

import { spawn } from 'node:child_process';
import type { RunLine } from '../../src/enforcer/command.ts';
import { LINE_CHARS_MAX } from '../../src/enforcer/command-contract.ts';

/** Time one call has by default. Below the host's own deadline for a phase, so that its error is the one seen. */
const LIMIT_MS = 2_500;
/** Longest wait for a killed group to be gone. A process in an uninterruptible wait outlives it. */
const GONE_MS = 1_000;
const LOOK_MS = 10;

/** Returns a RunLine for `command`. What a call has not done after `limitMs` it will not do. */
export function runLineCommand(command: readonly string[], limitMs = LIMIT_MS): RunLine {
  /** Set when a call could not be ended: nothing may be asked of this back end any more. */
  let stuck: string | undefined;
  return (line, done) => {
    if (stuck !== undefined) return done({ ok: false, error: stuck });
    const [program = '', ...args] = command;
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    let output = '';
    let errors = '';
    let failure: string | undefined;
    const limit = setTimeout(() => {
      failure = `no answer within ${limitMs} ms`;
      killGroup(child.pid);
    }, limitMs);
    child.stdout.on('data', (bytes: Buffer) => {
      output += bytes.toString();
      if (output.length <= 2 * LINE_CHARS_MAX) return;
      failure ??= 'its answer is too long';
      killGroup(child.pid);
    });
    child.stderr.on('data', (bytes: Buffer) => {
      errors = (errors + bytes.toString()).slice(-200);
    });
    child.once('error', (error) => {
      failure ??= error.message;
    });
    child.once('close', (status, signal) => {
      clearTimeout(limit);
      if (status !== 0) failure ??= signal ? `ended by ${signal}` : `status ${status}`;
      // What the executable left behind would act later, in nobody's name.
      killGroup(child.pid);
      whenGone(child.pid, (gone) => {
        if (!gone) stuck = `a call of ${program} cannot be ended; restart the host when it is gone`;
        if (stuck !== undefined) return done({ ok: false, error: stuck });
        if (failure === undefined) return done({ ok: true, line: output.trimEnd() });
        done({ ok: false, error: errors ? `${failure}: ${errors.trim()}` : failure });
      });
    });
    // An executable that does not read its input is told by its exit.
    child.stdin.on('error', () => {});
    child.stdin.end(`${line}\n`);
  };
}

function killGroup(pid: number | undefined): void {
  signalGroup(pid, 'SIGKILL');
}

/** Returns whether the group still has a member. */
function signalGroup(pid: number | undefined, signal: 'SIGKILL' | 0): boolean {
  if (pid === undefined) return false;
  try {
    return process.kill(-pid, signal);
  } catch {
    return false;
  }
}

function whenGone(pid: number | undefined, done: (gone: boolean) => void): void {
  const endMs = performance.now() + GONE_MS;
  const look = () => {
    if (!signalGroup(pid, 0)) return done(true);
    if (performance.now() > endMs) return done(false);
    setTimeout(look, LOOK_MS);
  };
  look();
}
