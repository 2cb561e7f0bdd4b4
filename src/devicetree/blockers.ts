/**
 * What stands in the way of a bundle: access that a device outside shares, and devices that cannot be taken from one
 * VM and given to another at all. Each blocker names the node, what is shared, the other users and the ways out.
 * Pure.
 */

import {
  type Access,
  type DeviceStream,
  iommuKind,
  reachedThrough,
  sameStream,
  streamText,
} from './access.ts';
import { bridgesOf, isPciFunction } from './addresses.ts';
import type { DtNode } from './blob.ts';
import type { Board } from './board.ts';
import type { Need, Role } from './links.ts';
import { overlap } from './ranges.ts';
import { consoleOf, machineWide, unconfinedDma } from './suitability.ts';
import { isEnabled, isWithin, textOf } from './tree.ts';

export const BLOCKER_KINDS = [
  'sharedPage',
  'sharedLine',
  'sharedStream',
  'sharedReset',
  'sharedPowerSwitch',
  'busClient',
  'consumerOutside',
  'clockLoop',
  'summaryInterrupt',
  'processorInterrupt',
  'messageInterrupt',
  'pciHost',
  'ats',
  'stall',
  'unknownIommu',
  'unconfinedDma',
  'gatekeeper',
  'machineWide',
  'console',
  'disabled',
  'noAccess',
  'unreadable',
  'unfit',
] as const;
export type BlockerKind = (typeof BLOCKER_KINDS)[number];

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

/** A device that moves, as far as what stands in its way depends on it. */
export interface Mover {
  readonly node: DtNode;
  readonly access: Access;
  readonly needs: readonly Need[];
}

/** What is planned, and what is around it. */
export interface Situation {
  readonly board: Board;
  readonly members: readonly Mover[];
  /** What was asked for. */
  readonly wanted: readonly DtNode[];
  /** Whether a node is a member or below one. */
  readonly inside: (node: DtNode | undefined) => boolean;
  /** Nodes in use that are not inside, and of which no member is part. */
  readonly outside: readonly DtNode[];
  /** Whether the back end resets devices by switching their power off. */
  readonly powerReset: boolean;
}

const TOGETHER: readonly string[] = [
  'move them together: ask for them, too',
  'disable them in the device tree',
];
const LEAVE = 'leave it with one VM';

/** Lines of one controller that a blocker names; of more there is a number. */
const LINES_SHOWN = 3;

/** All that stands in the way, in the order of the members. */
export function blockersOf(all: Situation): readonly Blocker[] {
  return [
    ...all.members.flatMap((member) => ownBlockers(all, member)),
    ...all.members.flatMap((member) => sharedBlockers(all, member)),
    ...busClients(all),
    ...consumersOutside(all),
  ];
}

/** What is wrong with a member by itself. */
function ownBlockers(all: Situation, { node, access, needs }: Mover): readonly Blocker[] {
  const blockers: Blocker[] = [];
  const add = (kind: BlockerKind, what: string, users: readonly string[], ...ways: string[]) =>
    blockers.push({ kind, node: node.path, what, users, ways });
  const wrong = all.board.unreadable.get(node);
  if (wrong !== undefined) add('unreadable', wrong, [], 'correct the device tree');
  if (!isEnabled(node))
    add('disabled', 'it or a node above it is not in use', [], 'choose a node whose status is okay');
  if (wrong === undefined && reachedThrough(node) === undefined)
    add(
      'noAccess',
      'nothing above it has registers in the processors’ addresses',
      [],
      'choose the device that drives it',
    );
  const gate = isGate(node, access);
  if (gate) {
    const behind = usersOf(all, (each) => isServedBy(all.board, each, node));
    add('gatekeeper', 'it decides what others reach or are told: who holds it holds them', behind, LEAVE);
  }
  const everybodys = machineWide(node);
  if (everybodys !== undefined) add('machineWide', everybodys, [], LEAVE);
  if (consoleOf(all.board.tree) === node)
    add(
      'console',
      'the console of the machine (stdout-path)',
      [],
      'choose another console: stdout-path of /chosen',
      LEAVE,
    );
  const dma = gate ? undefined : unconfinedDma(all, { node, access, needs });
  if (dma !== undefined)
    add('unconfinedDma', dma, [], 'put it behind an IOMMU that is enabled, where the SoC can', LEAVE);
  return [...blockers, ...lineBlockers(all, { node, access }), ...translationBlockers(all, { node, access })];
}

