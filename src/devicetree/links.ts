/**
 * What a node needs of others: every reference that gives access, power, a clock, a reset or a place in a graph. Pure.
 *
 * Names and cell counts: Devicetree Specification v0.4 and Linux, Documentation/devicetree/bindings (iommu/iommu.txt,
 * iommu/arm,smmu.yaml, pci/pci-iommu.txt, graph.txt of dt-schema).
 */

import type { DtNode } from './blob.ts';
import { cellOf, cellsOf, type Link, type Tree, TreeError, textsOf } from './tree.ts';

/** What a reference is for. */
export type Role =
  | 'iommu'
  | 'dma'
  | 'clock'
  | 'power-domain'
  | 'reset'
  | 'supply'
  | 'pinctrl'
  | 'phy'
  | 'interconnect'
  | 'gpio'
  | 'memory'
  | 'endpoint'
  | 'panel'
  | 'backlight'
  | 'thermal'
  | 'performance'
  | 'mailbox'
  | 'hwlock'
  | 'nvmem'
  | 'io-channel'
  | 'pwm'
  | 'sound'
  | 'bus';

/** One reference. */
export interface Need extends Link {
  readonly role: Role;
  readonly property: string;
  /** Its place in the list. */
  readonly index: number;
  /** Its name, from `clock-names` and the like. */
  readonly name: string | undefined;
}

/**
 * What a property refers to: role, the property of the target that says how many cells follow, and the list of names.
 */
type List = readonly [Role, string | undefined, string?];
const LISTS = new Map<string, List>([
  ['iommus', ['iommu', '#iommu-cells']],
  ['dmas', ['dma', '#dma-cells', 'dma-names']],
  ['clocks', ['clock', '#clock-cells', 'clock-names']],
  ['assigned-clocks', ['clock', '#clock-cells']],
  ['power-domains', ['power-domain', '#power-domain-cells', 'power-domain-names']],
  ['resets', ['reset', '#reset-cells', 'reset-names']],
  ['phys', ['phy', '#phy-cells', 'phy-names']],
  ['interconnects', ['interconnect', '#interconnect-cells', 'interconnect-names']],
  ['memory-region', ['memory', undefined, 'memory-region-names']],
  ['remote-endpoint', ['endpoint', undefined]],
  ['panel', ['panel', undefined]],
  ['backlight', ['backlight', undefined]],
  ['thermal-sensors', ['thermal', '#thermal-sensor-cells']],
  ['qcom,freq-domain', ['performance', '#freq-domain-cells']],
  ['mboxes', ['mailbox', '#mbox-cells', 'mbox-names']],
  ['hwlocks', ['hwlock', '#hwlock-cells']],
  ['nvmem-cells', ['nvmem', undefined, 'nvmem-cell-names']],
  ['io-channels', ['io-channel', '#io-channel-cells', 'io-channel-names']],
  ['pwms', ['pwm', '#pwm-cells', 'pwm-names']],
  ['sound-dai', ['sound', '#sound-dai-cells']],
  // What is reached through a bus of another.
  ['i2c-parent', ['bus', undefined]],
  ['ddc-i2c-bus', ['bus', undefined]],
  ['mdio-parent-bus', ['bus', undefined]],
  ['phy-handle', ['phy', undefined]],
  ['usb-phy', ['phy', undefined]],
]);
/** Names that say what they are at their end or beginning. */
const PATTERNS: readonly (readonly [RegExp, List])[] = [
  [/^(.+-)?gpios?$/, ['gpio', '#gpio-cells']],
  [/^.+-supply$/, ['supply', undefined]],
  [/^pinctrl-\d+$/, ['pinctrl', undefined]],
];

/** A stream of a device at an IOMMU: those IDs that agree with `id` where `mask` has 0. */
export interface Stream {
  readonly iommu: DtNode;
  readonly id: number;
  readonly mask: number;
}

/** Most stream IDs that one entry of `iommu-map` may stand for: the requester IDs of a PCI segment. */
const MAPPED_MAX = 0x1_0000;

