/**
 * Plans a bundle: which devices have to move as one, what gives access to them, and what stands in the way. Pure.
 *
 * Into the bundle goes what gives access. What is only voted for (clocks, regulators, power and performance domains,
 * interconnects, pins) stays with a keeper. Whatever access a device outside shares is a blocker, named with the
 * node, the thing that is shared, the other users and the ways out.
 */

import type { Device } from '../core/protocol/bundle.ts';
import type { DtNode } from './blob.ts';
import {
  ACCEPTABLE,
  type Acceptable,
  type Blocker,
  gicBlocker,
  mayBeAccepted,
  type Situation,
} from './blockers.ts';
import type { Board } from './board.ts';
import { bundleDevices, type Member, named } from './definition.ts';
import type { Need, Role } from './links.ts';
import { quiesceRank } from './mission.ts';
import { membersOf, movingOf } from './moving.ts';
import { notesOf } from './notes.ts';
import { busClients, unreadableOutside } from './sharing.ts';

/** How to plan, where there is a choice. */
export interface Choices {
  /** Blockers that are no reason to refuse, for what they name is taken care of in another way. */
  readonly accept?: readonly Acceptable[];
  /** The enforcer resets devices by switching their power domain off and on. */
  readonly powerReset?: boolean;
}

/** Something that stays with the keeper of the supplies. */
export interface Kept {
  readonly role: Role;
  readonly provider: string;
  readonly users: readonly string[];
}

export interface Plan {
  /** In quiesce order: consumers before suppliers. */
  readonly members: readonly Member[];
  /** The same as devices of a bundle; undefined when no bundle can have them. */
  readonly devices: readonly Device[] | undefined;
  readonly blockers: readonly Blocker[];
  /** Blockers that were accepted. */
  readonly accepted: readonly Blocker[];
  readonly kept: readonly Kept[];
  /** What a person should know, and nothing checks. */
  readonly notes: readonly string[];
}

/** Roles of what is only voted for, or switched by somebody who stays. */
const VOTED: readonly Role[] = [
  'clock',
  'power-domain',
  'supply',
  'interconnect',
  'pinctrl',
  'gpio',
  'phy',
  'reset',
  'performance',
  'mailbox',
  'hwlock',
  'nvmem',
  'io-channel',
  'pwm',
  'firewall',
];

/** Plans a bundle of `wanted`. */
export function planBundle(board: Board, wanted: readonly DtNode[], choices: Choices = {}): Plan {
  const draft = draftOf(board, wanted, choices);
  const members = orderedMembers(draft);
  const devices = bundleDevices(members);
  return {
    members,
    devices: typeof devices === 'string' ? undefined : devices,
    blockers: withUnfit(draft, devices),
    accepted: draft.accepted,
    kept: keptOf(draft.all),
    notes: [...notesOf(draft.all), ...unnamed(members)],
  };
}

/** The blockers of the plan that `planBundle` makes: all of it that lists and searches look at. */
export function blockersOf(
  board: Board,
  wanted: readonly DtNode[],
  choices: Choices = {},
): readonly Blocker[] {
  const draft = draftOf(board, wanted, choices);
  return mayFit(draft) ? withUnfit(draft, bundleDevices(orderedMembers(draft))) : draft.inTheWay;
}

/** A plan before its members are put in order. */
interface Draft {
  readonly all: Situation;
  /** Why each node is in it. */
  readonly why: ReadonlyMap<DtNode, string>;
  /** What stands in the way, whether a bundle file could say it or not. */
  readonly inTheWay: readonly Blocker[];
  readonly accepted: readonly Blocker[];
}

function draftOf(
  board: Board,
  wanted: readonly DtNode[],
  { accept = [], powerReset = false }: Choices,
): Draft {
  const why = membersOf(board, wanted);
  const { around, findings } = movingOf(board, wanted, powerReset);
  const found = [...why.keys()].map((node) => findings.get(node)!);
  const all = { ...around, wanted, members: found.map(({ mover }) => mover) };
  const blockers = [
    ...found.flatMap(({ own }) => own),
    ...gicBlocker(all),
    ...found.flatMap(({ shared }) => shared),
    ...busClients(all),
    ...found.flatMap(({ consumers }) => consumers),
    ...found.flatMap(({ halves }) => halves),
    ...unreadableOutside(all),
  ];
  const isAccepted = ({ kind }: Blocker) => accept.some((each) => ACCEPTABLE[each] === kind);
  return {
    all,
    why,
    inTheWay: blockers.filter((each) => !isAccepted(each)),
    accepted: blockers.filter(isAccepted),
  };
}