/** IOMMUs and their parts, and interrupt controllers of others: GICs, and those that turn messages into interrupts. */
export function isGate(node: DtNode, access: Access): boolean {
  for (let at: DtNode | undefined = node; at !== undefined; at = at.parent)
    if (at.properties.has('#iommu-cells')) return true;
  const takesMessages = node.properties.has('msi-controller') && textOf(node, 'device_type') !== 'pci';
  return takesMessages || access.lines.some(({ interrupt }) => interrupt.controller === node);
}

/** Lines that cannot move: those of each processor, those behind another controller, and messages. */
function lineBlockers(all: Situation, { node, access }: Pick<Mover, 'node' | 'access'>): readonly Blocker[] {
  const blockers: Blocker[] = [];
  const add = (kind: BlockerKind, what: string, users: readonly string[], ...ways: string[]) =>
    blockers.push({ kind, node: node.path, what, users, ways });
  for (const { gic } of access.lines)
    if (gic?.kind === 'ppi')
      add(
        'processorInterrupt',
        `PPI ${gic.number - 16} (INTID ${gic.number}) belongs to each processor`,
        usersOf(all, (each) => all.board.access(each).lines.some((line) => line.gic?.number === gic.number)),
        'leave it with one VM: a hypervisor gives each VM one of its own',
      );
  const foreign = access.lines.filter(({ gic, interrupt }) => !gic && !all.inside(interrupt.controller));
  for (const controller of new Set(foreign.map(({ interrupt }) => interrupt.controller))) {
    const own = foreign.filter(({ interrupt }) => interrupt.controller === controller);
    const shown = own.slice(0, LINES_SHOWN).map(({ interrupt }) => `<${interrupt.cells.join(' ')}>`);
    const more = own.length > LINES_SHOWN ? ` and ${own.length - LINES_SHOWN} more` : '';
    const summary = all.board.access(controller).lines.find((line) => line.gic?.kind === 'spi')?.gic;
    const by = controller.properties.has('msi-parent')
      ? 'messages (msi-parent)'
      : summary
        ? `SPI ${summary.number - 32} (INTID ${summary.number}), one for all`
        : 'lines of its own';
    add(
      'summaryInterrupt',
      `its ${own.length === 1 ? 'line is' : 'lines are'} ${shown.join(', ')}${more} of ` +
        `${controller.name}, which passes on what it gets by ${by}`,
      usersOf(all, (each) =>
        all.board.access(each).lines.some((line) => line.interrupt.controller === controller),
      ),
      'a line of its own to the GIC, where the SoC has one for this pin',
      'the borrower polls, or whoever keeps the controller forwards the interrupt: --accept summaryInterrupt',
    );
  }
  for (const property of ['msi-parent', 'msi-map'])
    if (node.properties.has(property))
      add(
        'messageInterrupt',
        `${property}: its interrupts are messages`,
        [],
        'use its line, where it has one: take the property out of the tree',
      );
  return blockers;
}

/**
 * Translation that Baton cannot re-point: cached in the device, answered late, or at an IOMMU that no back end
 * drives.
 */
