/**
 * The timers of a core, over a clock. Each has a name; starting it again moves its end.
 *
 * Before a timer fires, all ready events are processed. An answer that arrived in time but waited in a socket while
 * this process was stopped comes first, and may stop the timer.
 */

import type { Clock } from '../ports/world.ts';

interface Running {
  readonly endsMs: number;
  cancel: () => void;
}

/** Timers by name. */
export class TimerSet {
  readonly #clock: Clock;
  readonly #fire: (name: string, lateMs: number) => void;
  readonly #running = new Map<string, Running>();
  /**
   * Timers started (with their end) or stopped (undefined) since the last `apply`. Most are stopped by the next fact
   * already, and never reach the clock.
   */
  readonly #changed = new Map<string, number | undefined>();

  /** `fire`: a timer expired, `lateMs` after its end. */
  constructor(clock: Clock, fire: (name: string, lateMs: number) => void) {
    this.#clock = clock;
    this.#fire = fire;
  }

  /** Starts or restarts a timer. With `sooner`, one that expires earlier is kept. */
  start(name: string, ms: number, sooner = false): void {
    const endsMs = this.#clock.nowMs() + ms;
    const present = this.#changed.has(name) ? this.#changed.get(name) : this.#running.get(name)?.endsMs;
    if (!sooner || present === undefined || present > endsMs) this.#changed.set(name, endsMs);
  }

  stop(name: string): void {
    this.#changed.set(name, undefined);
  }

  /** Passes the changes to the clock. Called when no more facts wait. */
  apply(): void {
    if (this.#changed.size === 0) return;
    const nowMs = this.#clock.nowMs();
    for (const [name, endsMs] of this.#changed) {
      this.#running.get(name)?.cancel();
      this.#running.delete(name);
      if (endsMs === undefined) continue;
      const running: Running = { endsMs, cancel: () => {} };
      running.cancel = this.#clock.after(Math.ceil(endsMs - nowMs), () => this.#due(name, running));
      this.#running.set(name, running);
    }
    this.#changed.clear();
  }

  /** Stops all of them. */
  clear(): void {
    for (const { cancel } of this.#running.values()) cancel();
    this.#running.clear();
    this.#changed.clear();
  }

  #due(name: string, running: Running): void {
    const lateMs = Math.max(0, this.#clock.nowMs() - running.endsMs);
    running.cancel = this.#clock.soon(() => {
      this.#running.delete(name);
      this.#fire(name, lateMs);
    });
  }
}
