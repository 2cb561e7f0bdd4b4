/**
 * Blockers of a bundle by its devices themselves: devices that cannot move from one VM to another at all. Those by
 * sharing with devices outside are in sharing.ts. Each blocker has the node, what is wrong, the other users and the
 * ways out. Pure.
 */

import { reachedThrough } from './access.ts';
import { bridgesOf, isPciFunction, registersOf } from './addresses.ts';
import type { DtNode } from './blob.ts';
import type { Board, Mover } from './board.ts';
import { dmaOf } from './dma.ts';
import { isGic } from './interrupts.ts';
import { machineWide } from './machine.ts';
import { overlap } from './ranges.ts';
import { iommuKind, isIommu } from './streams.ts';
import { isEnabled, textOf } from './tree.ts';

export const BLOCKER_KINDS = [
  'sharedPage',
  'sharedLine',
  'sharedStream',
  'sharedReset',
  'sharedPowerSwitch',
  'busClient',
  'consumerOutside',
  'companionOutside',
  'pipelineOutside',
  'clockLoop',
  'noGic',
  'summaryInterrupt',
  'processorInterrupt',
  'messageInterrupt',
  'pciHost',
  'ats',
  'stall',
  'unknownIommu',
  'unconfinedDma',
  'unknownDma',
  'gatekeeper',
  'machineWide',
  'console',
  'disabled',
  'noAccess',
  'unreadable',
  'unfit',
] as const;
export type BlockerKind = (typeof BLOCKER_KINDS)[number];

/** Words of --accept, for blockers with another solution → the kind of blocker. */
export const ACCEPTABLE = {
  summaryInterrupt: 'summaryInterrupt',
  sharedReset: 'sharedReset',
  clockLoop: 'clockLoop',
  pciHost: 'pciHost',
  unknownIommu: 'unknownIommu',
  noDma: 'unknownDma',
} as const satisfies Record<string, BlockerKind>;
export type Acceptable = keyof typeof ACCEPTABLE;
export const ACCEPT_WORDS = Object.keys(ACCEPTABLE) as readonly Acceptable[];

/** Whether a blocker may be accepted. */
export function mayBeAccepted({ kind }: Pick<Blocker, 'kind'>): boolean {
  return ACCEPT_WORDS.some((word) => ACCEPTABLE[word] === kind);
}

/** Why the bundle cannot move as it is. */
export interface Blocker {
  readonly kind: BlockerKind;
  /** Path of the node at fault. */
  readonly node: string;
  /** What is shared or wrong. */
  readonly what: string;
  /** Paths of the other users. */
  readonly users: readonly string[];
  /** Ways out, as text. */
  readonly ways: readonly string[];
  /** Paths of nodes that may be asked for as well as a way out; empty if that does not help. */
  readonly ask: readonly string[];
}

/** The moving nodes and their surroundings, independent of which of them was asked for. */
export interface Surroundings {
  readonly board: Board;
  /** All nodes that move. */
  readonly moved: ReadonlySet<DtNode>;
  /** Whether a node moves, or is below one that moves and belongs to the same system. */
  readonly inside: (node: DtNode | undefined) => boolean;
  /** Whether a node is in use outside: neither inside, nor a whole of which a member is part. */
  readonly outside: (node: DtNode) => boolean;
  /** Whether the enforcer resets devices by switching their power off. */
  readonly powerReset: boolean;
}

/** The planned bundle and its surroundings. */
export interface Situation extends Surroundings {
  /** The members: first those that were asked for. */
  readonly members: readonly Mover[];
  /** The wanted nodes. */
  readonly wanted: readonly DtNode[];
}

export const LEAVE = 'leave it with one VM';

/** Most lines of one controller that a blocker lists; of the others it gives the number. */
const LINES_SHOWN = 3;

/** Returns the blockers of a member by itself. */
export function ownBlockers(all: Surroundings, mover: Mover): readonly Blocker[] {
  const { node } = mover;
  const { board } = all;
  const blockers: Blocker[] = [];
  const add = adder(blockers, node);
  const wrong = board.unreadable.get(node);
  for (const { message } of wrong ?? []) add('unreadable', message, [], 'correct the device tree');
  if (!isEnabled(node))
    add('disabled', 'it or a node above it is not in use', [], 'choose a node whose status is okay');
  if (wrong === undefined && reachedThrough(node) === undefined)
    add(
      'noAccess',
      'nothing above it has registers in the processors’ addresses',
      [],
      'choose the device that drives it',
    );
  const gate = isGate(board, node);
  if (gate) {
    const behind = outsideOf(all, [...board.onIommu(node), ...board.onController(node)]);
    add('gatekeeper', 'it decides what others reach or are told: who holds it holds them', behind, LEAVE);
  }
  const everybodys = machineWide(node);
  if (everybodys !== undefined) add('machineWide', everybodys, [], LEAVE);
  if (board.console === node)
    add(
      'console',
      'the console of the machine (stdout-path)',
      [],
      'choose another console: stdout-path of /chosen',
      LEAVE,
    );
  // Not checked for a device that cannot move at all.
  const isOut = blockers.some(({ kind }) => kind !== 'console');
  if (!gate)
    blockers.push(...dmaBlockers(all, mover).filter(({ kind }) => !(isOut && kind === 'unknownDma')));
  return [...blockers, ...lineBlockers(all, mover), ...translationBlockers(all, mover)];
}

