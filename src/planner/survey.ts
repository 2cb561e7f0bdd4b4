/** What could be lent on a board at all: every device that somebody could ask for, planned by itself. Pure. */

import type { DtNode } from './blob.ts';
import { type Blocker, mayBeAccepted } from './blockers.ts';
import type { Board } from './board.ts';
import { type Mission, missionOf } from './mission.ts';
import { PLAIN } from './paint.ts';
import { blockersOf, type Choices, type Plan } from './plan.ts';
import { isWithin, textOf } from './tree.ts';

/**
 * What a plan comes to. `free`: nothing stands in the way. `unsure`: nothing does, but nobody knows whether a member
 * without a stream does DMA. `blocked`: something stands in the way.
 */
const VERDICTS = ['free', 'unsure', 'blocked'] as const;
export type Verdict = (typeof VERDICTS)[number];

export function verdictOf({ blockers }: Pick<Plan, 'blockers'>): Verdict {
  if (blockers.length === 0) return 'free';
  return blockers.every(({ kind }) => kind === 'unknownDma') ? 'unsure' : 'blocked';
}

/** A device with what stands in the way of a bundle of it alone. */
export interface Candidate {
  readonly node: DtNode;
  /** What it is: its first `compatible`. */
  readonly compatible: string;
  readonly mission: Mission | undefined;
  readonly blockers: readonly Blocker[];
  readonly verdict: Verdict;
}

/** Devices that somebody could want to move: enabled, with a driver, and with a line or a stream of their own. */
export function devicesOf(board: Board): readonly DtNode[] {
  const controllers = new Set<DtNode>();
  // An interrupt controller of its own parts, as a display has one, is a device; one of others is not.
  for (const node of board.enabled)
    for (const { interrupt } of board.access(node).lines)
      if (!isWithin(node, interrupt.controller)) controllers.add(interrupt.controller);
  return board.enabled.filter((node) => {
    const { lines, streams } = board.access(node);
    const isDevice = textOf(node, 'compatible') !== undefined && (lines.length > 0 || streams.length > 0);
    return isDevice && !controllers.has(node);
  });
}

/** All candidates: what can move first, then by the number of things in the way, then as in the tree. */
export function survey(board: Board, choices: Choices = {}): readonly Candidate[] {
  const found = devicesOf(board).map((node): Candidate => {
    const blockers = blockersOf(board, [node], choices);
    return {
      node,
      compatible: textOf(node, 'compatible')!,
      mission: missionOf(node),
      blockers,
      verdict: verdictOf({ blockers }),
    };
  });
  const rank = ({ verdict }: Candidate) => VERDICTS.indexOf(verdict);
  return found.sort((a, b) => rank(a) - rank(b) || a.blockers.length - b.blockers.length);
}

/** Whether everything that stands in the way of a device may be accepted. */
export function isAcceptable({ blockers }: Pick<Plan, 'blockers'>): boolean {
  return blockers.length > 0 && blockers.every(mayBeAccepted);
}

/** A candidate as one value: what it is, what it comes to, and what stands in the way with the ways out. */
export function surveyJson({ node, compatible, mission, verdict, blockers }: Candidate): object {
  return {
    node: node.path,
    compatible,
    mission: mission ?? null,
    verdict,
    acceptable: isAcceptable({ blockers }),
    blockers: blockers.map(({ kind, node: at, what, users, ways }) => ({
      kind,
      node: at,
      what,
      users,
      ways,
    })),
  };
}

const TITLES: Readonly<Record<Verdict | 'acceptable', string>> = {
  free: 'Can move:',
  unsure: 'Can move if they do no DMA, which nothing tells (--accept noDma):',
  acceptable: 'Can move when somebody accepts what stands in the way (--accept KIND):',
  blocked: 'Cannot move as they are, with how many things stand in the way, and of which kinds:',
};

/** Lines for a terminal, in groups. */
export function surveyLines(candidates: readonly Candidate[], paint = PLAIN): readonly string[] {
  const brushes = { free: paint.good, unsure: paint.warn, acceptable: paint.warn, blocked: paint.bad };
  const lines: string[] = [];
  const groupOf = (each: Candidate) =>
    each.verdict !== 'unsure' && isAcceptable(each) ? 'acceptable' : each.verdict;
  for (const verdict of ['free', 'unsure', 'acceptable', 'blocked'] as const) {
    const group = candidates.filter((each) => groupOf(each) === verdict);
    if (group.length === 0) continue;
    if (lines.length > 0) lines.push('');
    lines.push(brushes[verdict](TITLES[verdict]));
    for (const { node, compatible, blockers } of group) {
      const kinds = [...new Set(blockers.map(({ kind }) => kind))].join(', ');
      const count = verdict === 'blocked' ? `${String(blockers.length).padStart(4)}  ` : '  ';
      lines.push(`${count}${node.path}  ${compatible}${kinds && `  (${kinds})`}`);
    }
  }
  if (lines.length === 0)
    lines.push('No device of this tree has a driver and a line or a stream of its own.');
  return lines;
}
