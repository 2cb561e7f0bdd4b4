/**
 * Two revisions of a board: did the new one break isolation? Devices are the same when their paths are. Pure.
 *
 * Worse is any change that makes a bundle unsafe or impossible: a new blocker, another device that shares, a lost
 * reset, a missing device that could move. Changed numbers are not worse, but a bundle file with the old ones is
 * outdated.
 */

import type { DtNode } from './blob.ts';
import type { Blocker, BlockerKind } from './blockers.ts';
import type { Board } from './board.ts';
import type { Member } from './definition.ts';
import { blockerLines, type Item, itemsOf } from './describe.ts';
import { PLAIN } from './paint.ts';
import { type Choices, type Plan, planBundle } from './plan.ts';
import { devicesOf, type Verdict, verdictOf } from './survey.ts';
import { isEnabled, textOf } from './tree.ts';

/** Grades of a change, worst first. */
export const GRADES = ['worse', 'better', 'changed', 'gone', 'new', 'same'] as const;
export type Grade = (typeof GRADES)[number];

/** Something that a bundle has in only one revision. */
export interface Change {
  readonly sign: '+' | '-';
  readonly kind: Item['kind'] | 'member';
  /** Path of the member. */
  readonly member: string;
  readonly text: string;
}

/** Verdict of the plan, if there was one: disabled nodes are not planned. */
export type State = Verdict | 'absent' | 'disabled';

export interface DeviceDiff {
  /** Paths of what was asked for. */
  readonly nodes: readonly string[];
  readonly before: State;
  readonly after: State;
  readonly grade: Grade;
  /** Blockers of only the new revision, and of only the old one, with the users that came or went. */
  readonly came: readonly Blocker[];
  readonly went: readonly Blocker[];
  readonly changes: readonly Change[];
  /** Probable new place of the device: same driver, same registers. */
  readonly perhaps: string | undefined;
}

/** Compares every device that may be asked for on either board. Worst first, then in the order of the trees. */
export function diffBoards(before: Board, after: Board, choices: Choices = {}): readonly DeviceDiff[] {
  const devices = new Map([...devicesOf(before), ...devicesOf(after)].map((node) => [node.path, node]));
  const found = [...devices.keys()].map((path) => {
    const [old, now] = [before.tree.find(path), after.tree.find(path)];
    const diff = diffSides([path], sideOf(before, [old], choices), sideOf(after, [now], choices));
    return old && !now ? { ...diff, perhaps: likeOf(before, old, after) } : diff;
  });
  const rank = ({ grade, before: was }: DeviceDiff) =>
    GRADES.indexOf(grade) * 2 + (was === 'blocked' ? 1 : 0);
  return found.sort((a, b) => rank(a) - rank(b));
}

/** Compares one bundle on both boards. Nodes that a board lacks are undefined there. */
export function diffBundle(
  names: readonly string[],
  [before, old]: readonly [Board, readonly (DtNode | undefined)[]],
  [after, now]: readonly [Board, readonly (DtNode | undefined)[]],
  choices: Choices = {},
): DeviceDiff {
  return diffSides(names, sideOf(before, old, choices), sideOf(after, now, choices));
}

/** A bundle on one of the boards. */
interface Side {
  readonly state: State;
  readonly plan: Plan | undefined;
}

function sideOf(board: Board, nodes: readonly (DtNode | undefined)[], choices: Choices): Side {
  const there = nodes.filter((node) => node !== undefined);
  if (there.length < nodes.length) return { state: 'absent', plan: undefined };
  if (!there.every(isEnabled)) return { state: 'disabled', plan: undefined };
  const plan = planBundle(board, there, choices);
  return { state: verdictOf(plan), plan };
}

function diffSides(
  nodes: readonly string[],
  { state: before, plan: old }: Side,
  { state: after, plan: now }: Side,
): DeviceDiff {
  const came = old && now ? beyond(now.blockers, old.blockers) : [];
  const went = old && now ? beyond(old.blockers, now.blockers) : [];
  const changes = old && now ? changesOf(old, now) : [];
  const diff = { nodes, before, after, came, went, changes, perhaps: undefined };
  return { ...diff, grade: gradeOf(diff, old, now) };
}

function gradeOf(
  { before, after, came, went, changes }: Omit<DeviceDiff, 'grade'>,
  old: Plan | undefined,
  now: Plan | undefined,
): Grade {
  if (!old) return now ? 'new' : 'same';
  if (!now) return before === 'blocked' ? 'gone' : 'worse';
  const had = (path: string) => old.members.find(({ node }) => node.path === path)?.reset !== undefined;
  const lost = now.members.some(({ node, reset }) => reset === undefined && had(node.path));
  if (came.length > 0 || lost || (before === 'free' && after === 'unsure')) return 'worse';
  if (went.length > 0 || (before === 'unsure' && after === 'free')) return 'better';
  return changes.length > 0 ? 'changed' : 'same';
}

/** Kinds of blockers that are worse with more users. For the other kinds more users do not mean more sharing. */
const BY_USERS: readonly BlockerKind[] = [
  'sharedPage',
  'sharedLine',
  'sharedStream',
  'sharedReset',
  'sharedPowerSwitch',
  'busClient',
  'consumerOutside',
];

/**
 * Returns the blockers of `these` that `those` lack. A blocker of both with different users is returned with the
 * additional users only. One that differs only in its number, with the same users, counts as the same.
 */