function translationBlockers(
  all: Situation,
  { node, access }: Pick<Mover, 'node' | 'access'>,
): readonly Blocker[] {
  const blockers: Blocker[] = [];
  const add = (kind: BlockerKind, what: string, users: readonly string[], way: string) =>
    blockers.push({ kind, node: node.path, what, users, ways: [way] });
  const root = isPciFunction(node) ? bridgesOf(node) : [];
  const host = root.at(-1);
  if (host && !all.inside(host)) {
    const messages = root.some(({ properties }) => properties.has('msi-map') || properties.has('msi-parent'));
    add(
      'pciHost',
      `its configuration space is at ${host.name}: whoever has that moves its registers, and starts ` +
        `and stops its DMA${messages ? ' and its messages (MSI)' : ''}`,
      [host.path],
      'the hypervisor keeps the host bridge, and plays configuration space to the VMs: --accept pciHost',
    );
  }
  const ats = [node, ...root].find(({ properties }) => properties.has('ats-supported'));
  if (ats)
    add(
      'ats',
      `ats-supported${ats === node ? '' : ` of ${ats.name}`}: it may ask for translations and keep ` +
        'them (ATS), and ask for pages (PRI)',
      [],
      'switch ATS off for it: take the property out of the tree',
    );
  // Linux, Documentation/devicetree/bindings/iommu/iommu.txt.
  if (node.properties.has('dma-can-stall'))
    add(
      'stall',
      'dma-can-stall: its faults may wait for an answer that nobody gives after a move',
      [],
      'let its faults end at once: take the property out of the tree',
    );
  const unknown = access.streams.map(({ iommu }) => iommu).filter((iommu) => iommuKind(iommu) === 'unknown');
  for (const iommu of new Set(unknown))
    add(
      'unknownIommu',
      `its DMA goes through ${iommu.name} (${textOf(iommu, 'compatible')}), which Baton does not know`,
      usersOf(all, (each) => all.board.access(each).streams.some((stream) => stream.iommu === iommu)),
      'a back end that drives this IOMMU, and a bundle file by hand',
    );
  return blockers;
}

/** Access that a member shares with devices outside. */
function sharedBlockers(all: Situation, { node, access, needs }: Mover): readonly Blocker[] {
  const { board } = all;
  const blockers: Blocker[] = [];
  const add = (
    kind: BlockerKind,
    what: string,
    ways: readonly string[],
    has: (other: DtNode) => boolean,
    besides: readonly DtNode[] = [],
  ) => {
    const users = [...besides.filter(has).map(({ path }) => path), ...usersOf(all, has)];
    if (users.length > 0) blockers.push({ kind, node: node.path, what, users, ways });
  };
  // What it is part of reaches it, too, where its registers or line are the same.
  const above = nodesAbove(all, node);
  // The windows and lines of a PCI host are those of its functions, and none of its own.
  const wholes = isPciFunction(node) ? above.filter((at) => textOf(at, 'device_type') !== 'pci') : above;
  for (const page of access.pages) {
    const range =
      `registers 0x${page.address.toString(16)} to ` +
      `0x${(page.address + page.bytes - 1n).toString(16)}, in whole pages of 4 KiB`;
    const isOn = (other: DtNode) => board.access(other).pages.some((each) => overlap(page, each));
    add('sharedPage', range, TOGETHER, isOn, wholes);
  }
  const spis = access.lines.flatMap(({ gic }) => (gic?.kind === 'spi' ? [gic.number] : []));
  for (const number of new Set(spis)) {
    const isOn = (other: DtNode) =>
      board.access(other).lines.some(({ gic }) => gic?.kind === 'spi' && gic.number === number);
    add('sharedLine', `SPI ${number - 32} (INTID ${number})`, TOGETHER, isOn, wholes);
  }
  for (const stream of uniqueStreams(access.streams)) {
    const by = stream.declaredBy === node ? '' : ` of ${stream.declaredBy.name}`;
    const ways = [...TOGETHER, 'give it a stream ID of its own, where the SoC can'];
    const has = (other: DtNode) => board.access(other).streams.some((each) => sameStream(stream, each));
    // A whole that names the same one for itself emits it; one that names it for its parts alone is not told from that.
    add('sharedStream', `${streamText(stream)}${by}`, ways, has, stream.declaredBy === node ? wholes : []);
  }
  for (const need of needs) {
    const { role, target, cells, property } = need;
    const isSame = (other: Need) =>
      other.role === role && other.target === target && other.cells.join() === cells.join();
    const has = (other: DtNode) => board.needs(other).some(isSame);
    const name = [target?.name, ...cells].join(' ');
    if (role === 'reset')
      add('sharedReset', `reset <${name}> (${property})`, [...TOGETHER, NO_RESET], has, above);
    if (role === 'power-domain' && all.powerReset)
      add(
        'sharedPowerSwitch',
        `power switch <${name}>, by which it would be reset`,
        [...TOGETHER, NO_POWER],
        has,
        above,
      );
  }
  return blockers;
}

const NO_RESET = 'never use this line: --accept sharedReset, and the driver has to clear what stays behind';
const NO_POWER = 'reset it in another way: without --power-reset';

