/**
 * A clock whose time advances only on request, with the port of the real clock.
 *
 * Timers of the same moment fire in the order in which they were set.
 */

import type { Clock } from '../../src/ports/world.ts';

interface Waiting {
  readonly atMs: number;
  readonly order: number;
  readonly fire: () => void;
}

/** A clock for simulations. */
export class VirtualClock implements Clock {
  #nowMs = 0;
  #order = 0;
  readonly #waiting = new Set<Waiting>();

  nowMs(): number {
    return this.#nowMs;
  }

  after(ms: number, fire: () => void): () => void {
    this.#order += 1;
    const entry: Waiting = { atMs: this.#nowMs + Math.max(0, ms), order: this.#order, fire };
    this.#waiting.add(entry);
    return () => this.#waiting.delete(entry);
  }

  soon(fire: () => void): () => void {
    return this.after(0, fire);
  }

  /** Moment of the next timer, or undefined. */
  nextMs(): number | undefined {
    return this.#next()?.atMs;
  }

  /** Fires the next timer, if it is due by `untilMs`. Returns whether it did. */
  step(untilMs = Number.POSITIVE_INFINITY): boolean {
    const next = this.#next();
    if (!next || next.atMs > untilMs) return false;
    this.#waiting.delete(next);
    this.#nowMs = Math.max(this.#nowMs, next.atMs);
    next.fire();
    return true;
  }

  /** Moves time forward by `ms`, firing what falls due. Stops after `stepsMax` timers, with an error. */
  advance(ms: number, stepsMax = 100_000): void {
    const untilMs = this.#nowMs + ms;
    for (let steps = 0; this.step(untilMs); steps++) {
      if (steps >= stepsMax) throw new Error(`${stepsMax} timers fired within ${ms} ms of virtual time`);
    }
    this.#nowMs = untilMs;
  }

  #next(): Waiting | undefined {
    let best: Waiting | undefined;
    for (const entry of this.#waiting) {
      if (!best || entry.atMs < best.atMs || (entry.atMs === best.atMs && entry.order < best.order))
        best = entry;
    }
    return best;
  }
}
