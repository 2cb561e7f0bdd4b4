/**
 * Plans a bundle: which devices have to move as one, what gives access to them, and what stands in the way. Pure.
 *
 * Into the bundle goes what gives access. What is only voted for (clocks, regulators, power and performance domains,
 * interconnects, pins) stays with a keeper. Whatever access a device outside shares is a blocker, named with the node, the thing
 * that is shared, the other users and the ways out.
 */

import {
  type Access,
  type DeviceStream,
  iommuKind,
  overlap,
  reachedThrough,
  sameStream,
  streamText,
} from './access.ts';
import type { DtNode } from './blob.ts';
import type { Board } from './board.ts';
import type { Need, Role } from './links.ts';
import { isEnabled, nodesBelow, textOf } from './tree.ts';

/** A device of the bundle. */
export interface Member {
  readonly node: DtNode;
  /** Why it is in it. */
  readonly why: string;
  readonly access: Access;
  readonly needs: readonly Need[];
}

export type BlockerKind =
  | 'sharedPage'
  | 'sharedLine'
  | 'sharedStream'
  | 'sharedReset'
  | 'busClient'
  | 'consumerOutside'
  | 'summaryInterrupt'
  | 'processorInterrupt'
  | 'messageInterrupt'
  | 'ats'
  | 'unknownIommu'
  | 'unconfinedDma'
  | 'gatekeeper'
  | 'disabled'
  | 'noAccess'
  | 'unreadable';

/** Why the bundle cannot move as it is. */
export interface Blocker {
  readonly kind: BlockerKind;
  /** Path of the node at fault. */
  readonly node: string;
  /** What is shared, or is wrong. */
  readonly what: string;
  /** Paths of the other users. */
  readonly users: readonly string[];
  /** What would help. */
  readonly ways: readonly string[];
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
];

/** Generic names of devices that do DMA: Devicetree Specification v0.4, 2.2.2, and what boards use beside them. */
const DMA_MASTERS =
  /^(gpu|mmc|sdhci|usb|ethernet|sata|ahci|ufs|ufshc|pcie|cryp(?:to)?|dma|dma-controller|video-codec|vpu|isp|vop|npu|dsp|display-controller|nand-controller)@/;

/** Plans a bundle of `wanted`. */
export function planBundle(board: Board, wanted: readonly DtNode[]): Plan {
  const why = membersOf(wanted);
  const members = [...why].map(
    ([node, reason]): Member => ({ node, why: reason, access: board.access(node), needs: board.needs(node) }),
  );
  const inside = (node: DtNode | undefined) => {
    for (let at = node; at !== undefined; at = at.parent) if (why.has(at)) return true;
    return false;
  };
  const outside = board.enabled.filter(
    (node) => !inside(node) && !members.some((member) => isAbove(node, member.node)),
  );
  const all: Situation = { board, members, inside, outside };
  return {
    members: quiesceOrder(members),
    blockers: [
      ...members.flatMap((member) => ownBlockers(all, member)),
      ...members.flatMap((member) => sharedBlockers(all, member)),
      ...busClients(all, wanted),
      ...consumersOutside(all),
    ],
    kept: keptOf(all),
    notes: notesOf(all),
  };
}

interface Situation {
  readonly board: Board;
  readonly members: readonly Member[];
  /** Whether a node is a member or below one. */
  readonly inside: (node: DtNode | undefined) => boolean;
  /** Enabled nodes that are not inside, and of which no member is part. */
  readonly outside: readonly DtNode[];
}

/** What was asked for, the bus controllers it is reached through, and the parts of all these. */
function membersOf(wanted: readonly DtNode[]): Map<DtNode, string> {
  const found = new Map<DtNode, string>();
  for (const node of wanted) found.set(node, 'asked for');
  for (const node of wanted) {
    const via = reachedThrough(node);
    if (via !== undefined && !found.has(via)) found.set(via, `${node.name} is reached through it`);
  }
  for (const member of [...found.keys()]) {
    for (const node of nodesBelow(member)) {
      if (found.has(node) || !isEnabled(node) || !isDevice(node)) continue;
      found.set(node, `part of ${member.name}`);
    }
  }
  return found;
}

/** What has registers of its own, or a driver. */
function isDevice(node: DtNode): boolean {
  return node.properties.has('compatible') || reachedThrough(node) === node;
}

function isAbove(node: DtNode, other: DtNode): boolean {
  for (let at = other.parent; at !== undefined; at = at.parent) if (at === node) return true;
  return false;
}

