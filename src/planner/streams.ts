/**
 * The streams of a node's DMA: `iommus`, `iommu-map`, and the list of masters at an SMMU of the older binding. Pure.
 *
 * Linux, Documentation/devicetree/bindings: iommu/iommu.txt, iommu/arm,smmu.yaml, pci/pci-iommu.txt; of_map_id of
 * drivers/of/base.c for entries of `iommu-map`; iommu/arm,smmu.txt of Linux 4.9 for `mmu-masters`.
 */

import type { DtNode } from './blob.ts';
import { cellOf, cellsOf, ofNode, sizeOf, type Tree, TreeError, textsOf } from './tree.ts';

/** A stream of a device at an IOMMU: the IDs that equal `id` in the bits where `mask` is 0. */
export interface Stream {
  readonly iommu: DtNode;
  readonly id: number;
  readonly mask: number;
}

/** Kinds of IOMMUs for Baton. */
export type IommuKind = 'smmuv3' | 'mmu500' | 'unknown';

/** Linux, Documentation/devicetree/bindings/iommu/arm,smmu.yaml and arm,smmu-v3.yaml. */
const IOMMUS: Readonly<Record<string, IommuKind>> = {
  'arm,smmu-v3': 'smmuv3',
  'arm,mmu-500': 'mmu500',
  'qcom,smmu-500': 'mmu500',
};
/** From the same bindings: SMMUs even without references to them. */
const SMMU = /^(arm,(smmu-v[123]|mmu-40[01]|mmu-500)|cavium,smmu-v2|(qcom|nvidia),smmu-(v2|500))$/;

export function iommuKind(iommu: DtNode): IommuKind {
  for (const name of textsOf(iommu, 'compatible')) {
    const kind = Object.hasOwn(IOMMUS, name) ? IOMMUS[name] : undefined;
    if (kind !== undefined) return kind;
  }
  return 'unknown';
}

/** Whether a node translates for others: by either binding, or by its `compatible`. */
export const isIommu = ofNode((node): boolean => {
  return (
    node.properties.has('#iommu-cells') ||
    node.properties.has('mmu-masters') ||
    textsOf(node, 'compatible').some((name) => SMMU.test(name))
  );
});

/** Most stream IDs of one entry of `iommu-map`: the requester IDs of a PCI segment. */
const MAPPED_MAX = 0x1_0000;
/** Most entries of an `iommu-map`: a host on mainline's boards has at most sixteen. */
const ENTRIES_MAX = 1_024;

/** Cached: nodes never change, belong to one tree, and the nodes below ask again. */
const STREAMS = new WeakMap<DtNode, readonly Stream[]>();

/**
 * Returns the possible streams of a node's DMA. SMMUs have an ID, and with two cells a mask. The cells of another IOMMU
 * are not interpreted: the first one counts as the ID. Throws a TreeError.
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

/** Bits that an SMMU ignores in every stream ID without a mask: bindings/iommu/arm,smmu.yaml, stream-match-mask. */
function matchMask(iommu: DtNode): number {
  return cellOf(iommu, 'stream-match-mask', 0);
}

/**
 * Returns the streams of a PCI function, by the map of its host; its ID is bus, device and function. Throws a
 * TreeError.
 */
export function streamsOfFunction(tree: Tree, host: DtNode, requester: number): readonly Stream[] {
  const masked = requester & cellOf(host, 'iommu-map-mask', 0xffff);
  const entry = mapEntries(tree, host).find(({ first, count }) => masked >= first && masked - first < count);
  return entry ? [{ iommu: entry.iommu, id: (entry.id + masked - entry.first) >>> 0, mask: entry.mask }] : [];
}

/** Whether a node has an incomplete map, which boot firmware fills in on some boards. */
export function hasEmptyMap(tree: Tree, node: DtNode): boolean {
  return node.properties.has('iommu-map') && mapEntries(tree, node).some(({ count }) => count === 0);
}

/** Returns all streams of a map: its ranges, split exactly into blocks of a power of two. */
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

/** Most bits of a mask that are expanded to single IDs; with more, the whole range counts, which is a superset. */
const SPLIT_BITS_MAX = 8;

/** Returns the requester IDs of a range after `mask` is applied to every ID: as runs, each with first and length. */
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

/** Cached: nodes never change, and each function below a host uses its map. */
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
 * The output of an entry has as many cells as its IOMMU declares (Linux 7.0 and later). Older maps always have one
 * cell; Linux recognizes them by a single target with two cells and length 1 in all entries.
 */
function isOneCellMap(tree: Tree, words: readonly number[]): boolean {
  const iommu = tree.withPhandle(words[1] ?? 0);
  if (iommu === undefined || words.length % 4 !== 0 || cellOf(iommu, '#iommu-cells', 1) !== 2) return false;
  return words.every((word, index) => (index % 4 === 1 ? word === words[1] : index % 4 !== 3 || word === 1));
}

/** A map that is invalid by the newer rule is read by the older one, if possible. */
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

/** `fixed`: cells of each output; undefined: as the IOMMU declares. */
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

/** Returns a range of IDs as aligned blocks of a power of two: first ID, and mask. */
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

/** Cached: nodes never change, so the masters of a tree's SMMUs are read once. */
const MASTERS = new WeakMap<Tree, ReadonlyMap<DtNode, readonly Stream[]>>();

/**
 * The older binding: an SMMU lists each of its masters, followed by as many stream IDs as that master declares in
 * `#stream-id-cells`. An unreadable list is a fault of the SMMU, and reported only for it (`masterComplaint`).
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

/** Returns the fault of an SMMU's list of masters; undefined when there is none. */
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
