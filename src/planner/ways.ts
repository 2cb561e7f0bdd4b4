/**
 * The way out of what stands in the way of a bundle: what else to ask for, and what to accept, so that nothing does.
 * Found by planning again, the cheapest choice first. Pure.
 */

import type { DtNode } from './blob.ts';
import { ACCEPT_WORDS, ACCEPTABLE, type Acceptable, type Blocker } from './blockers.ts';
import type { Board } from './board.ts';
import { blockersOf, type Choices } from './plan.ts';

/** A choice by which a bundle can move: paths of all that is asked for, and all that is accepted. */
export interface WayOut {
  readonly ask: readonly string[];
  readonly accept: readonly Acceptable[];
}

/**
 * Most plans that one search makes: the boards of mainline take up to ten for what can be moved at all, and each plan
 * takes less than a millisecond.
 */
const PLANS_MAX = 64;

/** A choice that is still to be planned. */
interface Choice {
  readonly wanted: readonly DtNode[];
  readonly accept: readonly Acceptable[];
  readonly cost: number;
}

/**
 * Returns the cheapest way out: each device more and each thing accepted counts once. Undefined where there is none
 * within 64 plans: some blocker has neither.
 */
export function wayOut(board: Board, wanted: readonly DtNode[], choices: Choices): WayOut | undefined {
  const open: Choice[] = [{ wanted, accept: choices.accept ?? [], cost: 0 }];
  const seen = new Set<string>();
  for (let plans = 0; plans < PLANS_MAX && open.length > 0; ) {
    open.sort((a, b) => a.cost - b.cost);
    const choice = open.shift()!;
    const key = keyOf(choice);
    if (seen.has(key)) continue;
    seen.add(key);
    plans++;
    const blockers = blockersOf(board, choice.wanted, { ...choices, accept: choice.accept });
    if (blockers.length === 0) return { ask: choice.wanted.map(({ path }) => path), accept: choice.accept };
    // Each of them has to be answered, so any one will do to go on from: the one with the fewest answers.
    const answers = blockers.map((blocker) => answersTo(board, choice, blocker));
    open.push(...answers.reduce((least, each) => (each.length < least.length ? each : least)));
  }
  return undefined;
}

function keyOf({ wanted, accept }: Choice): string {
  return [...wanted.map(({ path }) => path).sort(), '', ...[...accept].sort()].join(' ');
}

function answersTo(
  board: Board,
  { wanted, accept, cost }: Choice,
  { kind, ask }: Blocker,
): readonly Choice[] {
  const found: Choice[] = [];
  const more = ask.flatMap((path) => {
    const node = board.tree.find(path);
    return node && !wanted.includes(node) ? [node] : [];
  });
  if (more.length > 0) found.push({ wanted: [...wanted, ...more], accept, cost: cost + more.length });
  for (const word of ACCEPT_WORDS)
    if (ACCEPTABLE[word] === kind && !accept.includes(word))
      found.push({ wanted, accept: [...accept, word], cost: cost + 1 });
  return found;
}