/** The members of a draft in quiesce order, each with its reset. */
function orderedMembers({ all, why, inTheWay, accepted }: Draft): readonly Member[] {
  const found = [...inTheWay, ...accepted];
  const unusable = new Set(found.flatMap(({ kind, node }) => (kind === 'sharedReset' ? [node] : [])));
  const members = all.members.map((mover): Member => {
    const has = (role: Role) => mover.needs.some((need) => need.role === role);
    const byLine = has('reset') && !unusable.has(mover.node.path);
    const byPower = all.powerReset && has('power-domain');
    const reset = byLine ? 'line' : byPower ? 'power' : undefined;
    return {
      ...mover,
      why: why.get(mover.node)!,
      isAskedFor: all.wanted.includes(mover.node),
      reset,
    };
  });
  return quiesceOrder(members);
}

/** Whether nothing is wrong that stays so: what is too much for a bundle is so often because of that. */
function mayFit({ inTheWay }: Draft): boolean {
  return inTheWay.every(mayBeAccepted);
}

/** What stands in the way, and what a bundle file cannot say. `devices`: those of the bundle, or why it has none. */
function withUnfit(draft: Draft, devices: readonly Device[] | string): readonly Blocker[] {
  const { all, inTheWay } = draft;
  if (typeof devices !== 'string' || !mayFit(draft)) return inTheWay;
  const ways = ['ask for less, or for a part of it', 'disable in the device tree what nobody uses'];
  const node = all.wanted[0]?.path ?? '/';
  return [...inTheWay, { kind: 'unfit', node, what: devices, users: [], ways, ask: [] }];
}

/** Members that move along and are not named in the bundle file, for want of room. */
function unnamed(members: readonly Member[]): readonly string[] {
  const inFile = new Set(named(members));
  const left = members.filter((member) => !inFile.has(member));
  return left.map(
    ({ node }) =>
      `${node.path} moves along, and is not in the bundle file: it gives access to nothing of its own`,
  );
}

function needsAbove(board: Board, node: DtNode): readonly Need[] {
  const needs: Need[] = [];
  for (let at = node.parent; at !== undefined; at = at.parent) needs.push(...board.needs(at));
  return needs;
}

function keptOf({ board, members, inside }: Situation): Kept[] {
  const found = new Map<string, { role: Role; provider: string; users: Set<string> }>();
  for (const { node, needs } of members) {
    // What a wrapper above it votes for keeps it alive, too.
    const above = inside(node.parent) ? [] : needsAbove(board, node);
    for (const { role, target } of [...needs, ...above]) {
      if (target === undefined || inside(target) || !VOTED.includes(role)) continue;
      const key = `${role} ${target.path}`;
      const kept = found.get(key) ?? { role, provider: target.path, users: new Set<string>() };
      kept.users.add(node.path);
      found.set(key, kept);
    }
  }
  return [...found.values()].map(({ users, ...rest }) => ({ ...rest, users: [...users] }));
}

/**
 * Consumers before suppliers, parts before what they are part of; otherwise touch first and what shows pictures last.
 */
function quiesceOrder(members: readonly Member[]): readonly Member[] {
  const left = [...members].sort(
    (a, b) => quiesceRank(a.node) - quiesceRank(b.node) || (a.node.path < b.node.path ? -1 : 1),
  );
  // How many have to come before a node: its parts, and who needs it.
  const before = new Map(members.map(({ node }) => [node, 0]));
  const count = (member: Member, by: number) => {
    for (const node of servedBy(member)) if (before.has(node)) before.set(node, before.get(node)! + by);
  };
  for (const member of members) count(member, 1);
  const order: Member[] = [];
  while (left.length > 0) {
    const free = left.findIndex(({ node }) => before.get(node) === 0);
    // A circle: whoever comes first.
    const [next] = left.splice(Math.max(free, 0), 1);
    order.push(next!);
    count(next!, -1);
  }
  return order;
}

/** What a member is part of, and what it needs, each once. */
function servedBy({ node, needs }: Member): ReadonlySet<DtNode> {
  const found = new Set<DtNode>();
  for (let at = node.parent; at !== undefined; at = at.parent) found.add(at);
  for (const { role, target } of needs)
    if (role !== 'endpoint' && target !== undefined && target !== node) found.add(target);
  return found;
}
