/**
 * Runs a program once: a text on its standard input, its output as the answer, within a time limit.
 *
 * Each run has its own process group. When the program ends or takes too long, the rest of its group is killed, and the
 * answer is passed on only when no process of the group is alive. A descendant with its own session is not reached and
 * not waited for, even if it keeps the output open. When this process ends, it kills its groups; when it is killed,
 * they live on, and only an inherited lock shows them.
 */

import type { Buffer } from 'node:buffer';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { groupExists } from './processes.ts';

/**
 * Longest waits, in ms, for the rest of the output after the program ended: it is in the pipe already. Two waits, since
 * a process that was not scheduled for longer than one runs its timers before it reads; it reads between the two.
 */
const OUTPUT_GRACES_MS = [40, 10] as const;
/** Longest wait for a killed group to end, in ms. A process in an uninterruptible wait outlives it. */
const GONE_MS = 1_000;
const LOOK_MS = 10;
/** Characters kept of the end of a program's standard error, which usually has the reason of a failure. */
const ERRORS_CHARS_MAX = 200;

/** A program to run. */
export interface RunOrder {
  readonly command: readonly string[];
  /** Text for its standard input. */
  readonly input: string;
  readonly limitMs: number;
  /** Longest output, in characters; a program that prints more has failed. */
  readonly outputCharsMax: number;
  /** Lock that the program inherits as descriptor 3 (inherited-lock.ts). */
  readonly lockFd?: number;
  /**
   * Called with the number of its process group before it gets its input. If this throws, the program gets no input and
   * is killed.
   */
  readonly onStarted?: (group: number) => void;
}

/** How a run ended. The error names the program. */
export type RunEnd =
  | { readonly ok: true; readonly output: string }
  | {
      readonly ok: false;
      readonly error: string;
      /** Part of it could not be ended, and may still act. */
      readonly lives?: true;
    };

/**
 * Runs a program. Calls `done` exactly once, after this function has returned. Returns a function that ends the run
 * early, as failed.
 */
export function runOnce(order: RunOrder, done: (end: RunEnd) => void): () => void {
  const { command, input, limitMs, outputCharsMax, lockFd } = order;
  const [program = '', ...args] = command;
  let child: ChildProcessWithoutNullStreams;
  try {
    const inherited = lockFd === undefined ? [] : [lockFd];
    const stdio = ['pipe', 'pipe', 'pipe', ...inherited] as ['pipe', 'pipe', 'pipe'];
    child = spawn(program, args, { stdio, detached: true });
  } catch (error) {
    // An impossible name, such as an empty one or one with a zero byte.
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
  // A program that does not read its input is reported by its exit status.
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
    // Remaining processes would act after the answer.
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

/** Programs of which a process may be alive. */
const live = new Set<ChildProcessWithoutNullStreams>();
process.on('exit', () => {
  for (const { pid } of live) killGroup(pid);
});

/** Calls back once, when the program has ended and its output was read, with the reason of a failure. */
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

/** Calls back when there was time to read the output of a program that has ended. */
export function afterOutput(done: () => void): void {
  setTimeout(() => setTimeout(done, OUTPUT_GRACES_MS[1]), OUTPUT_GRACES_MS[0]);
}

function killGroup(pid: number | undefined): void {
  signalGroup(pid, 'SIGKILL');
}

/** Returns whether the group still has a live member. */
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
