/** Feeds facts to a core one at a time. Facts that a step causes are queued, so that a step is never interrupted. */

/** Longest queue. Each effect adds at most one fact; a step has fewer than 20 effects. */
const FACTS_MAX = 10_000;

/** Facts that wait for their turn. */
export class FactQueue<F> {
  readonly #facts: F[] = [];
  readonly #take: (fact: F) => void;
  readonly #rested: () => void;
  #isRunning = false;
  #isStopped = false;

  /** `take` processes one fact; `rested` is called when the queue is empty. */
  constructor(take: (fact: F) => void, rested: () => void) {
    this.#take = take;
    this.#rested = rested;
  }

  /** Adds a fact. Returns when it and all facts that it caused at once are processed. */
  feed(fact: F): void {
    if (this.#isStopped) return;
    if (this.#facts.length >= FACTS_MAX) throw new Error(`${FACTS_MAX} facts wait`);
    this.#facts.push(fact);
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      for (let next = this.#facts.shift(); next !== undefined && !this.#isStopped; next = this.#facts.shift())
        this.#take(next);
      if (!this.#isStopped) this.#rested();
    } finally {
      this.#isRunning = false;
    }
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Drops the queue, and all later facts. */
  stop(): void {
    this.#isStopped = true;
    this.#facts.length = 0;
  }
}
