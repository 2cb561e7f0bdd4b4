/**
 * Plans a bundle: which devices have to move as one, what gives access to them, and what stands in the way. Pure.
 *
 * Into the bundle goes what gives access. What is only voted for (clocks, regulators, power and performance domains,
 * interconnects, pins) stays with a keeper. Whatever access a device outside shares is a blocker, named with the node, the thing
 * that is shared, the other users and the ways out.
 */

import { type Access, hasRegisters, iommuKind, overlap, reachedThrough } from './access.ts';
import type { DtNode } from './blob.ts';
import { type Blocker, type BlockerKind, blockersOf, isGate, type Situation, serves } from './blockers.ts';
import type { Board } from './board.ts';
import type { Need, Role } from './links.ts';
import { isConfined, unconfinedDma } from './suitability.ts';
import { isEnabled, isWithin, nodesBelow, textsOf } from './tree.ts';

/** A device of the bundle. */
export interface Member {
  readonly node: DtNode;
  /** Why it is in it. */
  readonly why: string;
  readonly access: Access;
  readonly needs: readonly Need[];
  /** By what the back end can reset it; undefined: by nothing that the tree tells of. */
  readonly reset: 'line' | 'power' | undefined;
}

/** Blockers that a person may accept, for there is another way to do without what is shared. */
export const ACCEPTABLE = ['summaryInterrupt', 'sharedReset'] as const satisfies readonly BlockerKind[];

/** How to plan, where there is a choice. */
export interface Choices {
  /** Blockers that are no reason to refuse: the bundle goes without the line, or without the reset. */
  readonly accept?: readonly (typeof ACCEPTABLE)[number][];
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
];

/** Words in the names of what feels fingers, and of what shows pictures. */
export const TOUCH = /\b(touch|rmi4|digitizer)/;
export const DISPLAY = /\b(display|mdss|mdp|dsi|vop|dpu|panel)/;

