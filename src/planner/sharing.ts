/**
 * Blockers of a bundle by devices outside: access that they share with a member, and needs between them and a member.
 * Pure.
 */

import { type DeviceStream, isPlainBus, reachedThrough, sameStream, streamText } from './access.ts';
import { isPciFunction } from './addresses.ts';
import type { DtNode } from './blob.ts';
import {
  type Blocker,
  type BlockerKind,
  isGate,
  LEAVE,
  outsideOf,
  type Situation,
  type Surroundings,
} from './blockers.ts';
import type { Board, Mover, Wrong } from './board.ts';
import { picturesWith } from './graph.ts';
import type { Need, Role } from './links.ts';
import { machineWide } from './machine.ts';
import { overlap } from './ranges.ts';
import { isEnabled, isInUse, isWithin, nodesBelow, ofNode, textOf } from './tree.ts';

const TOGETHER = 'move them together: ask for them, too';
const DISABLE = 'disable them in the device tree';

/** Access that a member shares with devices outside. */
export function sharedBlockers(all: Surroundings, { node, access, needs }: Mover): readonly Blocker[] {
  const { board } = all;
  const blockers: Blocker[] = [];
  const add = (
    kind: BlockerKind,
    what: string,
    ways: readonly string[],
    users: readonly DtNode[],
    besides: readonly DtNode[] = [],
  ) => {
    const paths = [...besides.map(({ path }) => path), ...outsideOf(all, users)];
    if (paths.length > 0) blockers.push(together(all, { kind, node: node.path, what, users: paths, ways }));
  };
  // The whole that it is part of reaches it too, if registers or line are the same.
  const above = nodesAbove(all, node);
  // The windows and lines of a PCI host belong to its functions.
  const wholes = isPciFunction(node) ? above.filter((at) => textOf(at, 'device_type') !== 'pci') : above;
  for (const page of access.pages) {
    const last = page.address + page.bytes - 1n;
    const range = `registers 0x${page.address.toString(16)} to 0x${last.toString(16)}, in whole pages of 4 KiB`;
    const whole = wholes.filter((at) => board.access(at).pages.some((each) => overlap(page, each)));
    add('sharedPage', range, [], board.onPage(page), whole);
  }
  const spis = access.lines.flatMap(({ gic }) => (gic?.kind === 'spi' ? [gic.number] : []));
  for (const number of new Set(spis)) {
    const whole = wholes.filter((at) => board.access(at).lines.some(({ gic }) => gic?.number === number));
    // A controller that passes the line on has it in its own list, and is not another user.
    const handing = new Set(access.lines.flatMap(({ interrupt }) => interrupt.through));
    const users = board.onLine(number).filter((other) => !handing.has(other));
    add('sharedLine', `SPI ${number - 32} (INTID ${number})`, [], users, whole);
  }
  for (const stream of uniqueStreams(access.streams)) {
    const by = stream.declaredBy === node ? '' : ` of ${stream.declaredBy.name}`;
    const has = (other: DtNode) => board.access(other).streams.some((each) => sameStream(stream, each));
    // A whole that names the same stream for itself uses it. One that names it only for its parts cannot be
    // distinguished.
    const whole = stream.declaredBy === node ? wholes.filter(has) : [];
    const ways = ['give it a stream ID of its own, where the SoC can'];
    add('sharedStream', `${streamText(stream)}${by}`, ways, board.onIommu(stream.iommu).filter(has), whole);
  }
  for (const need of needs) {
    if (need.role !== 'reset' && !(need.role === 'power-domain' && all.powerReset)) continue;
    const name = [need.target?.name, ...need.cells].join(' ');
    const whole = above.filter((at) => board.needs(at).some((each) => isSameNeed(each, need)));
    if (need.role === 'reset')
      add('sharedReset', `reset <${name}> (${need.property})`, [NO_RESET], board.onNeed(need), whole);
    else
      add(
        'sharedPowerSwitch',
        `power switch <${name}>, by which it would be reset`,
        [NO_POWER],
        board.onNeed(need),
        whole,
      );
  }
  return blockers;
}

const NO_RESET = 'never use this line: --accept sharedReset, and the driver has to clear what stays behind';
const NO_POWER = 'reset it in another way: without --power-reset';

