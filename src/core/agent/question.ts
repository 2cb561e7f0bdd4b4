/**
 * The question of an agent to its host, who holds a bundle: one at a time, known by its challenge.
 *
 * Said again in the same wait it is the same question, and bears the same challenge: else no answer would ever fit
 * where a round trip is longer than the timer. What else makes an agent ask is a new question, which an answer from
 * before it must not settle: news, and a timer that ends another wait, as that of a lease. An answer counts once.
 * Answers of an earlier session or life fail their tag.
 */

import type { Entropy } from '../../ports/world.ts';
import { sameBytes } from '../protocol/evidence.ts';
import { CHALLENGE_BYTES } from '../protocol/messages.ts';

type Effect = { readonly do: string; readonly timer?: string };

/** The open question about one bundle. */
export class Question {
  readonly #entropy: Entropy;
  #open: Uint8Array | undefined;
  /** Timers that asked in a wait that still goes on: the open question is not older than the first time they did. */
  readonly #waits = new Set<string>();
  #on = '';

  constructor(entropy: Entropy) {
    this.#entropy = entropy;
  }

  /** Told of each step before its effects, since one of them may be to ask. `on`: the input. */
  stepped(on: string, effects: readonly Effect[]): void {
    this.#on = on;
    for (const { do: what, timer } of effects) {
      if (what !== 'timer' && what !== 'stopTimer') continue;
      // Its wait is over, or another one begins.
      if (on !== `timer:${timer}`) this.#waits.delete(`timer:${timer}`);
      // Nobody waits for its answer any more: what is asked later is another question.
      if (what === 'stopTimer' && timer === 'query') this.#open = undefined;
    }
  }

  /** Returns the challenge to ask with. */
  ask(): Uint8Array {
    if (!this.#open || !this.#waits.has(this.#on)) this.#open = this.#entropy.random(CHALLENGE_BYTES);
    this.#waits.add('timer:query');
    if (this.#on.startsWith('timer:')) this.#waits.add(this.#on);
    return this.#open;
  }

  /** Returns whether the open question bore this challenge, and closes it if so. */
  isAnsweredBy(challenge: Uint8Array): boolean {
    if (!this.#open || !sameBytes(challenge, this.#open)) return false;
    this.#open = undefined;
    return true;
  }
}
