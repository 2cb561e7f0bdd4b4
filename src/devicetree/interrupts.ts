/**
 * Which line of which interrupt controller a device signals: `interrupts`, `interrupts-extended` and the maps of the
 * nexus nodes on the way. Pure.
 *
 * Devicetree Specification v0.4, 2.4. The specifier of an Arm GIC: Linux,
 * Documentation/devicetree/bindings/interrupt-controller/ arm,gic.yaml and arm,gic-v3.yaml.
 */

import type { Trigger } from '../protocol/bundle.ts';
import type { DtNode } from './blob.ts';
import { CELLS_MAX, cellOf, cellsOf, sizeOf, type Tree, TreeError, textsOf } from './tree.ts';

/** One interrupt of a device, at the controller that its line ends at. */
export interface Interrupt {
  readonly controller: DtNode;
  /** The controller's own specifier. */
  readonly cells: readonly number[];
}

/** A line of a GIC. */
export interface GicLine {
  readonly kind: 'spi' | 'ppi';
  /** INTID: 32 and more for an SPI, 16 to 31 for a PPI. */
  readonly number: number;
  readonly trigger: Trigger;
}

/** Most maps on the way of one interrupt: PCI behind a bridge behind a host has two. */
const MAPS_MAX = 8;
/** Most bytes of `interrupts`: a thousand of them with the longest specifiers. Network engines have some hundred. */
const INTERRUPTS_BYTES_MAX = 4 * CELLS_MAX * 1_024;
const SPI = 0;
const PPI = 1;
/** Flags of a GIC specifier. */
const EDGES = 3;
/** Extended ranges of GICv3.1 and PPI partitions are no lines that a bundle can have. */
const GICS: readonly string[] = [
  'arm,gic-v3',
  'arm,gic-400',
  'arm,cortex-a15-gic',
  'arm,cortex-a7-gic',
  'qcom,msm-qgic2',
];

/** The interrupts of a node, in order. Throws a TreeError. */
export function interruptsOf(tree: Tree, node: DtNode): readonly Interrupt[] {
  const bytes =
    (node.properties.get('interrupts') ?? node.properties.get('interrupts-extended'))?.length ?? 0;
  if (bytes > INTERRUPTS_BYTES_MAX)
    throw new TreeError(node, 'interrupts', `${bytes} bytes; at most ${INTERRUPTS_BYTES_MAX}`);
  const extended = node.properties.has('interrupts-extended');
  if (extended) {
    return tree
      .links(node, 'interrupts-extended', '#interrupt-cells')
      .flatMap((link) => (link?.target ? [ofController(tree, node, link.target, link.cells)] : []));
  }
  const cells = cellsOf(node, 'interrupts');
  if (cells.length === 0) return [];
  const parent = parentOf(tree, node);
  if (parent === undefined) throw new TreeError(node, 'interrupts', 'no interrupt-parent');
  const count = sizeOf(parent, '#interrupt-cells');
  if (count === 0 || cells.length % count !== 0)
    throw new TreeError(
      node,
      'interrupts',
      `${cells.length} cells are no multiple of the ${count} of ${parent.path}`,
    );
  return Array.from({ length: cells.length / count }, (_, index) =>
    ofController(tree, node, parent, cells.slice(index * count, (index + 1) * count)),
  );
}

/**
 * The lines that the devices behind a nexus signal, each once: the other ends of its map. Whoever has a PCI host
 * bridge has these. Throws a TreeError.
 */
export function mappedInterruptsOf(tree: Tree, nexus: DtNode): readonly Interrupt[] {
  const found = new Map<string, Interrupt>();
  for (const { controller, cells } of mapEntries(tree, nexus)) {
    const end = controller === nexus ? undefined : ofController(tree, nexus, controller, cells);
    if (end) found.set(`${end.controller.path} ${end.cells.join(' ')}`, end);
  }
  return [...found.values()];
}

/** What the specifier means at a GIC; undefined at any other controller. */
export function gicLine({ controller, cells }: Interrupt): GicLine | undefined {
  if (!textsOf(controller, 'compatible').some((name) => GICS.includes(name)) || cells.length < 3)
    return undefined;
  const [type, number = 0, flags = 0] = cells;
  const trigger: Trigger = (flags & EDGES) !== 0 ? 'edge' : 'level';
  if (type === SPI) return { kind: 'spi', number: 32 + number, trigger };
  return type === PPI ? { kind: 'ppi', number: 16 + number, trigger } : undefined;
}

