/**
 * Sets of nodes that move together, and their blockers, which do not depend on the node that was asked for. Computed
 * once for all plans. Each client of a bus moves the whole bus. Pure.
 */

import { reachedThrough } from './access.ts';
import type { DtNode } from './blob.ts';
import { type Blocker, ownBlockers, type Surroundings } from './blockers.ts';
import type { Board, Mover } from './board.ts';
import { consumersOutside, halvesOutside, sharedBlockers } from './sharing.ts';
import { isEnabled, isInUse, nodesBelow, textOf } from './tree.ts';

/** A moving device, and its blockers. */
export interface Findings {
  readonly mover: Mover;
  /** Blockers by the device itself. */
  readonly own: readonly Blocker[];
  /** Access that devices outside share with it. */
  readonly shared: readonly Blocker[];
  /** Devices outside that it serves. */
  readonly consumers: readonly Blocker[];
  /** Devices outside that it cannot work without. */
  readonly halves: readonly Blocker[];
}

/** A set of nodes that move together. */
export interface Moving {
  readonly around: Surroundings;
  readonly findings: ReadonlyMap<DtNode, Findings>;
}

/**
 * Returns the nodes that move when `wanted` is asked for, each with the reason: the wanted nodes, the bus controllers
 * on their way, and the parts of all these, in this order.
 */
export function membersOf(board: Board, wanted: readonly DtNode[]): ReadonlyMap<DtNode, string> {
  const found = new Map<DtNode, string>();
  for (const node of wanted) found.set(node, 'asked for');
  for (const node of wanted) {
    const via = reachedThrough(node);
    if (via !== undefined && !found.has(via)) found.set(via, `${node.name} is reached through it`);
  }
  for (const head of [...found.keys()])
    for (const part of partsOf(board, head)) if (!found.has(part)) found.set(part, `part of ${head.name}`);
  return found;
}

/** Returns the enabled devices below a node, in the order of the tree. */
function partsOf(board: Board, node: DtNode): ReadonlySet<DtNode> {
  return board.remembered('partsOf', node, () => {
    const below = [...nodesBelow(node)];
    return new Set(below.filter((part) => part !== node && isEnabled(part) && isDevice(board, part)));
  });
}

/**
 * Whether a node has registers or a place on a bus, or a driver and something to drive; mere data tables have a
 * `compatible` too.
 */
function isDevice(board: Board, node: DtNode): boolean {
  if (reachedThrough(node) === node) return true;
  const drives =
    node.properties.has('reg') || board.access(node).lines.length > 0 || board.needs(node).length > 0;
  return node.properties.has('compatible') && drives;
}

/** Returns the nodes that move when `wanted` is asked for, with their blockers. Cached as long as the board. */
export function movingOf(board: Board, wanted: readonly DtNode[], powerReset: boolean): Moving {
  const tops = topsOf(board, wanted);
  const name = ['movingOf', powerReset, ...tops.map(({ path }) => path)].join(' ');
  return board.remembered(name, tops[0] ?? board.tree.root, () => {
    const moved = new Set(tops.flatMap((top) => [top, ...partsOf(board, top)]));
    const around = surroundingsOf(board, moved, powerReset);
    return { around, findings: new Map([...moved].map((node) => [node, findingsOf(around, node)])) };
  });
}

/** Returns the nodes whose parts move with `wanted`, sorted by path: the same for every client of a bus. */
function topsOf(board: Board, wanted: readonly DtNode[]): readonly DtNode[] {
  const heads = [...new Set(wanted.flatMap((node) => [node, reachedThrough(node) ?? node]))];
  const tops = heads.filter((node) => !heads.some((other) => partsOf(board, other).has(node)));
  return tops.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function surroundingsOf(board: Board, moved: ReadonlySet<DtNode>, powerReset: boolean): Surroundings {
  const above = new Set<DtNode>();
  for (const node of moved)
    for (let at: DtNode | undefined = node; at !== undefined && !above.has(at); at = at.parent) above.add(at);
  const known = new Map<DtNode, boolean>();
  const inside = (node: DtNode | undefined): boolean => {
    if (node === undefined) return false;
    let found = known.get(node);
    if (found === undefined) {
      // A part that firmware uses belongs to another system, wherever it is.
      found = moved.has(node) || (textOf(node, 'status') !== 'reserved' && inside(node.parent));
      known.set(node, found);
    }
    return found;
  };
  const outside = (node: DtNode) => isInUse(node) && !above.has(node) && !inside(node);
  return { board, moved, inside, outside, powerReset };
}

function findingsOf(around: Surroundings, node: DtNode): Findings {
  const { board } = around;
  const mover = { node, access: board.access(node), needs: board.needs(node) };
  return {
    mover,
    own: ownBlockers(around, mover),
    shared: sharedBlockers(around, mover),
    consumers: consumersOutside(around, mover),
    halves: halvesOutside(around, mover),
  };
}