/** Adds a blocker that more wanted devices do not resolve. */
function adder(blockers: Blocker[], node: DtNode) {
  return (kind: BlockerKind, what: string, users: readonly string[], ...ways: string[]) =>
    blockers.push({ kind, node: node.path, what, users, ways, ask: [] });
}

/** Returns the paths of nodes outside, each once. */
export function outsideOf({ outside }: Surroundings, nodes: readonly DtNode[]): readonly string[] {
  return [...new Set(nodes)].filter(outside).map(({ path }) => path);
}

function dmaBlockers({ board }: Surroundings, mover: Mover): readonly Blocker[] {
  const blockers: Blocker[] = [];
  const add = adder(blockers, mover.node);
  const dma = dmaOf(board, mover);
  const confine = 'put it behind an IOMMU that is enabled, where the SoC can';
  if (dma.kind === 'engine')
    add(
      'unconfinedDma',
      dma.what,
      [],
      'take `dmas` out of the borrower’s tree: its driver moves each byte then',
      confine,
    );
  else if (dma.kind === 'unconfined') add('unconfinedDma', dma.what, [], confine, LEAVE);
  else if (dma.kind === 'unknown')
    add('unknownDma', dma.what, [], 'its manual says that it does no DMA: --accept noDma', confine);
  // The holder of a page can start any device on it, including one without a driver.
  const unused = mover.access.pages.flatMap((page) => board.unusedOn(page));
  for (const each of new Set(unused)) {
    // A node with the same registers is the same device in another role.
    if (registersMeet(mover.node, each.node)) continue;
    const would = dmaOf(board, each);
    if (would.kind === 'unconfined')
      add('unconfinedDma', `${each.node.name}, which is disabled, is on its page: ${would.what}`, [], LEAVE);
  }
  return blockers;
}

/** Whether the registers of two nodes overlap. Both are readable, since they have pages. */
function registersMeet(a: DtNode, b: DtNode): boolean {
  const placed = (node: DtNode) =>
    registersOf(node).flatMap(({ physical, bytes }) =>
      physical === undefined ? [] : [{ address: physical, bytes }],
    );
  return placed(a).some((one) => placed(b).some((other) => overlap(one, other)));
}

/**
 * Devices that must not be lent: IOMMUs, their parts and what they refer to, and interrupt controllers of others (GICs,
 * controllers that pass lines on to one, and controllers for messages).
 */
export function isGate(board: Board, node: DtNode): boolean {
  return board.remembered('isGate', node, () => findGate(board, node));
}

function findGate(board: Board, node: DtNode): boolean {
  for (let at: DtNode | undefined = node; at !== undefined; at = at.parent) if (isIommu(at)) return true;
  // A node with streams of others translates for them, and a TBU is part of the IOMMU that it names.
  if (isGic(node) || board.onIommu(node).length > 0 || node.properties.has('qcom,stream-id-range'))
    return true;
  const takesMessages = node.properties.has('msi-controller') && textOf(node, 'device_type') !== 'pci';
  const serves = board
    .consumersOf(node)
    .some(({ node: user, role }) => role === 'companion' && isIommu(user));
  const passes = board
    .onController(node)
    .some((user) => board.access(user).lines.some(({ interrupt }) => interrupt.through.includes(node)));
  return (
    takesMessages ||
    serves ||
    passes ||
    board.access(node).lines.some(({ interrupt }) => interrupt.controller === node)
  );
}