function isSameNeed(a: Need, b: Need): boolean {
  return a.role === b.role && a.target === b.target && a.cells.join() === b.cells.join();
}

/**
 * Adds ways out through the other users: to ask for them too, if all may be asked for, and to disable them. An IOMMU,
 * an interrupt controller, a bus or a device of the whole machine may not be asked for.
 */
function together(
  { board }: Surroundings,
  blocker: Omit<Blocker, 'ask'>,
  ask: readonly string[] = blocker.users,
  disable = true,
): Blocker {
  const nodes = ask.map((path) => board.tree.find(path));
  const canAsk = ask.length > 0 && nodes.every((node) => node && isAskable(board, node));
  // The whole that it is part of cannot be disabled without it.
  const member = board.tree.find(blocker.node);
  const canDisable =
    disable && canAsk && !nodes.some((node) => node && member !== undefined && isWithin(member, node));
  const ways = [...(canAsk ? [TOGETHER] : []), ...(canDisable ? [DISABLE] : []), ...blocker.ways];
  return { ...blocker, ways: ways.length > 0 ? ways : [LEAVE], ask: canAsk ? ask : [] };
}

/** Whether a node may be asked for: whether a VM could hold it at all. */
function isAskable(board: Board, node: DtNode): boolean {
  return (
    isEnabled(node) &&
    !isPlainBus(node) &&
    !isGate(board, node) &&
    machineWide(node) === undefined &&
    reachedThrough(node) !== undefined
  );
}

/** Nodes above a member that do not move with it. */
function nodesAbove({ inside }: Surroundings, node: DtNode): readonly DtNode[] {
  const found: DtNode[] = [];
  for (let at = node.parent; at !== undefined; at = at.parent) if (!inside(at)) found.push(at);
  return found;
}

/** Clients on a bus whose controller moves: those that were not asked for, and those that are reserved for others. */
export function busClients(all: Situation): readonly Blocker[] {
  return all.members.flatMap(({ node }) => {
    const clients = clientsOf(node);
    if (clients.length === 0) return [];
    const asked = all.wanted.filter((each) => each !== node && isWithin(each, node));
    const isAsked = all.wanted.includes(node);
    const others = clients.filter(
      (client) =>
        (isEnabled(client) ? !isAsked && asked.length > 0 : true) &&
        !asked.some((each) => isWithin(each, client) || isWithin(client, each)),
    );
    if (others.length === 0) return [];
    const users = others.map(({ path }) => path);
    const ways = ['move them to another bus'];
    const what = 'other devices are on its bus';
    return [together(all, { kind: 'busClient', node: node.path, what, users, ways })];
  });
}

/** Clients in use of the bus of a controller, also those behind a multiplexer. */
const clientsOf = ofNode((node): readonly DtNode[] =>
  [...nodesBelow(node)].filter(
    (below) =>
      below !== node &&
      isInUse(below) &&
      below.properties.has('compatible') &&
      reachedThrough(below) === node &&
      isClient(below),
  ),
);

/** Whether a node is a client of a bus: it has an address there, and is not part of another client. */
function isClient(node: DtNode): boolean {
  if (!node.properties.has('reg')) return false;
  for (let at = node.parent; at !== undefined && reachedThrough(at) !== at; at = at.parent)
    if (
      at.properties.has('compatible') &&
      at.properties.has('reg') &&
      !IS_MUX.test(textOf(at, 'compatible')!)
    )
      return false;
  return true;
}

/** Bus multiplexers: bindings/i2c/i2c-mux*.yaml and their chip families. */
const IS_MUX = /mux|pca95(4|84)|max73|ltc430/;

/** Devices outside that are served by a member. */
export function consumersOutside(all: Surroundings, { node }: Mover): readonly Blocker[] {
  const { board, moved } = all;
  const served = new Map<string, Set<string>>();
  const choosers = new Set<string>();
  for (const { node: user, role } of ownParts(node, moved).flatMap((part) => board.consumersOf(part))) {
    if (!all.outside(user) || (role !== 'interrupt' && !serves(role))) continue;
    if (role === 'clock' && user.properties.has('#clock-cells')) choosers.add(user.path);
    else served.set(user.path, (served.get(user.path) ?? new Set()).add(role));
  }
  const roles = [...new Set([...served.values()].flatMap((each) => [...each]))];
  const found: Blocker[] = [];
  if (served.size > 0) {
    const what = `devices outside depend on it (${roles.join(', ')})`;
    const users = [...served.keys()];
    found.push(together(all, { kind: 'consumerOutside', node: node.path, what, users, ways: [] }));
  }
  if (choosers.size > 0) {
    const users = [...choosers];
    const loop = { kind: 'clockLoop', node: node.path, what: LOOP, users, ways: LOOP_WAYS } as const;
    found.push(together(all, loop, users, false));
  }
  return found;
}