/** The controller or nexus that a node signals: its own `interrupt-parent`, or that of the nearest node above. */
function parentOf(tree: Tree, node: DtNode): DtNode | undefined {
  for (let at: DtNode | undefined = node; at !== undefined; at = at.parent) {
    const phandle = cellOf(at, 'interrupt-parent', 0);
    if (phandle !== 0) return tree.withPhandle(phandle);
    // A controller above it that names nobody is meant itself.
    if (at !== node && (at.properties.has('interrupt-controller') || at.properties.has('interrupt-map')))
      return at;
  }
  return undefined;
}

/** Follows the maps from a controller or nexus to the controller where the line ends. */
function ofController(tree: Tree, node: DtNode, first: DtNode, specifier: readonly number[]): Interrupt {
  let at = first;
  let cells = specifier;
  let unit = unitOf(node, at);
  for (let maps = 0; maps < MAPS_MAX; maps++) {
    if (!at.properties.has('interrupt-map')) return { controller: at, cells };
    const mapped = throughMap(tree, at, [...unit, ...cells]);
    if (mapped === undefined)
      throw new TreeError(at, 'interrupt-map', `nothing for <${cells.join(' ')}> of ${node.path}`);
    ({ controller: at, cells, unit } = mapped);
  }
  throw new TreeError(node, 'interrupts', `more than ${MAPS_MAX} interrupt maps on the way`);
}

/** The unit address by which a nexus tells its children apart. */
function unitOf(node: DtNode, nexus: DtNode): readonly number[] {
  const count = sizeOf(nexus, '#address-cells', 0);
  const cells = cellsOf(node, 'reg').slice(0, count);
  return [...cells, ...Array.from({ length: count - cells.length }, () => 0)];
}

/** An entry of an interrupt map: what it is for, and where it leads. */
interface MapEntry extends Interrupt {
  readonly key: readonly number[];
  readonly unit: readonly number[];
}

/** The first entry for each key of a nexus. Nodes never change, and a map may be long and asked for by many. */
const MAPS = new WeakMap<DtNode, ReadonlyMap<string, MapEntry>>();

function throughMap(tree: Tree, nexus: DtNode, key: readonly number[]): MapEntry | undefined {
  const width = sizeOf(nexus, '#address-cells', 0) + sizeOf(nexus, '#interrupt-cells');
  const mask = cellsOf(nexus, 'interrupt-map-mask');
  const masked = (cells: readonly number[]) =>
    cells.map((cell, index) => (cell & (mask[index] ?? -1)) >>> 0).join();
  let map = MAPS.get(nexus);
  if (map === undefined) {
    const made = new Map<string, MapEntry>();
    for (const entry of mapEntries(tree, nexus))
      if (!made.has(masked(entry.key))) made.set(masked(entry.key), entry);
    MAPS.set(nexus, made);
    map = made;
  }
  return map.get(masked(key.slice(0, width)));
}

function* mapEntries(tree: Tree, nexus: DtNode): Iterable<MapEntry> {
  const words = cellsOf(nexus, 'interrupt-map');
  if (words.length === 0) return;
  const width = sizeOf(nexus, '#address-cells', 0) + sizeOf(nexus, '#interrupt-cells');
  for (let at = 0; at < words.length; ) {
    const controller = tree.withPhandle(words[at + width] ?? 0);
    if (controller === undefined)
      throw new TreeError(nexus, 'interrupt-map', `cell ${at + width} is no phandle`);
    const from = at + width + 1;
    const unitCells = sizeOf(controller, '#address-cells', 0);
    const to = from + unitCells + sizeOf(controller, '#interrupt-cells');
    if (to > words.length) throw new TreeError(nexus, 'interrupt-map', `its entry at cell ${at} has no end`);
    yield {
      key: words.slice(at, at + width),
      controller,
      unit: words.slice(from, from + unitCells),
      cells: words.slice(from + unitCells, to),
    };
    at = to;
  }
}