function beyond(these: readonly Blocker[], those: readonly Blocker[]): readonly Blocker[] {
  const isLike = (a: Blocker, b: Blocker) => a.kind === b.kind && a.node === b.node;
  const users = ({ users: all }: Blocker) => [...all].sort().join('\n');
  return these.flatMap((each) => {
    const same = those.find((other) => isLike(each, other) && each.what === other.what);
    if (same) {
      const others = BY_USERS.includes(each.kind)
        ? each.users.filter((user) => !same.users.includes(user))
        : [];
      return others.length > 0 ? [{ ...each, users: others }] : [];
    }
    const isMatched = (other: Blocker) =>
      these.some((mine) => isLike(mine, other) && mine.what === other.what);
    const renumbered = those.some(
      (other) => isLike(each, other) && !isMatched(other) && users(each) === users(other),
    );
    return renumbered ? [] : [each];
  });
}

function changesOf(before: Plan, after: Plan): readonly Change[] {
  const [old, now] = [before, after].map(
    (plan) => new Map(plan.members.map((member) => [member.node.path, member])),
  ) as [Map<string, Member>, Map<string, Member>];
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((path): readonly Change[] => {
    const [was, is] = [old.get(path), now.get(path)];
    if (!was) return [{ sign: '+', kind: 'member', member: path, text: is!.why }];
    if (!is) return [{ sign: '-', kind: 'member', member: path, text: was.why }];
    const only = (sign: Change['sign'], these: readonly Item[], those: readonly Item[]) =>
      these
        .filter(({ text }) => !those.some((other) => other.text === text))
        .map((item): Change => ({ sign, member: path, ...item }));
    const [oldItems, newItems] = [itemsOf(was), itemsOf(is)];
    return [...only('-', oldItems, newItems), ...only('+', newItems, oldItems)];
  });
}

/** Finds a device of only the new board, with the same driver and the same first registers. */
function likeOf(before: Board, node: DtNode, after: Board): string | undefined {
  const page = before.access(node).pages[0]?.address;
  const compatible = textOf(node, 'compatible');
  return after.enabled.find(
    (other) =>
      before.tree.find(other.path) === undefined &&
      page !== undefined &&
      textOf(other, 'compatible') === compatible &&
      after.access(other).pages[0]?.address === page,
  )?.path;
}

const VERDICT_WORDS: Readonly<Record<State, string>> = {
  free: 'can move',
  unsure: 'can move if it does no DMA',
  blocked: 'cannot move',
  absent: 'is not there',
  disabled: 'is disabled',
};
const TITLES: Readonly<Record<Exclude<Grade, 'same'>, string>> = {
  worse: 'Got worse:',
  better: 'Got better:',
  changed: 'Changed; a bundle file that has them is to be planned again:',
  gone: 'Could not move, and are gone or disabled:',
  new: 'New:',
};

/** Returns lines for a terminal, worst first, and a summary. */
export function diffLines(diffs: readonly DeviceDiff[], paint = PLAIN): readonly string[] {
  const brush = (grade: Grade) =>
    grade === 'worse' ? paint.bad : grade === 'better' ? paint.good : paint.strong;
  const lines: string[] = [];
  for (const grade of GRADES) {
    const group = diffs.filter((each) => each.grade === grade);
    if (grade === 'same' || group.length === 0) continue;
    lines.push(brush(grade)(TITLES[grade]), ...group.flatMap(deviceLines), '');
  }
  return [...lines, summaryOf(diffs)];
}

function deviceLines({ nodes, before, after, came, went, changes, perhaps }: DeviceDiff): readonly string[] {
  const verdict =
    before === after ? VERDICT_WORDS[after] : `${VERDICT_WORDS[before]} -> ${VERDICT_WORDS[after]}`;
  const signed = (sign: string, blocker: Blocker) =>
    blockerLines(blocker).map((line, index) => (index === 0 ? `  ${sign} ${line.trim()}` : `  ${line}`));
  return [
    `  ${nodes.join(' ')}  (${verdict})`,
    ...(perhaps ? [`    perhaps it is ${perhaps} now`] : []),
    ...came.flatMap((blocker) => signed('  +', blocker)),
    ...went.flatMap((blocker) => signed('  -', blocker).slice(0, blocker.users.length > 0 ? 3 : 2)),
    ...changes.map(
      ({ sign, kind, member, text }) =>
        `    ${sign} ` +
        `${kind === 'member' ? `${member} (${text})` : `${nodes.includes(member) ? '' : `${member}: `}${text}`}`,
    ),
  ];
}

function summaryOf(diffs: readonly DeviceDiff[]): string {
  const count = (grade: Grade) => diffs.filter((each) => each.grade === grade).length;
  const broken = diffs.filter(
    ({ before, after }) =>
      (before === 'free' || before === 'unsure') && after !== 'free' && after !== 'unsure',
  ).length;
  const what = diffs.length === 1 ? '1 bundle' : `${diffs.length} devices`;
  return (
    `${what}: ${count('worse')} got worse (${broken} could move and cannot now), ` +
    `${count('better')} got better, ${count('changed')} changed, ${count('gone')} gone, ` +
    `${count('new')} new, ${count('same')} the same.`
  );
}

/** Returns the same as one value. */
export function diffJson(diffs: readonly DeviceDiff[]): object {
  return { ok: isSound(diffs), devices: diffs.filter(({ grade }) => grade !== 'same') };
}

/** Whether nothing got worse. */
export function isSound(diffs: readonly DeviceDiff[]): boolean {
  return diffs.every(({ grade }) => grade !== 'worse');
}
