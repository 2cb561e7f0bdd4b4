/**
 * The open query of an agent to the host about one bundle, identified by its challenge. Pure.
 *
 * A retry reuses its challenge, since a round trip may be longer than the timer. A new input, and a timer that ends
 * another wait (such as the lease), draw a new one: an answer from before must not settle it. An answer counts once.
 * Answers of an earlier session or incarnation fail verification.
 */

import { CHALLENGE_BYTES } from '../protocol/messages.ts';
import { OWNER_TIMERS } from '../protocol/timers.ts';

/** Longest time between two retries, in ms. Each wakes a guest that may be idle. */
const AGAIN_MAX_MS = 60_000;
/** Retries before the time between them grows. */
const STEADY_TRIES = 8;

/** The open query about one bundle. Immutable. */
export interface Question {
  /** Number of the open query; 0: none. */
  readonly open: number;
  /** Timers that queried in a wait that still runs. The open query is at least as recent as their first one. */
  readonly waits: readonly string[];
  /** Number of attempts in a row without an answer. */
  readonly tries: number;
}

export const NO_QUESTION: Question = { open: 0, waits: [], tries: 0 };

type Effect = { readonly do: string; readonly timer?: string };

/** Returns the query after a step on input `on` with these effects. */
export function stepped(question: Question, on: string, effects: readonly Effect[]): Question {
  let next = question;
  for (const { do: what, timer } of effects) {
    if (what !== 'timer' && what !== 'stopTimer') continue;
    // Its wait is over, or a new one starts.
    const name = `timer:${timer}`;
    if (on !== name && next.waits.includes(name))
      next = { ...next, waits: next.waits.filter((wait) => wait !== name) };
    // The answer is no longer needed: the next query is a new one.
    if (what === 'stopTimer' && timer === 'query' && next.open !== 0) next = { ...next, open: 0, tries: 0 };
  }
  return next;
}

/** Returns the query as it is sent now. `fresh`: a number that was never used. */
export function asked(question: Question, on: string, fresh: number): Question {
  const isRetry = question.open !== 0 && question.waits.includes(on);
  const waits = new Set([...question.waits, 'timer:query']);
  if (on.startsWith('timer:')) waits.add(on);
  return {
    open: isRetry ? question.open : fresh,
    waits: [...waits],
    tries: on === 'timer:query' ? question.tries + 1 : 1,
  };
}

/** Returns the query after its answer. */
export function answered(question: Question): Question {
  return { ...question, open: 0, tries: 0 };
}

/** Returns the time until an unanswered query is repeated, in ms. */
export function againMs({ tries }: Question): number {
  return Math.min(OWNER_TIMERS.query * 2 ** Math.max(0, tries - STEADY_TRIES), AGAIN_MAX_MS);
}

/** Returns the challenge of query `number`: the random start value of this process, `start`, plus `number`. */
export function challengeOf(start: Uint8Array, number: number): Uint8Array {
  const challenge = start.slice(0, CHALLENGE_BYTES);
  const view = new DataView(challenge.buffer);
  view.setUint32(0, (view.getUint32(0) + number) >>> 0);
  return challenge;
}