/** Returns a member, and its parts that are neither members nor parts of others. */
function ownParts(member: DtNode, members: ReadonlySet<DtNode>): readonly DtNode[] {
  const found = [member];
  for (const part of found) for (const child of part.children) if (!members.has(child)) found.push(child);
  return found;
}

/**
 * A clock controller that stays may use a clock of the bundle as a parent: OnePlus 6, display clocks from the PLL of
 * the DSI PHY.
 */
const LOOP =
  'a clock controller outside can choose a clock that it makes: its driver may reach for it while it is lent';
const LOOP_WAYS: readonly string[] = [
  'the keeper’s clock driver lets these clocks be until the return: --accept clockLoop',
];

/** Roles without a dependency: places in a graph, memory, and access control. */
const BESIDE: readonly Role[] = ['endpoint', 'memory', 'panel', 'backlight', 'sound', 'pipeline'];

/** Whether a reference in this role is a dependency. */
export function serves(role: Role): boolean {
  return !BESIDE.includes(role);
}

/** Adds blockers for companions and pipeline stages of a member that stay outside. */
export function halvesOutside(all: Surroundings, { node, needs }: Mover): readonly Blocker[] {
  const { board, inside } = all;
  const found: Blocker[] = [];
  const companions = needs.flatMap(({ role, target }) =>
    role === 'companion' && target && isInUse(target) && !inside(target) ? [target.path] : [],
  );
  const add = (kind: BlockerKind, what: string, users: readonly string[]) =>
    found.push(together(all, { kind, node: node.path, what, users, ways: [] }, users, false));
  if (companions.length > 0)
    add('companionOutside', 'it works only through what stays outside', [...new Set(companions)]);
  const halves = picturesWith(board, node).filter((other) => !inside(other));
  if (halves.length > 0)
    add(
      'pipelineOutside',
      'it is a part of a pipeline of pictures, of which others stay outside',
      halves.map(({ path }) => path),
    );
  return found;
}

/** Parts of a node that may be shared with a member, with the name of the shared resource. */
const MAY_SHARE: readonly (readonly [Wrong['part'], (mover: Mover, all: Situation) => boolean, string])[] = [
  ['registers', ({ access }) => access.pages.length > 0, 'a page'],
  ['interrupts', ({ access }) => access.lines.length > 0, 'a line'],
  ['streams', ({ access }) => access.streams.length > 0, 'a stream'],
  ['iommu', ({ access }) => access.streams.length > 0, 'a stream'],
  ['dma', ({ access }) => access.streams.length > 0, 'a stream'],
  ['reset', ({ needs }) => needs.some(({ role }) => role === 'reset'), 'a reset'],
  [
    'power-domain',
    ({ needs }, { powerReset }) => powerReset && needs.some(({ role }) => role === 'power-domain'),
    'a power switch',
  ],
];

/** Adds blockers for nodes outside with unreadable parts that they may share with a member. */
export function unreadableOutside(all: Situation): readonly Blocker[] {
  const found: Blocker[] = [];
  for (const [node, wrongs] of all.board.unreadable) {
    if (!all.outside(node)) continue;
    for (const { part, message } of wrongs) {
      const [, has, what] = MAY_SHARE.find(([each]) => each === part) ?? [];
      const member = has && all.members.find((each) => has(each, all));
      if (!member) continue;
      found.push({
        kind: 'unreadable',
        node: node.path,
        what: `${message}: it may share ${what} with ${member.node.path}`,
        users: [],
        ways: ['correct the device tree', 'disable it in the device tree'],
        ask: [],
      });
    }
  }
  return found;
}

function uniqueStreams(streams: readonly DeviceStream[]): readonly DeviceStream[] {
  return streams.filter(
    (stream, index) => streams.findIndex((other) => streamText(other) === streamText(stream)) === index,
  );
}
