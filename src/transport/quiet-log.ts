/** Log lines that anybody on the network can cause: a few in a while, so that a flood fills no log. */

import type { Clock, Log, LogLevel } from '../ports.ts';

/** Most lines in a window: an agent that restarts a few times shows in full. */
const LINES_MAX = 10;
const WINDOW_MS = 10_000;

/** A log that a flood cannot fill. */
export class QuietLog {
  readonly #log: Log;
  readonly #clock: Clock;
  #windowMs = Number.NEGATIVE_INFINITY;
  #lines = 0;

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** Logs, unless too much was logged just now; the next line then says how many were left out. */
  line(level: LogLevel, message: string, fields: Readonly<Record<string, unknown>>): void {
    const nowMs = this.#clock.nowMs();
    let leftOut = 0;
    if (nowMs - this.#windowMs >= WINDOW_MS) {
      leftOut = Math.max(0, this.#lines - LINES_MAX);
      this.#windowMs = nowMs;
      this.#lines = 0;
    }
    this.#lines += 1;
    if (this.#lines > LINES_MAX) return;
    this.#log(level, message, leftOut === 0 ? fields : { ...fields, leftOut });
  }
}