/** The references of a node, by property. Throws a TreeError. */
export function needsOf(tree: Tree, node: DtNode): readonly Need[] {
  return [...node.properties.keys()].flatMap((property) => {
    const list = LISTS.get(property) ?? PATTERNS.find(([pattern]) => pattern.test(property))?.[1];
    // `gpio` at a hog, or `gpios` of a controller that is none: no reference list.
    if (!list || node.properties.has('gpio-hog')) return [];
    const [role, cells, namesIn] = list;
    const names = namesIn === undefined ? [] : textsOf(node, namesIn);
    return tree
      .links(node, property, cells)
      .flatMap((link, index) => (link ? [{ ...link, role, property, index, name: names[index] }] : []));
  });
}

/** Nodes never change, are of one tree, and what is below asks for theirs again. */
const STREAMS = new WeakMap<DtNode, readonly Stream[]>();

/**
 * The streams that a node's DMA can have. SMMUs take an ID, and a mask where they have two cells; what another
 * IOMMU's cells mean is not known here, and comes with its first cell as the ID. Throws a TreeError.
 */
export function streamsOf(tree: Tree, node: DtNode): readonly Stream[] {
  const known = STREAMS.get(node);
  if (known) return known;
  const streams = readStreams(tree, node);
  STREAMS.set(node, streams);
  return streams;
}

function readStreams(tree: Tree, node: DtNode): readonly Stream[] {
  const direct = tree
    .links(node, 'iommus', '#iommu-cells')
    .flatMap((link) =>
      link?.target
        ? [{ iommu: link.target, id: link.cells[0] ?? 0, mask: link.cells[1] ?? matchMask(link.target) }]
        : [],
    );
  return [...direct, ...mappedStreams(tree, node)];
}

/**
 * Bits that an SMMU ignores in every stream ID that comes without a mask: bindings/iommu/arm,smmu.yaml,
 * stream-match-mask.
 */
function matchMask(iommu: DtNode): number {
  return cellOf(iommu, 'stream-match-mask', 0);
}

/** The streams of a PCI function, by the map of its host: bus, device and function make its ID. Throws a TreeError. */
export function streamsOfFunction(tree: Tree, host: DtNode, requester: number): readonly Stream[] {
  const masked = requester & cellOf(host, 'iommu-map-mask', 0xffff);
  const words = cellsOf(host, 'iommu-map');
  for (let at = 0; at + 4 <= words.length; at += 4) {
    const [first = 0, phandle = 0, base = 0, count = 0] = words.slice(at, at + 4);
    const iommu = tree.withPhandle(phandle);
    if (iommu && masked >= first && masked - first < count)
      return [{ iommu, id: (base + masked - first) >>> 0, mask: matchMask(iommu) }];
  }
  return [];
}

/** `iommu-map`: requester IDs from a base, an IOMMU, its IDs from a base, how many. */
function mappedStreams(tree: Tree, node: DtNode): readonly Stream[] {
  const words = cellsOf(node, 'iommu-map');
  if (words.length % 4 !== 0)
    throw new TreeError(node, 'iommu-map', `${words.length} cells are no multiple of 4`);
  const streams: Stream[] = [];
  for (let at = 0; at < words.length; at += 4) {
    const [, phandle = 0, base = 0, count = 0] = words.slice(at, at + 4);
    const iommu = tree.withPhandle(phandle);
    if (iommu === undefined) throw new TreeError(node, 'iommu-map', `cell ${at + 1} is no phandle`);
    if (count === 0 || count > MAPPED_MAX || (count & (count - 1)) !== 0 || base % count !== 0) {
      // No power of two: the whole segment stands for it, which is more than it has, never less.
      streams.push({ iommu, id: 0, mask: 0xffff_ffff });
    } else {
      streams.push({ iommu, id: base, mask: ((count - 1) | matchMask(iommu)) >>> 0 });
    }
  }
  return streams;
}