/** What is wrong with a member by itself. */
function ownBlockers({ board, inside, outside }: Situation, { node, access }: Member): Blocker[] {
  const blockers: Blocker[] = [];
  const add = (kind: BlockerKind, what: string, users: readonly string[], ...ways: string[]) =>
    blockers.push({ kind, node: node.path, what, users, ways });
  const wrong = board.unreadable.get(node);
  if (wrong !== undefined) add('unreadable', wrong, [], 'correct the device tree');
  if (!isEnabled(node))
    add('disabled', 'it or a node above it is not in use', [], 'choose a node whose status is okay');
  if (reachedThrough(node) === undefined)
    add(
      'noAccess',
      'nothing above it has registers in the processors’ addresses',
      [],
      'choose the device that drives it',
    );
  for (const { interrupt, gic } of access.lines) {
    const { controller, cells } = interrupt;
    if (gic?.kind === 'ppi')
      add(
        'processorInterrupt',
        `PPI ${gic.number} belongs to each processor`,
        [],
        'none: such a line cannot move',
      );
    if (gic !== undefined || inside(controller)) continue;
    const users = outside.filter((each) =>
      board.access(each).lines.some((line) => line.interrupt.controller === controller),
    );
    add(
      'summaryInterrupt',
      `its line is <${cells.join(' ')}> of ${controller.name}, which passes it on by a line that it has for all`,
      users.map(({ path }) => path),
      'a line of its own to the GIC, where the SoC has one for this pin',
      'the owner or the hypervisor forwards the interrupt',
      'the borrower polls',
    );
  }
  if (
    node.properties.has('#iommu-cells') ||
    access.lines.some(({ interrupt }) => interrupt.controller === node)
  )
    add('gatekeeper', 'it decides what others reach', [], 'none: who holds it holds what is behind it');
  if (access.pages.length > 0 && access.streams.length === 0 && DMA_MASTERS.test(node.name))
    add(
      'unconfinedDma',
      'devices of its kind do DMA, and no IOMMU is named that would confine it',
      [],
      'put it behind an IOMMU, where the SoC can',
      'leave it with one VM',
    );
  for (const property of ['msi-parent', 'msi-map'])
    if (node.properties.has(property))
      add(
        'messageInterrupt',
        `${property}: its interrupts are messages`,
        [],
        'use its line, where it has one',
      );
  if (node.properties.has('ats-supported'))
    add('ats', 'it may ask for translations and keep them (ATS)', [], 'switch ATS off for it');
  const unknown = new Set(
    access.streams.filter(({ iommu }) => iommuKind(iommu) === 'unknown').map(({ iommu }) => iommu),
  );
  for (const iommu of unknown)
    add(
      'unknownIommu',
      `its DMA goes through ${iommu.name} (${textOf(iommu, 'compatible')}), which Baton does not know`,
      [],
      'a back end that drives this IOMMU, and a bundle file by hand',
    );
  return blockers;
}

/** Access that a member shares with devices outside. */
function sharedBlockers({ board, outside }: Situation, { node, access, needs }: Member): Blocker[] {
  const users = (shares: (other: Access, node: DtNode) => boolean) =>
    outside.filter((each) => shares(board.access(each), each)).map(({ path }) => path);
  const together = ['move them together: ask for them, too', 'disable them in the device tree'];
  const blockers: Blocker[] = [];
  const add = (kind: BlockerKind, what: string, others: readonly string[], ways: readonly string[]) => {
    if (others.length > 0) blockers.push({ kind, node: node.path, what, users: others, ways });
  };
  for (const page of access.pages) {
    const range = `registers 0x${page.address.toString(16)} to 0x${(page.address + page.bytes - 1n).toString(16)}, in whole pages of 4 KiB`;
    add(
      'sharedPage',
      range,
      users(({ pages }) => pages.some((other) => overlap(page, other))),
      together,
    );
  }
  for (const { gic } of access.lines) {
    if (gic?.kind !== 'spi') continue;
    const has = ({ lines }: Access) =>
      lines.some((line) => line.gic?.kind === 'spi' && line.gic.number === gic.number);
    add('sharedLine', `SPI ${gic.number - 32} (INTID ${gic.number})`, users(has), together);
  }
  for (const stream of uniqueStreams(access.streams)) {
    const has = ({ streams }: Access) => streams.some((other) => sameStream(stream, other));
    const ways = [...together, 'give it a stream ID of its own, where the SoC can'];
    const by = stream.declaredBy === node ? '' : ` of ${stream.declaredBy.name}`;
    add('sharedStream', `${streamText(stream)}${by}`, users(has), ways);
  }
  for (const { role, target, cells, property } of needs) {
    if (role !== 'reset') continue;
    const has = (_: Access, other: DtNode) =>
      board
        .needs(other)
        .some(
          (need) => need.role === 'reset' && need.target === target && need.cells.join() === cells.join(),
        );
    add('sharedReset', `reset <${cells.join(' ')}> of ${target?.name} (${property})`, users(has), together);
  }
  return blockers;
}

