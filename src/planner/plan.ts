/**
 * Plans a bundle: which devices must move together, their resources, and what stands in the way. Pure.
 *
 * The bundle has the resources that give access. Supplies that drivers only vote for (clocks, regulators, power and
 * performance domains, interconnects, pins) stay with a keeper. Access that a device outside shares is a blocker, with
 * the node, the shared resource, the other users and the ways out.
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

/** Options of a plan. */
export interface Choices {
  /** Accepted blockers: a person ensures by other means that they do no harm. */
  readonly accept?: readonly Acceptable[];
  /** Whether the enforcer resets devices by switching their power domain off and on. */
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
  /** The members as devices of a bundle; undefined when they cannot form one. */
  readonly devices: readonly Device[] | undefined;
  readonly blockers: readonly Blocker[];
  /** Blockers that were accepted. */
  readonly accepted: readonly Blocker[];
  readonly kept: readonly Kept[];
  /** Notes for people, which nothing checks. */
  readonly notes: readonly string[];
}

/** Roles of supplies that are only voted for, or that a node outside switches. */
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

/** Returns only the blockers of the plan that `planBundle` makes, for lists and searches. */
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
  /** Blockers, whether or not a bundle file can express the bundle. */
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

/** Whether there is no permanent blocker, which is often the reason why a bundle is too large. */
function mayFit({ inTheWay }: Draft): boolean {
  return inTheWay.every(mayBeAccepted);
}

/** Returns the blockers, with those of the bundle file's limits. `devices`: those of the bundle, or why it has none. */
function withUnfit(draft: Draft, devices: readonly Device[] | string): readonly Blocker[] {
  const { all, inTheWay } = draft;
  if (typeof devices !== 'string' || !mayFit(draft)) return inTheWay;
  const ways = ['ask for less, or for a part of it', 'disable in the device tree what nobody uses'];
  const node = all.wanted[0]?.path ?? '/';
  return [...inTheWay, { kind: 'unfit', node, what: devices, users: [], ways, ask: [] }];
}

/** Returns notes about members that move along and are not listed in the bundle file for lack of room. */
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
    // Supplies of a wrapper above it are needed as well.
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

/** Sorts consumers before suppliers, and parts before their whole; otherwise touch first and displays last. */
function quiesceOrder(members: readonly Member[]): readonly Member[] {
  const left = [...members].sort(
    (a, b) => quiesceRank(a.node) - quiesceRank(b.node) || (a.node.path < b.node.path ? -1 : 1),
  );
  // Number of nodes that must come before a node: its parts, and its consumers.
  const before = new Map(members.map(({ node }) => [node, 0]));
  const count = (member: Member, by: number) => {
    for (const node of servedBy(member)) if (before.has(node)) before.set(node, before.get(node)! + by);
  };
  for (const member of members) count(member, 1);
  const order: Member[] = [];
  while (left.length > 0) {
    const free = left.findIndex(({ node }) => before.get(node) === 0);
    // A cycle: the first one.
    const [next] = left.splice(Math.max(free, 0), 1);
    order.push(next!);
    count(next!, -1);
  }
  return order;
}

/** Returns the whole of a member, and its needs, each once. */
function servedBy({ node, needs }: Member): ReadonlySet<DtNode> {
  const found = new Set<DtNode>();
  for (let at = node.parent; at !== undefined; at = at.parent) found.add(at);
  for (const { role, target } of needs)
    if (role !== 'endpoint' && target !== undefined && target !== node) found.add(target);
  return found;
}
