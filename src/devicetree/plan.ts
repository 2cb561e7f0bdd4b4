/**
 * Plans a bundle: which devices have to move as one, what gives access to them, and what stands in the way. Pure.
 *
 * Into the bundle goes what gives access. What is only voted for (clocks, regulators, power and performance domains,
 * interconnects, pins) stays with a keeper. Whatever access a device outside shares is a blocker, named with the
 * node, the thing that is shared, the other users and the ways out.
 */

import type { Device } from '../protocol/bundle.ts';
import { type Access, reachedThrough } from './access.ts';
import type { DtNode } from './blob.ts';
import {
  ACCEPTABLE,
  type Acceptable,
  type Blocker,
  gicBlocker,
  mayBeAccepted,
  ownBlockers,
  type Situation,
} from './blockers.ts';
import type { Board, Mover } from './board.ts';
import { bundleDevices, named } from './definition.ts';
import type { Need, Role } from './links.ts';
import { quiesceRank } from './mission.ts';
import { notesOf } from './notes.ts';
import { busClients, consumersOutside, halvesOutside, sharedBlockers, unreadableOutside } from './sharing.ts';
import { isEnabled, isInUse, nodesBelow, textOf } from './tree.ts';

/** A device of the bundle. */
export interface Member {
  readonly node: DtNode;
  /** Why it is in it. */
  readonly why: string;
  readonly isAskedFor: boolean;
  readonly access: Access;
  readonly needs: readonly Need[];
  /** By what the back end can reset it; undefined: by nothing that the tree tells of. */
  readonly reset: 'line' | 'power' | undefined;
}

/** How to plan, where there is a choice. */
export interface Choices {
  /** Blockers that are no reason to refuse, for what they name is taken care of in another way. */
  readonly accept?: readonly Acceptable[];
  /** The back end resets devices by switching their power domain off and on. */
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
  const { accept = [], powerReset = false } = choices;
  const why = membersOf(board, wanted);
  const movers = [...why.keys()].map((node) => ({
    node,
    access: board.access(node),
    needs: board.needs(node),
  }));
  const all = situationOf(board, wanted, movers, powerReset);
  const found = blockersOf(all);
  const isAccepted = ({ kind }: Blocker) => accept.some((each) => ACCEPTABLE[each] === kind);
  const unusable = new Set(found.flatMap(({ kind, node }) => (kind === 'sharedReset' ? [node] : [])));
  const members = movers.map((mover): Member => {
    const has = (role: Role) => mover.needs.some((need) => need.role === role);
    const byLine = has('reset') && !unusable.has(mover.node.path);
    const byPower = powerReset && has('power-domain');
    const reset = byLine ? 'line' : byPower ? 'power' : undefined;
    return {
      ...mover,
      why: why.get(mover.node)!,
      isAskedFor: wanted.includes(mover.node),
      reset,
    };
  });
  const ordered = quiesceOrder(members);
  const devices = bundleDevices(ordered);
  const inTheWay = found.filter((each) => !isAccepted(each));
  // Only where nothing is wrong that stays so: what is too much is so often because of that.
  const isUnfit = typeof devices === 'string' && inTheWay.every(mayBeAccepted);
  return {
    members: ordered,
    devices: typeof devices === 'string' ? undefined : devices,
    blockers: isUnfit ? [...inTheWay, unfitBlocker(wanted, devices)] : inTheWay,
    accepted: found.filter(isAccepted),
    kept: keptOf(all),
    notes: [...notesOf(all), ...unnamed(ordered)],
  };
}

/** What is inside a bundle, and what is outside. */
function situationOf(
  board: Board,
  wanted: readonly DtNode[],
  members: readonly Mover[],
  powerReset: boolean,
): Situation {
  const moved = new Set(members.map(({ node }) => node));
  const above = new Set<DtNode>();
  for (const member of moved)
    for (let at: DtNode | undefined = member; at !== undefined && !above.has(at); at = at.parent)
      above.add(at);
  const known = new Map<DtNode, boolean>();
  const inside = (node: DtNode | undefined): boolean => {
    if (node === undefined) return false;
    let found = known.get(node);
    if (found === undefined) {
      // A part that firmware has in use is of another system, wherever it is.
      found = moved.has(node) || (textOf(node, 'status') !== 'reserved' && inside(node.parent));
      known.set(node, found);
    }
    return found;
  };
  const outside = (node: DtNode) => isInUse(node) && !above.has(node) && !inside(node);
  return { board, members, wanted, inside, outside, powerReset };
}

/** All that stands in the way, in the order of the members. */
function blockersOf(all: Situation): readonly Blocker[] {
  return [
    ...all.members.flatMap((member) => ownBlockers(all, member)),
    ...gicBlocker(all),
    ...all.members.flatMap((member) => sharedBlockers(all, member)),
    ...busClients(all),
    ...consumersOutside(all),
    ...halvesOutside(all),
    ...unreadableOutside(all),
  ];
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

/** What a bundle file cannot say. */
function unfitBlocker(wanted: readonly DtNode[], what: string): Blocker {
  const ways = ['ask for less, or for a part of it', 'disable in the device tree what nobody uses'];
  return { kind: 'unfit', node: wanted[0]?.path ?? '/', what, users: [], ways, ask: [] };
}

/** What was asked for, the bus controllers it is reached through, and the parts of all these. */
function membersOf(board: Board, wanted: readonly DtNode[]): Map<DtNode, string> {
  const found = new Map<DtNode, string>();
  for (const node of wanted) found.set(node, 'asked for');
  for (const node of wanted) {
    const via = reachedThrough(node);
    if (via !== undefined && !found.has(via)) found.set(via, `${node.name} is reached through it`);
  }
  for (const member of [...found.keys()]) {
    for (const node of nodesBelow(member)) {
      if (found.has(node) || !isEnabled(node) || !isDevice(board, node)) continue;
      found.set(node, `part of ${member.name}`);
    }
  }
  return found;
}

/** What has registers or a place on a bus, or a driver and something to drive; tables of data have a "driver", too. */
function isDevice(board: Board, node: DtNode): boolean {
  if (reachedThrough(node) === node) return true;
  const drives =
    node.properties.has('reg') || board.access(node).lines.length > 0 || board.needs(node).length > 0;
  return node.properties.has('compatible') && drives;
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
