/**
 * Processes of a testbed, with everything that they start: one call ends them all, also those in sessions of their own
 * and those that a start which failed midway has left. When this process is killed, a guardian ends them.
 */

import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { newMark, processesOf, startGuardian } from './marks.ts';
import { attempt } from './processes.ts';

/** Longest wait for processes to be gone after SIGKILL, and time between two looks, in ms. */
const GONE_MS = 5_000;
const LOOK_MS = 10;

/** What belongs together and is ended together. */
export class Started {
  readonly #mark = newMark();
  readonly #children: ChildProcess[] = [];
  #guardian: ChildProcess | undefined;
  #ending: Promise<void> | undefined;

  /** What marks a process: add it to the environment of one that is started by other means than `spawn`. */
  get env(): Readonly<Record<string, string>> {
    return { [`BATON_STARTED_${this.#mark}`]: '1' };
  }

  /** From now on, everything that is marked is ended when this process ends, however it ends. */
  guard(): void {
    if (this.#guardian) return;
    const guardian = startGuardian(this.#mark, () => {});
    this.#guardian = guardian;
    // Nobody waits for it.
    guardian.unref();
    (guardian.stdin as { unref?: () => void } | null)?.unref?.();
  }

  /** Starts a program. Throws an Error after `end`: a start that goes on in the background starts nothing more. */
  spawn(program: string, args: readonly string[], options: SpawnOptions): ChildProcess {
    if (this.#ending) throw new Error(`${program} is not started: its testbed has been stopped`);
    this.guard();
    const child = spawn(program, args, { ...options, env: { ...(options.env ?? process.env), ...this.env } });
    this.#children.push(child);
    return child;
  }

  /**
   * Ends everything that is marked: SIGTERM to what was started here, the last first, and SIGKILL to what is left
   * after `graceMs`. Throws an Error when a process lives on.
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

/** Resolves when a process is over. One that does not end by itself within `graceMs` is ended. */
export function ended(child: ChildProcess, graceMs = 1_000): Promise<void> {
  // One that could not be started has nothing to end.
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