/** Returns blockers for lines that cannot move: per-processor lines, lines behind another controller, and messages. */
function lineBlockers(all: Surroundings, { node, access }: Mover): readonly Blocker[] {
  const { board } = all;
  const blockers: Blocker[] = [];
  const add = adder(blockers, node);
  for (const { gic } of access.lines) {
    if (gic?.kind === 'ppi' || gic?.kind === 'eppi')
      add(
        'processorInterrupt',
        `PPI ${gic.number - 16} (INTID ${gic.number}) belongs to each processor`,
        outsideOf(all, board.onLine(gic.number)),
        'leave it with one VM: a hypervisor gives each VM one of its own',
      );
    if (gic?.kind === 'espi')
      add(
        'unfit',
        `its line is an extended SPI (INTID ${gic.number}): a bundle has lines up to INTID 1019`,
        [],
        LEAVE,
      );
  }
  if (access.lines.length === 0) return [...blockers, ...messageBlockers(node)];
  const foreign = access.lines.filter(({ gic, interrupt }) => !gic && !all.inside(interrupt.controller));
  for (const controller of new Set(foreign.map(({ interrupt }) => interrupt.controller))) {
    // A missing GIC is reported once, for the whole plan.
    if (!board.hasGic) break;
    const own = foreign.filter(({ interrupt }) => interrupt.controller === controller);
    const shown = own.slice(0, LINES_SHOWN).map(({ interrupt }) => `<${interrupt.cells.join(' ')}>`);
    const more = own.length > LINES_SHOWN ? ` and ${own.length - LINES_SHOWN} more` : '';
    add(
      'summaryInterrupt',
      `its ${own.length === 1 ? 'line is' : 'lines are'} ${shown.join(', ')}${more} of ${controller.name}, ` +
        `which passes on what it gets by ${passesBy(board, controller)}`,
      outsideOf(all, board.onController(controller)),
      'a line of its own to the GIC, where the SoC has one for this pin',
      'the borrower polls, or whoever keeps the controller forwards the interrupt: --accept summaryInterrupt',
    );
  }
  return [...blockers, ...messageBlockers(node)];
}

function messageBlockers(node: DtNode): readonly Blocker[] {
  const blockers: Blocker[] = [];
  for (const property of ['msi-parent', 'msi-map'])
    if (node.properties.has(property))
      adder(blockers, node)(
        'messageInterrupt',
        `${property}: its interrupts are messages`,
        [],
        'use its line, where it has one: take the property out of the tree',
      );
  return blockers;
}

function passesBy(board: Board, controller: DtNode): string {
  if (controller.properties.has('msi-parent')) return 'messages (msi-parent)';
  const summary = board.access(controller).lines.find((line) => line.gic?.kind === 'spi')?.gic;
  return summary ? `SPI ${summary.number - 32} (INTID ${summary.number}), one for all` : 'lines of its own';
}

/** The machine has no GIC that Baton supports, so no line of the bundle can be routed. Reported once. */
export function gicBlocker({ board, members }: Situation): readonly Blocker[] {
  const lined = members.find(({ access }) => access.lines.length > 0);
  if (board.hasGic || !lined) return [];
  const { controller } = lined.access.lines[0]!.interrupt;
  const what =
    `interrupts of this machine end at ${controller.name} (${textOf(controller, 'compatible')}): ` +
    'it has no GIC that Baton drives';
  return [{ kind: 'noGic', node: lined.node.path, what, users: [], ways: [LEAVE], ask: [] }];
}

/**
 * Translations that Baton cannot switch: cached in the device, answered late, or at an IOMMU that no enforcer supports.
 */
function translationBlockers(all: Surroundings, { node, access }: Mover): readonly Blocker[] {
  const blockers: Blocker[] = [];
  const add = adder(blockers, node);
  const root = isPciFunction(node) ? bridgesOf(node) : [];
  const host = root.at(-1);
  if (host && !all.inside(host)) {
    const messages = root.some(({ properties }) => properties.has('msi-map') || properties.has('msi-parent'));
    add(
      'pciHost',
      `its configuration space is at ${host.name}: whoever has that moves its registers, ` +
        `and starts and stops its DMA${messages ? ' and its messages (MSI)' : ''}`,
      [host.path],
      'the hypervisor keeps the host bridge, and plays configuration space to the VMs: --accept pciHost',
    );
  }
  const ats = [node, ...root].find(({ properties }) => properties.has('ats-supported'));
  if (ats)
    add(
      'ats',
      `ats-supported${ats === node ? '' : ` of ${ats.name}`}: ` +
        'it may ask for translations and keep them (ATS), and ask for pages (PRI)',
      [],
      'switch ATS off for it: take the property out of the tree',
    );
  // Linux, Documentation/devicetree/bindings/iommu/iommu.txt.
  const stalls = ['dma-can-stall', 'pasid-num-bits'].find((property) => node.properties.has(property));
  if (stalls !== undefined)
    add(
      'stall',
      `${stalls}: its faults may wait for an answer that nobody gives after a move`,
      [],
      'let its faults end at once: take the property out of the tree',
    );
  const unknown = access.streams.map(({ iommu }) => iommu).filter((iommu) => iommuKind(iommu) === 'unknown');
  for (const iommu of new Set(unknown))
    add(
      'unknownIommu',
      `its DMA goes through ${iommu.name} (${textOf(iommu, 'compatible')}), which Baton does not know`,
      outsideOf(all, all.board.onIommu(iommu)),
      'an enforcer of yours re-points this IOMMU, and says so: --accept unknownIommu',
    );
  return blockers;
}
