/**
 * The streams that a node names for its DMA: `iommus`, `iommu-map`, and the list that an SMMU of the older binding has
 * of its masters. Pure.
 *
 * Linux, Documentation/devicetree/bindings: iommu/iommu.txt, iommu/arm,smmu.yaml, pci/pci-iommu.txt; of_map_id of
 * drivers/of/base.c for entries of `iommu-map`; iommu/arm,smmu.txt of Linux 4.9 for `mmu-masters`.
 */

import type { DtNode } from './blob.ts';
import { cellOf, cellsOf, ofNode, sizeOf, type Tree, TreeError, textsOf } from './tree.ts';

/** A stream of a device at an IOMMU: those IDs that agree with `id` where `mask` has 0. */
export interface Stream {
  readonly iommu: DtNode;
  readonly id: number;
  readonly mask: number;
}

/** How much Baton knows of an IOMMU. */
export type IommuKind = 'smmuv3' | 'mmu500' | 'unknown';

/** Linux, Documentation/devicetree/bindings/iommu/arm,smmu.yaml and arm,smmu-v3.yaml. */
const IOMMUS: Readonly<Record<string, IommuKind>> = {
  'arm,smmu-v3': 'smmuv3',
  'arm,mmu-500': 'mmu500',
  'qcom,smmu-500': 'mmu500',
};
/** The same bindings: what is an SMMU even where nothing refers to it. */
const SMMU = /^(arm,(smmu-v[123]|mmu-40[01]|mmu-500)|cavium,smmu-v2|(qcom|nvidia),smmu-(v2|500))$/;

export function iommuKind(iommu: DtNode): IommuKind {
  for (const name of textsOf(iommu, 'compatible')) {
    const kind = Object.hasOwn(IOMMUS, name) ? IOMMUS[name] : undefined;
    if (kind !== undefined) return kind;
  }
  return 'unknown';
}

/** Whether a node translates for others: by either binding, or by what it is. */
export const isIommu = ofNode((node): boolean => {
  return (
    node.properties.has('#iommu-cells') ||
    node.properties.has('mmu-masters') ||
    textsOf(node, 'compatible').some((name) => SMMU.test(name))
  );
});

/** Most stream IDs that one entry of `iommu-map` may stand for: the requester IDs of a PCI segment. */
const MAPPED_MAX = 0x1_0000;
/** Most entries of an `iommu-map`: a host of mainline's boards has sixteen. */
const ENTRIES_MAX = 1_024;

/** Nodes never change, are of one tree, and what is below asks for theirs again. */
const STREAMS = new WeakMap<DtNode, readonly Stream[]>();

/**
 * The streams that a node's DMA can have. SMMUs take an ID, and a mask where they have two cells; what another
 * IOMMU's cells mean is not known here, and comes with its first cell as the ID. Throws a TreeError.
 */
export function streamsOf(tree: Tree, node: DtNode): readonly Stream[] {
  const known = STREAMS.get(node);
  if (known) return known;
  const streams = [
    ...directStreams(tree, node),
    ...(node.properties.has('iommu-map') ? mappedStreams(tree, node) : []),
    ...(mastersOf(tree).get(node) ?? []),
  ];
  STREAMS.set(node, streams);
  return streams;
}

function directStreams(tree: Tree, node: DtNode): readonly Stream[] {
  if (!node.properties.has('iommus')) return [];
  return tree
    .links(node, 'iommus', '#iommu-cells')
    .flatMap((link) =>
      link?.target
        ? [{ iommu: link.target, id: link.cells[0] ?? 0, mask: link.cells[1] ?? matchMask(link.target) }]
        : [],
    );
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
  const entry = mapEntries(tree, host).find(({ first, count }) => masked >= first && masked - first < count);
  return entry ? [{ iommu: entry.iommu, id: (entry.id + masked - entry.first) >>> 0, mask: entry.mask }] : [];
}

/** Whether a node has a map of which something is not filled in: boot firmware does so on some boards. */
export function hasEmptyMap(tree: Tree, node: DtNode): boolean {
  return node.properties.has('iommu-map') && mapEntries(tree, node).some(({ count }) => count === 0);
}

/** All that a map leads to: ranges as blocks of a power of two, exactly. */
function mappedStreams(tree: Tree, node: DtNode): readonly Stream[] {
  const asked = cellOf(node, 'iommu-map-mask', 0xffff_ffff);
  return mapEntries(tree, node).flatMap(({ iommu, first, id, mask, count }) =>
    reachable(first, count, asked).flatMap(([from, length]) =>
      blocksOf(id + from - first, length).map(([base, open]) => ({
        iommu,
        id: base,
        mask: (open | mask) >>> 0,
      })),
    ),
  );
}

/** Most bits of a mask that single IDs are made of; a range with more of them counts as a whole, which is more. */
const SPLIT_BITS_MAX = 8;

/** Which requester IDs of a range are left when `mask` is put on every ID: runs of them, each its first and length. */
function reachable(first: number, count: number, mask: number): readonly (readonly [number, number])[] {
  const runs: [number, number][] = [];
  const add = (id: number, length: number) => {
    const last = runs.at(-1);
    if (last && last[0] + last[1] === id) last[1] += length;
    else runs.push([id, length]);
  };
  for (const [base, open] of blocksOf(first, count)) {
    const bits = bitsOf(open & mask);
    if ((base & ~open & ~mask) !== 0) continue;
    if ((open & ~mask) === 0 || bits.length > SPLIT_BITS_MAX) add(base, open + 1);
    else
      for (let of = 0; of < 1 << bits.length; of++)
        add(
          bits.reduce((id, bit, index) => ((of >> index) & 1 ? id + bit : id), base),
          1,
        );
  }
  return runs;
}

