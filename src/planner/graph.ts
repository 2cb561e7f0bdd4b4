/**
 * Devices that show or take pictures together: display and capture controllers connected by a graph, or listed by the
 * one that drives them all. Half of one is nothing that a VM could use. Pure.
 *
 * Endpoints: graph.txt of dt-schema; lists: the bindings that links.ts names.
 */

import { hasRegisters } from './access.ts';
import type { DtNode } from './blob.ts';
import type { Board } from './board.ts';
import { missionOf } from './mission.ts';
import { isEnabled, nodesBelow, textsOf } from './tree.ts';

/**
 * Devices at the other ends of a node's own graph: its endpoints are below it, in no part that is a device itself.
 */
export function connectedTo(board: Board, node: DtNode): readonly DtNode[] {
  return board.remembered('connectedTo', node, () => findConnected(board, node));
}

function findConnected(board: Board, node: DtNode): readonly DtNode[] {
  return [...nodesBelow(node)]
    .filter((below) => below !== node && deviceOf(below) === node)
    .flatMap((endpoint) => board.needs(endpoint))
    .flatMap(({ role, target }) =>
      role === 'endpoint' && target && isEnabled(target) ? [deviceOf(target)] : [],
    );
}

/** The device that an endpoint or a port belongs to: above its ports. */
function deviceOf(endpoint: DtNode): DtNode {
  let at = endpoint;
  while (at.parent !== undefined && /^(endpoint|ports?)(@|$)/.test(at.name)) at = at.parent;
  return at;
}

/** Enabled devices that make one picture with a node, the node aside: neighbours in the graph, and in a list. */
export function picturesWith(board: Board, node: DtNode): readonly DtNode[] {
  return board.remembered('picturesWith', node, () => findPictures(board, node));
}

function findPictures(board: Board, node: DtNode): readonly DtNode[] {
  const found = new Set<DtNode>();
  const halves = halvesOf(board, node);
  if (halves.length > 0 && showsPictures(board, node)) for (const other of halves) found.add(other);
  for (const other of familyOf(board, node)) found.add(other);
  // It lists what it is made of; or whoever lists it has others, too.
  for (const { role, target } of board.needs(node))
    if (role === 'pipeline' && target) found.add(deviceOf(target));
  for (const consumer of listersOf(board, node)) {
    if (hasRegisters(consumer)) found.add(consumer);
    for (const { role, target } of board.needs(consumer))
      if (role === 'pipeline' && target) found.add(deviceOf(target));
  }
  return [...found].filter((other) => other !== node && isEnabled(other) && hasRegisters(other));
}

/** Who lists a node, or one of its ports, as a part of a pipeline. */
function listersOf(board: Board, node: DtNode): readonly DtNode[] {
  const ends = [...nodesBelow(node)].filter((below) => deviceOf(below) === node);
  return ends.flatMap((end) =>
    board.consumersOf(end).flatMap(({ node: lister, role }) => (role === 'pipeline' ? [lister] : [])),
  );
}

/** What plays and records: its graph ends at displays with a loudspeaker. */
const SOUND = /sound|audio|[,-](snd|i2s|ssi|sai|spdif|dai|mcasp)/;

/**
 * Devices at the other ends of a node's graph that could be halves of one picture with it: both have registers, and
 * neither is a PHY, which is only switched on (`phys`), nor plays sound, nor is on a USB cable.
 */
function halvesOf(board: Board, node: DtNode): readonly DtNode[] {
  // A sensor or an encoder on a bus is half of what its controller shows or takes.
  const isClient =
    !hasRegisters(node) && node.properties.has('reg') && textsOf(node, 'compatible').length > 0;
  return isHalf(node) || isClient ? connectedTo(board, node).filter(isHalf) : [];
}

function isHalf(node: DtNode): boolean {
  if (!hasRegisters(node) || isPhy(node) || missionOf(node) === 'usb') return false;
  return !textsOf(node, 'compatible').some((name) => SOUND.test(name));
}

/** A DSI host may lend its PHY to others, and be one of its binding's `phys`, too: it is called no PHY. */
function isPhy(node: DtNode): boolean {
  const words = [node.name, ...textsOf(node, 'compatible')].join(' ');
  return node.properties.has('#phy-cells') && /phy/.test(words);
}

/** Whether somebody in the graph of a node shows or takes pictures: what is between two of them is told by no name. */
function showsPictures(board: Board, node: DtNode): boolean {
  const seen = new Set([node]);
  for (const each of seen) {
    const mission = missionOf(each);
    if (mission === 'display' || mission === 'camera') return true;
    for (const next of halvesOf(board, each)) seen.add(next);
  }
  return false;
}

/**
 * Bindings whose devices are stages of one pipeline though no graph says which: its registers elsewhere connect them
 * (bindings/display/mediatek and media/mediatek,mdp3-*.yaml: mmsys and mutex).
 */
const FAMILIES: readonly RegExp[] = [
  /^mediatek,mt\w+-(disp-(?!pwm)|vdo1-rdma|dp-intf|dpi|dsi)/,
  /^mediatek,mt\w+-(mdp3-|vpp-mutex)/,
];

/** Enabled devices of the same family. */
function familyOf(board: Board, node: DtNode): readonly DtNode[] {
  const names = textsOf(node, 'compatible');
  const family = FAMILIES.find((each) => names.some((name) => each.test(name)));
  if (family === undefined) return [];
  return board.enabled.filter((other) => textsOf(other, 'compatible').some((name) => family.test(name)));
}
