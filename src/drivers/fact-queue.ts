/**
 * Feeds facts to a core one at a time. What a fact leads to may bring further facts at once; they wait their turn, so
 * that a step is never torn.
 */

/** Longest queue of facts that wait. Each effect brings at most one; a step has fewer than 20. */
const FACTS_MAX = 10_000;

/** Facts that wait for their turn. */
export class FactQueue<F> {
  readonly #facts: F[] = [];
  readonly #take: (fact: F) => void;
  readonly #rested: () => void;
  #isRunning = false;
  #isStopped = false;

  /** `take` deals with one fact; `rested` is called when none waits any more. */
  constructor(take: (fact: F) => void, rested: () => void) {
    this.#take = take;
    this.#rested = rested;
  }

  /** Takes in a fact. Returns when it and everything that it caused at once was dealt with. */
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

  /** Drops what waits, and all later facts. */
  stop(): void {
    this.#isStopped = true;
    this.#facts.length = 0;
  }
}