/** The bits of a number, the lowest first. */
function bitsOf(number: number): readonly number[] {
  return Array.from({ length: 32 }, (_, bit) => (1 << bit) >>> 0).filter((bit) => (number & bit) !== 0);
}

/** An entry of `iommu-map`: requester IDs from `first` on, `count` of them, are stream IDs from `id` on. */
interface MapEntry {
  readonly first: number;
  readonly iommu: DtNode;
  readonly id: number;
  readonly mask: number;
  readonly count: number;
}

/** Nodes never change, and a host's map is asked for by each function below it. */
const MAPS = new WeakMap<DtNode, readonly MapEntry[]>();

function mapEntries(tree: Tree, node: DtNode): readonly MapEntry[] {
  const known = MAPS.get(node);
  if (known) return known;
  const words = cellsOf(node, 'iommu-map');
  const entries = isOneCellMap(tree, words)
    ? readMap(tree, node, words, 1)
    : orOneCell(words, (cells) => readMap(tree, node, words, cells));
  MAPS.set(node, entries);
  return entries;
}

/**
 * An entry has as many cells for its output as its IOMMU says (Linux 7.0 and later). Maps from before have one cell
 * always, and Linux takes those for such that have one target of two cells and the length 1 throughout.
 */
function isOneCellMap(tree: Tree, words: readonly number[]): boolean {
  const iommu = tree.withPhandle(words[1] ?? 0);
  if (iommu === undefined || words.length % 4 !== 0 || cellOf(iommu, '#iommu-cells', 1) !== 2) return false;
  return words.every((word, index) => (index % 4 === 1 ? word === words[1] : index % 4 !== 3 || word === 1));
}

/** A map that cannot be read by the newer rule is read by the older one, where that can be. */
function orOneCell<T>(words: readonly number[], read: (cells: number | undefined) => T): T {
  try {
    return read(undefined);
  } catch (error) {
    if (!(error instanceof TreeError) || words.length % 4 !== 0) throw error;
    try {
      return read(1);
    } catch {
      throw error;
    }
  }
}

/** `fixed`: cells of each output; undefined: as many as the IOMMU says. */
function readMap(
  tree: Tree,
  node: DtNode,
  words: readonly number[],
  fixed: number | undefined,
): readonly MapEntry[] {
  const entries: MapEntry[] = [];
  for (let at = 0; at < words.length; ) {
    const iommu = tree.withPhandle(words[at + 1] ?? 0);
    if (iommu === undefined) throw new TreeError(node, 'iommu-map', `cell ${at + 1} is no phandle`);
    const cells = fixed ?? sizeOf(iommu, '#iommu-cells', 1);
    const next = at + 3 + cells;
    if (next > words.length) throw new TreeError(node, 'iommu-map', `its entry at cell ${at} has no end`);
    const count = words[next - 1]!;
    if (count > MAPPED_MAX)
      throw new TreeError(
        node,
        'iommu-map',
        `its entry at cell ${at} maps ${count} IDs; at most ${MAPPED_MAX}`,
      );
    if (entries.length === ENTRIES_MAX)
      throw new TreeError(node, 'iommu-map', `more than ${ENTRIES_MAX} entries`);
    const mask = cells > 1 ? words[at + 3]! : matchMask(iommu);
    entries.push({ first: words[at]!, iommu, id: cells > 0 ? words[at + 2]! : 0, mask, count });
    at = next;
  }
  return entries;
}

/** A range of IDs as blocks, each of a power of two and aligned to it: its first ID, and the bits that are open. */
function blocksOf(first: number, count: number): readonly (readonly [number, number])[] {
  const blocks: (readonly [number, number])[] = [];
  for (let at = first, left = count; left > 0; ) {
    let size = 1;
    while (size * 2 <= left && at % (size * 2) === 0) size *= 2;
    blocks.push([at >>> 0, size - 1]);
    at += size;
    left -= size;
  }
  return blocks;
}

/** Nodes never change: the masters of a tree's SMMUs are read once. */
const MASTERS = new WeakMap<Tree, ReadonlyMap<DtNode, readonly Stream[]>>();

/**
 * The older binding: an SMMU names each of its masters, and after it as many stream IDs as that master says in
 * `#stream-id-cells`. A list that cannot be read is the SMMU's own fault, and told of it alone (`masterComplaint`).
 */
function mastersOf(tree: Tree): ReadonlyMap<DtNode, readonly Stream[]> {
  const known = MASTERS.get(tree);
  if (known) return known;
  const found = new Map<DtNode, Stream[]>();
  for (const iommu of tree.nodes()) {
    if (!iommu.properties.has('mmu-masters')) continue;
    for (const { master, ids } of mastersAsRead(tree, iommu).masters)
      found.set(master, [
        ...(found.get(master) ?? []),
        ...ids.map((id) => ({ iommu, id, mask: matchMask(iommu) })),
      ]);
  }
  MASTERS.set(tree, found);
  return found;
}

/** What is wrong with an SMMU's list of masters; undefined when nothing is. */
export function masterComplaint(tree: Tree, iommu: DtNode): TreeError | undefined {
  return iommu.properties.has('mmu-masters') ? mastersAsRead(tree, iommu).error : undefined;
}

function mastersAsRead(tree: Tree, iommu: DtNode) {
  try {
    const masters = tree
      .links(iommu, 'mmu-masters', '#stream-id-cells')
      .flatMap((link) => (link?.target ? [{ master: link.target, ids: link.cells }] : []));
    return { masters, error: undefined };
  } catch (error) {
    if (!(error instanceof TreeError)) throw error;
    return { masters: [], error };
  }
}
