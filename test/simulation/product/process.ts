/**
 * A process of the simulated product: it can be stopped, continued, killed, or killed after its n-th effect on the
 * world. What it is made of reaches the world only through ports that ask here first.
 */

import type { Clock } from '../../../src/ports/world.ts';
import type { VirtualClock } from '../../../targets/lab/virtual-clock.ts';

type Work = () => void;

export class SimulatedProcess {
  readonly name: string;
  /** Time as this process sees it: while it is stopped its timers wait. */
  readonly clock: Clock;
  #isAlive = true;
  #isStopped = false;
  /** Effects that it still has; undefined: nobody is about to kill it. */
  #effectsLeft: number | undefined;
  readonly #onDeath: () => void;
  readonly #timers: Work[] = [];
  readonly #input: Work[] = [];

  /** `onDeath` is called once, by the clock, when the process was killed. */
  constructor(name: string, clock: VirtualClock, onDeath: () => void) {
    this.name = name;
    this.#onDeath = () => clock.after(0, onDeath);
    const after = (ms: number, fire: Work): Work => {
      let isCancelled = false;
      const cancel = clock.after(ms, () => this.#take(this.#timers, () => isCancelled || fire()));
      return () => {
        isCancelled = true;
        cancel();
      };
    };
    this.clock = { nowMs: () => clock.nowMs(), after, soon: (fire) => after(0, fire) };
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isRunning(): boolean {
    return this.#isAlive && !this.#isStopped;
  }

  /** Takes in what the world brings. A stopped process takes it when it goes on, a dead one never. */
  enter(work: Work): void {
    this.#take(this.#input, work);
  }

  /** Asked before each effect. False: the process is dead, and there is no effect. */
  mayAct(): boolean {
    if (this.#effectsLeft === undefined) return this.#isAlive;
    if (this.#isAlive && this.#effectsLeft === 0) this.kill();
    this.#effectsLeft -= 1;
    return this.#isAlive;
  }

  kill(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    this.#onDeath();
  }

  /** Kills it in place of the effect after the next `effects`. */
  killAfter(effects: number): void {
    this.#effectsLeft = effects;
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Goes on: timers that ran out first, then input, as the event loop of Node has it. */
  goOn(): void {
    this.#isStopped = false;
    for (const waiting of [this.#timers, this.#input])
      for (const work of waiting.splice(0)) this.#take(waiting, work);
  }

  #take(waiting: Work[], work: Work): void {
    if (!this.#isAlive) return;
    if (this.#isStopped) waiting.push(work);
    else work();
  }
}
