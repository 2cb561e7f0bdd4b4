/**
 * Searches the cheapest way out of a bundle's blockers: what else to ask for, and what to accept. Plans again with each
 * choice, cheapest first. Pure.
 */

import type { DtNode } from './blob.ts';
import { ACCEPT_WORDS, ACCEPTABLE, type Acceptable, type Blocker } from './blockers.ts';
import type { Board } from './board.ts';
import { blockersOf, type Choices } from './plan.ts';

/** A choice with which a bundle can move: the paths of all wanted nodes, and all accepted blockers. */
export interface WayOut {
  readonly ask: readonly string[];
  readonly accept: readonly Acceptable[];
}

/**
 * Most plans of one search: on mainline's boards up to ten suffice for devices that can move at all, and each plan
 * takes less than a millisecond.
 */
const PLANS_MAX = 64;

/** A choice that is not planned yet. */
interface Choice {
  readonly wanted: readonly DtNode[];
  readonly accept: readonly Acceptable[];
  readonly cost: number;
}

/**
 * Returns the cheapest way out; each additional device and each accepted blocker costs 1. Undefined if there is none
 * within the limit, or if a blocker has neither.
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
    // Every blocker must be resolved, so the search branches on any one: the one with the fewest ways out.
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