/** Nodes above a member that do not move with it. */
function nodesAbove({ inside }: Situation, node: DtNode): readonly DtNode[] {
  const found: DtNode[] = [];
  for (let at = node.parent; at !== undefined; at = at.parent) if (!inside(at)) found.push(at);
  return found;
}

/** Clients on a bus whose controller moves, that nobody asked for. */
function busClients({ members, inside, wanted }: Situation): readonly Blocker[] {
  return members.flatMap(({ node }) => {
    if (wanted.includes(node)) return [];
    const asked = wanted.filter((each) => each !== node && isWithin(each, node));
    const others = node.children.filter(
      (child) =>
        isEnabled(child) &&
        inside(child) &&
        child.properties.has('compatible') &&
        reachedThrough(child) === node &&
        !asked.some((each) => isWithin(each, child)),
    );
    if (asked.length === 0 || others.length === 0) return [];
    const ways = ['ask for them, too', 'move them to another bus', 'disable them in the device tree'];
    const users = others.map(({ path }) => path);
    return [
      { kind: 'busClient' as const, node: node.path, what: 'other devices are on its bus', users, ways },
    ];
  });
}

/** Devices outside that are served by one inside. */
function consumersOutside(all: Situation): readonly Blocker[] {
  const { board, members } = all;
  const clocked = new Map<DtNode, Set<string>>();
  const isMember = new Set(members.map(({ node }) => node));
  const served = new Map<DtNode, { readonly users: Set<string>; readonly roles: Set<string> }>();
  const note = (user: DtNode, role: string, target: DtNode | undefined) => {
    // The member that the target is, or is a part of.
    let owner = all.inside(target) ? target : undefined;
    while (owner !== undefined && !isMember.has(owner)) owner = owner.parent;
    if (owner === undefined) return;
    if (role === 'clock' && user.properties.has('#clock-cells')) {
      clocked.set(owner, (clocked.get(owner) ?? new Set()).add(user.path));
      return;
    }
    const found = served.get(owner) ?? { users: new Set(), roles: new Set() };
    found.users.add(user.path);
    found.roles.add(role);
    served.set(owner, found);
  };
  for (const each of all.outside) {
    for (const { role, target } of board.needs(each)) if (serves(role)) note(each, role, target);
    for (const { interrupt } of board.access(each).lines) note(each, 'interrupt', interrupt.controller);
  }
  return members.flatMap(({ node }): Blocker[] => {
    const { users, roles } = served.get(node) ?? {};
    const choosers = clocked.get(node);
    const what = `devices outside depend on it (${[...(roles ?? [])].join(', ')})`;
    return [
      ...(users
        ? [{ kind: 'consumerOutside' as const, node: node.path, what, users: [...users], ways: TOGETHER }]
        : []),
      ...(choosers
        ? [{ kind: 'clockLoop' as const, node: node.path, what: LOOP, users: [...choosers], ways: LOOP_WAYS }]
        : []),
    ];
  });
}

/**
 * A clock controller that stays may take a clock of the bundle for its own: OnePlus 6, display clocks from the PLL of
 * the DSI PHY.
 */
const LOOP =
  'a clock controller outside can choose a clock that it makes: its driver may reach for it while it is lent';
const LOOP_WAYS: readonly string[] = [
  'the keeper’s clock driver lets these clocks be until the return: --accept clockLoop',
  'ask for the clock controller, too',
];

/** Roles of what is beside a device, not below it: places in a graph, and memory. */
const BESIDE: readonly Role[] = ['endpoint', 'memory', 'panel', 'backlight', 'sound'];

/** Whether who needs something in this role depends on it. */
export function serves(role: Role): boolean {
  return !BESIDE.includes(role);
}

/** Whether `gate` decides what `node` reaches or is told. */
function isServedBy(board: Board, node: DtNode, gate: DtNode): boolean {
  const { streams, lines } = board.access(node);
  return (
    streams.some(({ iommu }) => iommu === gate) ||
    lines.some(({ interrupt }) => interrupt.controller === gate)
  );
}

function usersOf({ outside }: Situation, has: (node: DtNode) => boolean): readonly string[] {
  return outside.filter(has).map(({ path }) => path);
}

function uniqueStreams(streams: readonly DeviceStream[]): readonly DeviceStream[] {
  return streams.filter(
    (stream, index) => streams.findIndex((other) => streamText(other) === streamText(stream)) === index,
  );
}
