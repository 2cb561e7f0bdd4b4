/**
 * Runs a program once: a text on its standard input, what it prints as the answer, within a deadline.
 *
 * Each run is a process group of its own. When the program ends, or takes too long, all that is left of its group is
 * killed, and the answer is given only when nothing of the group lives. A descendant that made itself a session of
 * its own is out of reach: it is not waited for, even if it keeps the output open. When this process ends, it kills
 * the groups that it has; when it is killed itself, they live on, and only an inherited lock tells of them.
 */

import type { Buffer } from 'node:buffer';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { groupExists } from './processes.ts';

/**
 * Longest waits, in ms, for the rest of the output after the program ended: it is in the pipe already. Two, since a
 * process that had no processor for longer than one of them comes to its timers before it reads; between the two it
 * reads.
 */
const OUTPUT_GRACES_MS = [40, 10] as const;
/** Longest wait for a killed group to be gone. A process in an uninterruptible wait outlives it. */
const GONE_MS = 1_000;
const LOOK_MS = 10;
/** Characters kept of what a program says on its standard error: the end of it tells why it failed. */
const ERRORS_CHARS_MAX = 200;

/** A program to be run. */
export interface RunOrder {
  readonly command: readonly string[];
  /** Given on standard input. */
  readonly input: string;
  readonly limitMs: number;
  /** A program that prints more has failed. */
  readonly outputCharsMax: number;
  /** A lock that the program inherits as descriptor 3 (inherited-lock.ts). */
  readonly lockFd?: number;
  /** Told the number of its process group before it gets its input. When this throws, it gets none, and is killed. */
  readonly onStarted?: (group: number) => void;
}

/** How a run ended. The error names the program. */
export type RunEnd =
  | { readonly ok: true; readonly output: string }
  | {
      readonly ok: false;
      readonly error: string;
      /** Something of it could not be ended, and may still act. */
      readonly lives?: true;
    };

/** Runs a program; calls `done` exactly once, never before this returns. Returns what ends the run early, as failed. */
export function runOnce(order: RunOrder, done: (end: RunEnd) => void): () => void {
  const { command, input, limitMs, outputCharsMax, lockFd } = order;
  const [program = '', ...args] = command;
  let child: ChildProcessWithoutNullStreams;
  try {
    const inherited = lockFd === undefined ? [] : [lockFd];
    const stdio = ['pipe', 'pipe', 'pipe', ...inherited] as ['pipe', 'pipe', 'pipe'];
    child = spawn(program, args, { stdio, detached: true });
  } catch (error) {
    // A name that can be none, as an empty one or one with a zero byte.
    const failed = { ok: false, error: `${JSON.stringify(program)}: ${(error as Error).message}` } as const;
    setImmediate(() => done(failed));
    return () => {};
  }
  live.add(child);
  let output = '';
  let errors = '';
  let failure: string | undefined;
  const limit = setTimeout(() => {
    failure ??= `no answer within ${limitMs} ms`;
    killGroup(child.pid);
  }, limitMs);
  child.stdout.on('data', (bytes: Buffer) => {
    if (output.length > outputCharsMax) return;
    output += bytes.toString();
    if (output.length <= outputCharsMax) return;
    failure ??= 'its answer is too long';
    killGroup(child.pid);
  });
  child.stderr.on('data', (bytes: Buffer) => {
    errors = (errors + bytes.toString()).slice(-ERRORS_CHARS_MAX);
  });
  // A program that does not read its input is told by its exit.
  child.stdin.on('error', () => {});
  try {
    if (child.pid !== undefined) order.onStarted?.(child.pid);
    child.stdin.end(input);
  } catch (error) {
    failure = (error as Error).message;
    killGroup(child.pid);
  }
  whenEnded(child, (why) => {
    clearTimeout(limit);
    failure ??= why;
    // What the program left behind would act later, in nobody's name.
    killGroup(child.pid);
    whenGone(child.pid, (gone) => {
      if (gone) live.delete(child);
      if (!gone) return done({ ok: false, error: `${program}: a run of it cannot be ended`, lives: true });
      if (failure === undefined) return done({ ok: true, output });
      done({ ok: false, error: `${program}: ${errors ? `${failure}: ${errors.trim()}` : failure}` });
    });
  });
  return () => {
    failure ??= 'no longer wanted';
    if (live.has(child)) killGroup(child.pid);
  };
}

/** Programs of which something may live. */
const live = new Set<ChildProcessWithoutNullStreams>();
process.on('exit', () => {
  for (const { pid } of live) killGroup(pid);
});

/** Calls back once, when the program has ended and its output was read, with why it failed. */
function whenEnded(child: ChildProcessWithoutNullStreams, ended: (why: string | undefined) => void): void {
  let isOver = false;
  const end = (why: string | undefined) => {
    if (isOver) return;
    isOver = true;
    child.stdout.destroy();
    child.stderr.destroy();
    ended(why);
  };
  child.once('error', (error) => end(error.message));
  child.once('exit', (status, signal) => {
    const why = status === 0 ? undefined : signal ? `ended by ${signal}` : `status ${status}`;
    child.once('close', () => end(why));
    afterOutput(() => end(why));
  });
}

/** Calls back when what a program that ended has printed had time to be read. */
export function afterOutput(done: () => void): void {
  setTimeout(() => setTimeout(done, OUTPUT_GRACES_MS[1]), OUTPUT_GRACES_MS[0]);
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
    if (!signalGroup(pid, 0) || !groupExists(pid!)) return done(true);
    if (performance.now() > endMs) return done(false);
    setTimeout(look, LOOK_MS);
  };
  look();
}