/** Clients on a bus whose controller moves, that nobody asked for. */
function busClients({ members, inside }: Situation, wanted: readonly DtNode[]): Blocker[] {
  return members.flatMap(({ node }) => {
    if (wanted.includes(node)) return [];
    const asked = wanted.filter((each) => isAbove(node, each));
    const others = node.children.filter(
      (child) =>
        isEnabled(child) &&
        inside(child) &&
        child.properties.has('compatible') &&
        reachedThrough(child) === node &&
        !asked.some((each) => each === child || isAbove(child, each)),
    );
    if (asked.length === 0 || others.length === 0) return [];
    const ways = ['ask for them, too', 'move them to another bus'];
    const users = others.map(({ path }) => path);
    return [
      { kind: 'busClient' as const, node: node.path, what: 'other devices are on its bus', users, ways },
    ];
  });
}

/** Devices outside that are served by one inside. */
function consumersOutside({ board, members, inside, outside }: Situation): Blocker[] {
  return members.flatMap(({ node }) => {
    const users = outside.filter(
      (each) =>
        board
          .needs(each)
          .some(({ role, target }) => target !== undefined && serves(each, role) && owner(target) === node) ||
        board.access(each).lines.some(({ interrupt }) => owner(interrupt.controller) === node),
    );
    if (users.length === 0) return [];
    const what = 'devices outside need it (DMA, clock, pin, reset, supply or interrupts)';
    const ways = ['move them together: ask for them, too', 'disable them in the device tree'];
    return [
      { kind: 'consumerOutside' as const, node: node.path, what, users: users.map(({ path }) => path), ways },
    ];
  });

  /** The member that a node is, or is a part of. */
  function owner(target: DtNode): DtNode | undefined {
    if (!inside(target)) return undefined;
    for (let at: DtNode | undefined = target; at !== undefined; at = at.parent)
      if (members.some((member) => member.node === at)) return at;
    return undefined;
  }
}

/** A clock controller that can choose a clock of the bundle does not depend on it; who is on a graph or in memory neither. */
function serves(consumer: DtNode, role: Role): boolean {
  if (role === 'endpoint' || role === 'memory' || role === 'panel' || role === 'backlight') return false;
  return role !== 'clock' || !consumer.properties.has('#clock-cells');
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
    const above = members.some((member) => isAbove(member.node, node)) ? [] : needsAbove(board, node);
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

function notesOf({ board, members, inside, outside }: Situation): string[] {
  const notes: string[] = [];
  for (const { node, access, needs } of members) {
    if (access.pages.length > 0 && access.streams.length === 0 && !DMA_MASTERS.test(node.name))
      notes.push(`${node.path} has no stream: if it does DMA, nothing confines it`);
    for (const { role, target } of needs)
      if (role === 'endpoint' && target !== undefined && !inside(target) && isEnabled(target))
        notes.push(`${node.path} is connected to ${deviceOf(target).path}, which stays as it is`);
  }
  const clocked = outside.filter((each) =>
    board.needs(each).some(({ role, target }) => role === 'clock' && inside(target) && !serves(each, role)),
  );
  for (const { path } of clocked) notes.push(`${path} can choose a clock that the bundle makes`);
  return [...new Set(notes)];
}

/** The device that an endpoint belongs to: above its ports. */
function deviceOf(endpoint: DtNode): DtNode {
  let at = endpoint;
  while (at.parent !== undefined && /^(endpoint|ports?)(@|$)/.test(at.name)) at = at.parent;
  return at;
}

/** Consumers before suppliers, parts before what they are part of; otherwise as in the tree. */
function quiesceOrder(members: readonly Member[]): readonly Member[] {
  const left = [...members].sort((a, b) => (a.node.path < b.node.path ? -1 : 1));
  const order: Member[] = [];
  while (left.length > 0) {
    const free = left.findIndex(
      (candidate) =>
        !left.some(
          (other) =>
            other !== candidate &&
            (isAbove(candidate.node, other.node) ||
              other.needs.some(({ role, target }) => role !== 'endpoint' && target === candidate.node)),
        ),
    );
    // A circle: whoever comes first in the tree.
    order.push(...left.splice(Math.max(free, 0), 1));
  }
  return order;
}

function uniqueStreams(streams: readonly DeviceStream[]): readonly DeviceStream[] {
  return streams.filter(
    (stream, index) => streams.findIndex((other) => streamText(other) === streamText(stream)) === index,
  );
}
