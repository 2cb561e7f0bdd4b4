/**
 * The question of an agent to its host, who holds a bundle: one at a time, known by its challenge. Pure.
 *
 * A retry reuses its challenge: else no answer would ever fit where a round trip is longer than the timer. News, and a
 * timer that ends another wait (as that of a lease), make a new question: an answer from before must not settle it. An
 * answer counts once. Answers of an earlier session or incarnation fail their tag.
 */

import { OWNER_TIMERS } from '../protocol/timers.ts';

/** Longest time between two tries, in ms: each wakes a guest that may be idle. */
const AGAIN_MAX_MS = 60_000;
/** Tries before the time between them grows. */
const STEADY_TRIES = 8;

/** The open question about one bundle. Immutable. */
export interface Question {
  /** Number of the open question; 0: none is open. */
  readonly open: number;
  /** Timers that asked in a wait that still goes on: the open question is not older than the first time they did. */
  readonly waits: readonly string[];
  /** How often it was asked in a row without an answer. */
  readonly tries: number;
}

export const NO_QUESTION: Question = { open: 0, waits: [], tries: 0 };

type Effect = { readonly do: string; readonly timer?: string };

/** Returns the question after a step on the input `on`, whose effects are still to come. */
export function stepped(question: Question, on: string, effects: readonly Effect[]): Question {
  let next = question;
  for (const { do: what, timer } of effects) {
    if (what !== 'timer' && what !== 'stopTimer') continue;
    // Its wait is over, or another one begins.
    const name = `timer:${timer}`;
    if (on !== name && next.waits.includes(name))
      next = { ...next, waits: next.waits.filter((wait) => wait !== name) };
    // Nobody waits for its answer any more: what is asked later is another question.
    if (what === 'stopTimer' && timer === 'query' && next.open !== 0) next = { ...next, open: 0, tries: 0 };
  }
  return next;
}

/** Returns the question as it is asked now. `fresh`: a number that was never used. */
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

/** Returns the question after its answer. */
export function answered(question: Question): Question {
  return { ...question, open: 0, tries: 0 };
}

/** Returns after how many ms a question without an answer is asked again. */
export function againMs({ tries }: Question): number {
  return Math.min(OWNER_TIMERS.query * 2 ** Math.max(0, tries - STEADY_TRIES), AGAIN_MAX_MS);
}
