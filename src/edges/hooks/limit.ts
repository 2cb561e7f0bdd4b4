/**
 * Time limits of steps, and the error type of steps.
 *
 * Work that cannot be stopped (a write blocked in a driver) is abandoned but tracked: the run keeps its lock until
 * the work has ended, so that nothing else runs meanwhile.
 */

import type { Clock } from '../../ports/world.ts';

/** Why a step failed. The message is for people. */
export class StepError extends Error {
  override readonly name = 'StepError';
  /** The time limit interrupted the step, and its effect is unknown. */
  readonly timedOut: boolean;
  /** The step may have changed something, so it is undone like a completed one. */
  readonly mayHaveActed: boolean;

  constructor(message: string, marks: { readonly timedOut?: boolean; readonly mayHaveActed: boolean }) {
    super(message);
    this.timedOut = marks.timedOut ?? false;
    this.mayHaveActed = marks.mayHaveActed;
  }
}

/** Returns any error of a step as a StepError; another type means that nothing was changed. */
export function stepError(error: unknown): StepError {
  return error instanceof StepError ? error : new StepError(messageOf(error), { mayHaveActed: false });
}

/** Returns the message of an error. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Milliseconds since a moment, to the microsecond. */
export function tookMs(clock: Clock, startMs: number): number {
  return Math.round((clock.nowMs() - startMs) * 1000) / 1000;
}

/** Resolves after `ms` milliseconds. */
export function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.after(ms, resolve));
}

/** Result of `within` when the time limit came first. */
export const LATE: unique symbol = Symbol('late');

/** Resolves or rejects as `work` does, or with LATE after `ms` milliseconds. */
export function within<T>(clock: Clock, ms: number, work: Promise<T>): Promise<T | typeof LATE> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(ms, () => resolve(LATE));
    work.then(resolve, reject).finally(cancel);
  });
}

/** The time limit of one step. */
export class Limit {
  readonly ms: number;
  readonly #clock: Clock;
  readonly #endMs: number;
  readonly #leftovers: Set<Promise<unknown>>;

  /** Starts now. Abandoned work is added to `leftovers` until it ends. */
  constructor(clock: Clock, ms: number, leftovers: Set<Promise<unknown>>) {
    this.ms = ms;
    this.#clock = clock;
    this.#endMs = clock.nowMs() + ms;
    this.#leftovers = leftovers;
  }

  get leftMs(): number {
    return Math.max(0, this.#endMs - this.#clock.nowMs());
  }

  get isOver(): boolean {
    return this.leftMs === 0;
  }

  /**
   * Starts work that cannot be stopped and waits for it. Rejects with a StepError named after `what` at the limit; no
   * work can be started after it.
   */
  async wait<T>(start: () => Promise<T>, what: string): Promise<T> {
    const late = (mayHaveActed: boolean) =>
      new StepError(`${what}: no end within ${this.ms} ms`, { timedOut: true, mayHaveActed });
    if (this.isOver) throw late(false);
    const work = start();
    const ended = work.then(
      () => {},
      () => {},
    );
    const result = await within(this.#clock, this.leftMs, work);
    if (result !== LATE) return result;
    this.#leftovers.add(ended);
    void ended.then(() => this.#leftovers.delete(ended));
    throw late(true);
  }

  /** Sleeps, at most until the limit. */
  sleep(ms: number): Promise<void> {
    return pause(this.#clock, Math.min(ms, this.leftMs));
  }
}
