/**
 * Processes of a testbed and their descendants. One call ends them all, including those in their own sessions and those
 * of a start that failed midway. When this process is killed, a guardian ends them.
 */

import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { newMark, processesOf, startGuardian } from './marks.ts';
import { attempt } from './processes.ts';

/** Longest wait for processes to end after SIGKILL, and interval of the checks, in ms. */
const GONE_MS = 5_000;
const LOOK_MS = 10;

/** A set of processes that are ended together. */
export class Started {
  readonly #mark = newMark();
  readonly #children: ChildProcess[] = [];
  #guardian: ChildProcess | undefined;
  #ending: Promise<void> | undefined;

  /** The mark. Add it to the environment of a process that is not started by `spawn`. */
  get env(): Readonly<Record<string, string>> {
    return { [`BATON_STARTED_${this.#mark}`]: '1' };
  }

  /** From now on, all marked processes are ended when this process ends, in any way. */
  guard(): void {
    if (this.#guardian) return;
    const guardian = startGuardian(this.#mark, () => {});
    this.#guardian = guardian;
    // It does not keep this process running.
    guardian.unref();
    (guardian.stdin as { unref?: () => void } | null)?.unref?.();
  }

  /** Starts a program. Throws an Error after `end`, so that a start still under way starts nothing more. */
  spawn(program: string, args: readonly string[], options: SpawnOptions): ChildProcess {
    if (this.#ending) throw new Error(`${program} is not started: its testbed has been stopped`);
    this.guard();
    const child = spawn(program, args, { ...options, env: { ...(options.env ?? process.env), ...this.env } });
    this.#children.push(child);
    return child;
  }

  /**
   * Ends all marked processes: SIGTERM to those that were started here, last first, and SIGKILL to the rest after
   * `graceMs`. Throws an Error when a process outlives it.
   */
  end(graceMs: number): Promise<void> {
    this.#ending ??= this.#end(graceMs);
    return this.#ending;
  }

  async #end(graceMs: number): Promise<void> {
    for (const child of this.#children.reverse()) child.kill('SIGTERM');
    await Promise.all(this.#children.map((child) => ended(child, graceMs)));
    const endMs = performance.now() + GONE_MS;
    for (let left = this.#left(); left.length > 0; left = this.#left()) {
      for (const pid of left) attempt(() => process.kill(pid, 'SIGKILL'));
      if (performance.now() > endMs) throw new Error(`processes that cannot be ended: ${left.join(', ')}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    const guardian = this.#guardian;
    if (!guardian) return;
    guardian.ref();
    guardian.stdin?.end('done\n');
    await ended(guardian);
  }

  #left(): number[] {
    return processesOf(undefined, this.#mark).filter((pid) => pid !== process.pid);
  }
}

/** Resolves when a process has ended. Kills one that does not end by itself within `graceMs`. */
export function ended(child: ChildProcess, graceMs = 1_000): Promise<void> {
  // A process that could not be started need not be ended.
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined)
    return Promise.resolve();
  return new Promise((resolve) => {
    const limit = Number.isFinite(graceMs) ? setTimeout(() => child.kill('SIGKILL'), graceMs) : undefined;
    child.once('exit', () => {
      clearTimeout(limit);
      resolve();
    });
  });
}
