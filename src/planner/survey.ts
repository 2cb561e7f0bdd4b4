/** The candidates of a board: every device that may be asked for, each planned by itself. Pure. */

import type { DtNode } from './blob.ts';
import { type Blocker, mayBeAccepted } from './blockers.ts';
import type { Board } from './board.ts';
import { type Mission, missionOf } from './mission.ts';
import { PLAIN } from './paint.ts';
import { blockersOf, type Choices, type Plan } from './plan.ts';
import { isWithin, textOf } from './tree.ts';

/**
 * Verdicts of a plan. `free`: nothing stands in the way. `unsure`: nothing else does, but whether a member without a
 * stream does DMA is unknown. `blocked`: something stands in the way.
 */
const VERDICTS = ['free', 'unsure', 'blocked'] as const;
export type Verdict = (typeof VERDICTS)[number];

export function verdictOf({ blockers }: Pick<Plan, 'blockers'>): Verdict {
  if (blockers.length === 0) return 'free';
  return blockers.every(({ kind }) => kind === 'unknownDma') ? 'unsure' : 'blocked';
}

/** A device with the blockers of a bundle of it alone. */
export interface Candidate {
  readonly node: DtNode;
  /** Its first `compatible`. */
  readonly compatible: string;
  readonly mission: Mission | undefined;
  readonly blockers: readonly Blocker[];
  readonly verdict: Verdict;
}

/** Returns the devices that a person may want to move: enabled, with a driver, and with their own line or stream. */
export function devicesOf(board: Board): readonly DtNode[] {
  const controllers = new Set<DtNode>();
  // A device with an interrupt controller only for its own parts, such as a display, is one; a controller for others is
  // not.
  for (const node of board.enabled)
    for (const { interrupt } of board.access(node).lines)
      if (!isWithin(node, interrupt.controller)) controllers.add(interrupt.controller);
  return board.enabled.filter((node) => {
    const { lines, streams } = board.access(node);
    const isDevice = textOf(node, 'compatible') !== undefined && (lines.length > 0 || streams.length > 0);
    return isDevice && !controllers.has(node);
  });
}

/** Returns all candidates: first those that can move, then by number of blockers, then in the order of the tree. */
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

/** Whether all blockers of a device may be accepted. */
export function isAcceptable({ blockers }: Pick<Plan, 'blockers'>): boolean {
  return blockers.length > 0 && blockers.every(mayBeAccepted);
}

/** Returns a candidate as one value: device, verdict, and blockers with their ways out. */
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
  unsure: 'Can move if they do no DMA, which is unknown (--accept noDma):',
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
