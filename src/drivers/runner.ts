/**
 * Runs one table (core/protocol/table.ts) in the world: one input at a time, its effects in order, its timers by name.
 *
 * Inputs that arrive while effects are being carried out wait their turn, so a step is never torn. Used by the
 * agent and by the host service; it knows nothing of either.
 */

import type { Step, Table } from '../core/protocol/table.ts';
import type { Clock } from '../ports/world.ts';

/** Longest queue of waiting inputs. Each effect raises at most one; a step has fewer than 20. */
const QUEUE_MAX = 1_000;

/** What a runner needs of its owner. */
export interface RunnerOwner<S, I, E> {
  /**
   * Carries out one effect that is not a timer. Returning `'undo'` for the first effect of a step undoes the step:
   * the state is that of before, and no further effect is carried out.
   */
  perform(effect: E): unknown;
  /** Told after each step, before its effects. */
  onStep?(before: S, input: I, step: Step<S, E>): void;
}

type TimerEffect = {
  readonly do: 'timer';
  readonly timer: string;
  readonly ms: number;
  /** A timer of this name that runs out earlier stays. */
  readonly sooner?: true;
};
type StopEffect = { readonly do: 'stopTimer'; readonly timer: string };

/** The running instance of a table. */
export class Runner<S extends { name: string }, I extends { on: string }, C, E extends { do: string }> {
  state: S;
  readonly #table: Table<S, I, C, E>;
  readonly #config: C;
  readonly #clock: Clock;
  readonly #owner: RunnerOwner<S, I, E>;
  readonly #timers = new Map<string, { readonly endsMs: number; readonly cancel: () => void }>();
  /**
   * Timers started (with the moment of their end) or stopped (undefined) by the inputs at hand; most are stopped by
   * the next input already.
   */
  readonly #changed = new Map<string, number | undefined>();
  readonly #queue: I[] = [];
  #running = false;
  #stopped = false;

  constructor(table: Table<S, I, C, E>, initial: S, config: C, clock: Clock, owner: RunnerOwner<S, I, E>) {
    this.#table = table;
    this.state = initial;
    this.#config = config;
    this.#clock = clock;
    this.#owner = owner;
  }

  /** Takes in a fact. Returns when it and everything it caused at once has been dealt with. */
  feed(input: I): void {
    if (this.#stopped) return;
    if (this.#queue.length >= QUEUE_MAX) throw new Error(`${this.#table.title}: ${QUEUE_MAX} inputs wait`);
    this.#queue.push(input);
    if (this.#running) return;
    this.#running = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined && !this.#stopped; next = this.#queue.shift()) {
        this.#step(next);
      }
      this.#setTimers();
    } finally {
      this.#running = false;
    }
  }

  /** Stops all timers; later inputs are dropped. */
  stop(): void {
    this.#stopped = true;
    for (const { cancel } of this.#timers.values()) cancel();
    this.#timers.clear();
    this.#changed.clear();
  }

  #step(input: I): void {
    const before = this.state;
    const step = this.#table.run(before, input, this.#config);
    this.state = step.state;
    this.#owner.onStep?.(before, input, step);
    for (const effect of step.effects) {
      if (this.#stopped) return;
      if (effect.do === 'timer') this.#start(effect as unknown as TimerEffect);
      else if (effect.do === 'stopTimer')
        this.#changed.set((effect as unknown as StopEffect).timer, undefined);
      else if (this.#owner.perform(effect) === 'undo') {
        this.state = before;
        return;
      }
    }
  }

  #start({ timer, ms, sooner }: TimerEffect): void {
    const endsMs = this.#clock.nowMs() + ms;
    const present = this.#changed.has(timer) ? this.#changed.get(timer) : this.#timers.get(timer)?.endsMs;
    if (sooner && present !== undefined && present <= endsMs) return;
    this.#changed.set(timer, endsMs);
  }

  #setTimers(): void {
    if (this.#stopped || this.#changed.size === 0) return;
    const nowMs = this.#clock.nowMs();
    for (const [timer, endsMs] of this.#changed) {
      this.#timers.get(timer)?.cancel();
      this.#timers.delete(timer);
      if (endsMs === undefined) continue;
      const cancel = this.#clock.after(Math.ceil(endsMs - nowMs), () => this.#fire(timer));
      this.#timers.set(timer, { endsMs, cancel });
    }
    this.#changed.clear();
  }

  #fire(timer: string): void {
    this.#timers.delete(timer);
    this.feed({ on: `timer:${timer}`, nowMs: this.#clock.nowMs() } as unknown as I);
  }
}