/** Plans a bundle of `wanted`. */
export function planBundle(board: Board, wanted: readonly DtNode[], choices: Choices = {}): Plan {
  const { accept = [], powerReset = false } = choices;
  const why = membersOf(board, wanted);
  const movers = [...why.keys()].map((node) => ({
    node,
    access: board.access(node),
    needs: board.needs(node),
  }));
  const inside = (node: DtNode | undefined) => {
    for (let at = node; at !== undefined; at = at.parent) if (why.has(at)) return true;
    return false;
  };
  const outside = board.enabled.filter(
    (node) => !inside(node) && !movers.some((member) => isWithin(member.node, node)),
  );
  const all: Situation = { board, members: movers, wanted, inside, outside, powerReset };
  const found = blockersOf(all);
  const isAccepted = ({ kind }: Blocker) => accept.some((each) => each === kind);
  const unusable = new Set(found.flatMap(({ kind, node }) => (kind === 'sharedReset' ? [node] : [])));
  const members = movers.map((mover): Member => {
    const has = (role: Role) => mover.needs.some((need) => need.role === role);
    const byLine = has('reset') && !unusable.has(mover.node.path);
    const byPower = powerReset && has('power-domain');
    const reset = byLine ? 'line' : byPower ? 'power' : undefined;
    return { ...mover, why: why.get(mover.node)!, reset };
  });
  return {
    members: quiesceOrder(members),
    blockers: found.filter((each) => !isAccepted(each)),
    accepted: found.filter(isAccepted),
    kept: keptOf(all),
    notes: notesOf(all),
  };
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
    const above = members.some((member) => member.node !== node && isWithin(node, member.node))
      ? []
      : needsAbove(board, node);
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

/** What a person should know, though nothing stands in the way. */
function notesOf(all: Situation): string[] {
  const { board, members, inside, outside } = all;
  const notes: string[] = [];
  for (const { node, access, needs } of members) {
    const mover = { node, access, needs };
    const isPart = members.some((other) => other.node !== node && isWithin(node, other.node));
    if (
      !isPart &&
      !isConfined(mover, members) &&
      access.streams.length === 0 &&
      !isGate(node, access) &&
      unconfinedDma(all, mover) === undefined
    )
      notes.push(`${node.path} has no stream: if it does DMA, nothing confines it`);
    const whole = wholeOf(node);
    if (whole !== undefined && !isPart && !inside(whole))
      notes.push(`${node.path} is part of ${whole.path}, which stays: whoever has that can switch it off`);
    for (const other of connectedTo(board, node))
      if (!inside(other)) notes.push(`${node.path} is connected to ${other.path}, which stays as it is`);
    for (const { role, target } of needs)
      if (role === 'memory' && target !== undefined)
        notes.push(`${node.path} may use ${target.name}: this memory stays with who has it`);
    for (const { iommu, id, mask, declaredBy } of access.streams)
      if (mask !== 0 && declaredBy === node && iommuKind(iommu) !== 'unknown')
        notes.push(
          `${node.path}: mask 0x${mask.toString(16)} leaves bits of stream 0x${id.toString(16)} open: the bundle file names each ID`,
        );
    notes.push(...pagesOfOthers(members, node));
  }
  const needing = (wanted: Role) =>
    outside.filter((each) =>
      board.needs(each).some(({ role, target }) => role === wanted && inside(target) && !serves(each, role)),
    );
  for (const { path } of needing('clock')) notes.push(`${path} can choose a clock that the bundle makes`);
  for (const { path } of needing('sound')) notes.push(`${path} plays or records through it, and stays`);
  const unread = [...board.unreadable.keys()].filter((each) => !inside(each));
  if (unread.length > 0)
    notes.push(
      `${unread.length === 1 ? 'a node' : `${unread.length} nodes`} cannot be read, and may share something: ${unread[0]!.path}`,
    );
  return [...new Set(notes)];
}

/** The nearest node above that has registers and a driver of its own; undefined when there is none. */
function wholeOf(node: DtNode): DtNode | undefined {
  for (let at = node.parent; at !== undefined; at = at.parent)
    if (at.properties.has('compatible') && hasRegisters(at)) return at;
  return undefined;
}

/** Pages of a member that the bundle file gives to the one before it. */
function pagesOfOthers(members: Situation['members'], node: DtNode): readonly string[] {
  const index = members.findIndex((member) => member.node === node);
  return members.slice(index + 1).flatMap((other) => {
    const both = other.access.pages.filter((page) =>
      members[index]!.access.pages.some((mine) => overlap(page, mine)),
    );
    return both.map(
      ({ address }) =>
        `${node.name} and ${other.node.name} are on one page (0x${address.toString(16)}): it is in the bundle file once`,
    );
  });
}

/** Devices at the other ends of a member's own graph: its endpoints are below it, in no part that is a device itself. */
function connectedTo(board: Board, node: DtNode): readonly DtNode[] {
  return [...nodesBelow(node)]
    .filter((below) => below !== node && deviceOf(below) === node)
    .flatMap((endpoint) => board.needs(endpoint))
    .flatMap(({ role, target }) =>
      role === 'endpoint' && target && isEnabled(target) ? [deviceOf(target)] : [],
    );
}

/** The device that an endpoint belongs to: above its ports. */
function deviceOf(endpoint: DtNode): DtNode {
  let at = endpoint;
  while (at.parent !== undefined && /^(endpoint|ports?)(@|$)/.test(at.name)) at = at.parent;
  return at;
}

/** A finger that is down must be lifted while its picture is still there. */
function rankOf(node: DtNode): number {
  const words = [node.name, ...textsOf(node, 'compatible')].join(' ');
  if (TOUCH.test(words)) return 0;
  return DISPLAY.test(words) ? 2 : 1;
}

/** Consumers before suppliers, parts before what they are part of; otherwise touch first and what shows pictures last. */
function quiesceOrder(members: readonly Member[]): readonly Member[] {
  const left = [...members].sort(
    (a, b) => rankOf(a.node) - rankOf(b.node) || (a.node.path < b.node.path ? -1 : 1),
  );
  const order: Member[] = [];
  while (left.length > 0) {
    const free = left.findIndex(
      (candidate) =>
        !left.some(
          (other) =>
            other !== candidate &&
            (isWithin(other.node, candidate.node) ||
              other.needs.some(({ role, target }) => role !== 'endpoint' && target === candidate.node)),
        ),
    );
    // A circle: whoever comes first in the tree.
    order.push(...left.splice(Math.max(free, 0), 1));
  }
  return order;
}
