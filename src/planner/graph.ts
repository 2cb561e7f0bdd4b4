/**
 * Pipelines: devices that show or take pictures together, connected by a graph, or listed by the one that drives them
 * all. A VM cannot use a part of a pipeline. Pure.
 *
 * Endpoints: graph.txt of dt-schema; lists: the bindings that links.ts names.
 */

import { hasRegisters } from './access.ts';
import type { DtNode } from './blob.ts';
import type { Board } from './board.ts';
import { missionOf } from './mission.ts';
import { isEnabled, nodesBelow, textsOf } from './tree.ts';

/** Devices at the other ends of a node's own graph: its endpoints are below it, but not in a part that is a device. */
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

/** Returns the device of an endpoint or a port: the node above its ports. */
function deviceOf(endpoint: DtNode): DtNode {
  let at = endpoint;
  while (at.parent !== undefined && /^(endpoint|ports?)(@|$)/.test(at.name)) at = at.parent;
  return at;
}

/** Returns the other enabled devices of a node's pipeline: neighbours in the graph, and in a list. */
export function picturesWith(board: Board, node: DtNode): readonly DtNode[] {
  return board.remembered('picturesWith', node, () => findPictures(board, node));
}

function findPictures(board: Board, node: DtNode): readonly DtNode[] {
  const found = new Set<DtNode>();
  const halves = halvesOf(board, node);
  if (halves.length > 0 && showsPictures(board, node)) for (const other of halves) found.add(other);
  for (const other of familyOf(board, node)) found.add(other);
  // The list of the node itself, or of a node that lists it together with others.
  for (const { role, target } of board.needs(node))
    if (role === 'pipeline' && target) found.add(deviceOf(target));
  for (const consumer of listersOf(board, node)) {
    if (hasRegisters(consumer)) found.add(consumer);
    for (const { role, target } of board.needs(consumer))
      if (role === 'pipeline' && target) found.add(deviceOf(target));
  }
  return [...found].filter((other) => other !== node && isEnabled(other) && hasRegisters(other));
}

/** Returns the nodes that list a node, or one of its ports, as a part of a pipeline. */
function listersOf(board: Board, node: DtNode): readonly DtNode[] {
  const ends = [...nodesBelow(node)].filter((below) => deviceOf(below) === node);
  return ends.flatMap((end) =>
    board.consumersOf(end).flatMap(({ node: lister, role }) => (role === 'pipeline' ? [lister] : [])),
  );
}

/** Sound devices, whose graph ends at displays with a loudspeaker. */
const SOUND = /sound|audio|[,-](snd|i2s|ssi|sai|spdif|dai|mcasp)/;

/**
 * Devices at the other ends of a node's graph that may belong to its pipeline: both have registers, and neither is a
 * PHY (which is only switched on, `phys`), a sound device, or on a USB cable.
 */
function halvesOf(board: Board, node: DtNode): readonly DtNode[] {
  // A sensor or an encoder on a bus belongs to the pipeline of its controller.
  const isClient =
    !hasRegisters(node) && node.properties.has('reg') && textsOf(node, 'compatible').length > 0;
  return isHalf(node) || isClient ? connectedTo(board, node).filter(isHalf) : [];
}

function isHalf(node: DtNode): boolean {
  if (!hasRegisters(node) || isPhy(node) || missionOf(node) === 'usb') return false;
  return !textsOf(node, 'compatible').some((name) => SOUND.test(name));
}

/** A DSI host may also be in the `phys` of others, since it shares its PHY; it does not count as one. */
function isPhy(node: DtNode): boolean {
  const words = [node.name, ...textsOf(node, 'compatible')].join(' ');
  return node.properties.has('#phy-cells') && /phy/.test(words);
}

/**
 * Whether a device in the graph of a node shows or takes pictures: intermediate stages are not recognizable by name.
 */
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
 * Bindings whose devices are stages of one pipeline without a graph: registers elsewhere connect them
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
