/** Which streams a tree names: `iommu-map` of both rules, masters of an old SMMU; what those come to in a plan. */

import { expect, it } from 'vitest';
import { readBlob } from '../../src/planner/blob.ts';
import { streamsOf, streamsOfFunction } from '../../src/planner/streams.ts';
import { Tree } from '../../src/planner/tree.ts';
import { blobOf, type Description } from './builder.ts';
import { BUS, inTheWay, other, plainPlan } from './plan-boards.ts';

/** Phandles of SMMUs with one cell and with two: lengths of 1 in a map look like the second. */
const ONE = 2;
const TWO = 1;
const smmu = (cells: number, more: Description = {}): Description => ({
  compatible: 'arm,mmu-500',
  phandle: [cells === 1 ? ONE : TWO],
  reg: [0x100_0000 * cells, 0x1000],
  '#iommu-cells': [cells],
  ...more,
});
const treeOf = (own: Description) =>
  new Tree(
    readBlob(blobOf({ '#address-cells': [1], '#size-cells': [1], one: smmu(1), two: smmu(2), host: own })),
  );
/** Streams of a host with this map, each as its SMMU, ID and mask. */
function mapped(map: readonly number[], more: Description = {}) {
  const tree = treeOf({ 'iommu-map': map, ...more });
  return streamsOf(tree, tree.find('/host')!).map(({ iommu, id, mask }) => [iommu.name, id, mask]);
}

it('an entry has as many cells for its output as its IOMMU says: the second is a mask', () => {
  expect(mapped([0, TWO, 0x400, 0x7, 1])).toEqual([['two', 0x400, 0x7]]);
  expect(mapped([0, TWO, 0x400, 0x7, 1, 0x100, ONE, 0x20, 1])).toEqual([
    ['two', 0x400, 0x7],
    ['one', 0x20, 0],
  ]);
  // A range is of IDs; each of them has the mask.
  expect(mapped([0, TWO, 0x400, 0x10, 4])).toEqual([['two', 0x400, 0x13]]);
});

it('a range stands for its IDs exactly, also where their number is no power of two', () => {
  expect(mapped([0x10, ONE, 0x11, 7])).toEqual([
    ['one', 0x11, 0],
    ['one', 0x12, 1],
    ['one', 0x14, 3],
  ]);
  for (const [first, count] of [
    [0, 1],
    [3, 6],
    [0x11, 7],
    [0xffff_fff9, 7],
    [0, 0x1_0000],
    [5, 0x1fb],
  ] as const) {
    const ids = mapped([0, ONE, first, count]).flatMap(([, id, mask]) =>
      Array.from({ length: Number(mask) + 1 }, (_, index) => Number(id) + index),
    );
    expect(ids).toEqual(Array.from({ length: count }, (_, index) => first + index));
  }
});

it('an entry of length 0 stands for none', () => {
  expect(mapped([0, ONE, 0x11, 0])).toEqual([]);
  expect(mapped([0, ONE, 0x11, 0, 0x100, ONE, 0x30, 2])).toEqual([['one', 0x30, 1]]);
});

it('a map is of IDs with the mask of the map put on: others come to no entry', () => {
  const masked = (map: readonly number[], mask: number) =>
    mapped(map, { 'iommu-map-mask': [mask] }).map(([, id, open]) => [id, open]);
  // All functions of a host have the ID of the first.
  expect(masked([0, ONE, 0x5, 0x1000], 0)).toEqual([[0x5, 0]]);
  expect(masked([0x100, ONE, 0x5, 0x1000], 0)).toEqual([]);
  // All functions of a device have one, by the lowest three bits.
  expect(masked([0, ONE, 0x40, 0x20], 0xfff8)).toEqual([
    [0x40, 0],
    [0x48, 0],
    [0x50, 0],
    [0x58, 0],
  ]);
  expect(masked([0, ONE, 0x40, 0x20], 0xff)).toEqual([[0x40, 0x1f]]);
  expect(masked([0x10, ONE, 0x11, 7], 0xffff)).toEqual([
    [0x11, 0],
    [0x12, 1],
    [0x14, 3],
  ]);
  // Too many single ones count as the whole range.
  expect(masked([0, ONE, 0, 0x1_0000], 0xfffe)).toEqual([[0, 0xffff]]);
});

it('a map from before has one cell for each output: one target of two cells, and the length 1 throughout', () => {
  // By the newer rule it could be read, too: as four entries of other streams.
  const old = [0, TWO, 0x10, 1, 8, TWO, TWO, 1, 16, TWO, 0x12, 1, 24, TWO, 0x13, 1, TWO, TWO, 0x14, 1];
  expect(mapped(old).map(([, id, mask]) => [id, mask])).toEqual([
    [0x10, 0],
    [TWO, 0],
    [0x12, 0],
    [0x13, 0],
    [0x14, 0],
  ]);
  // What cannot be read by the newer rule is of the older one.
  expect(mapped([0, TWO, 0x400, 0x100])).toEqual([['two', 0x400, 0xff]]);
  // Of an IOMMU with one cell there is one way to read it.
  expect(mapped([0, ONE, 0x10, 1, 8, ONE, 0x11, 1])).toHaveLength(2);
});

it.each([
  [[0, 99, 0x10, 1], 'cell 1 is no phandle'],
  [[0, ONE, 0x10], 'its entry at cell 0 has no end'],
  [[0, ONE, 0x10, 0x1_0001], 'its entry at cell 0 maps 65537 IDs; at most 65536'],
  [[0, TWO, 0x10, 0, 0xffff_ffff], 'its entry at cell 0 maps 4294967295 IDs'],
  [Array.from({ length: 1_025 }, () => [0, ONE, 0x10, 1]).flat(), 'more than 1024 entries'],
])('a map that says nothing sound is an error: %#', (map, message) => {
  expect(() => mapped(map)).toThrow(`/host, iommu-map: ${message}`);
});

it('a function has the stream that the map has for its ID, by the mask of the map', () => {
  const tree = treeOf({ 'iommu-map': [0x10, ONE, 0x100, 7, 0x100, TWO, 0x40, 3, 0x10] });
  const of = (requester: number) =>
    streamsOfFunction(tree, tree.find('/host')!, requester).map(({ iommu, id, mask }) => [
      iommu.name,
      id,
      mask,
    ]);
  expect([of(0xf), of(0x10), of(0x16), of(0x17)]).toEqual([[], [['one', 0x100, 0]], [['one', 0x106, 0]], []]);
  expect(of(0x105)).toEqual([['two', 0x45, 3]]);
});

/** An SMMU of the old binding, and its masters. */
const OLD = 70;
const A = 71;
const B = 72;
const oldBoard = (masters: readonly number[], more: Description = {}): Description => ({
  'iommu@b000000': {
    compatible: 'arm,mmu-500',
    phandle: [OLD],
    reg: [0xb00_0000, 0x1000],
    'mmu-masters': masters,
  },
  'a@50000': other({ phandle: [A], '#stream-id-cells': [2] }),
  'b@60000': other({ reg: [0x6_0000, 0x1000], phandle: [B], '#stream-id-cells': [1] }),
  ...more,
});

it('masters that an old SMMU lists have streams there', () => {
  const plan = plainPlan(oldBoard([A, 0x10, 0x11, B, 0x12]), 'a@50000');
  expect(inTheWay(plan)).toEqual([]);
  expect(plan.members[0]!.access.streams.map(({ iommu, id }) => [iommu.name, id])).toEqual([
    ['iommu@b000000', 0x10],
    ['iommu@b000000', 0x11],
  ]);
  expect(inTheWay(plainPlan(oldBoard([A, 0x10, 0x12, B, 0x12]), 'a@50000'))).toEqual([
    ['sharedStream', '/b@60000'],
  ]);
});

it('an old SMMU is a gatekeeper, and so is one that nobody refers to', () => {
  const old = oldBoard([A, 0x10, 0x11, B, 0x12]);
  expect(inTheWay(plainPlan(old, 'iommu@b000000'))).toEqual([['gatekeeper', '/a@50000', '/b@60000']]);
  // By its masters alone, whatever it is called.
  const unknown = { ...(old['iommu@b000000'] as Description), compatible: 'test,translator' };
  expect(inTheWay(plainPlan({ ...old, 'iommu@b000000': unknown }, 'iommu@b000000'))[0]![0]).toBe(
    'gatekeeper',
  );
  for (const compatible of ['arm,smmu-v1', 'arm,mmu-401', 'arm,smmu-v3', 'qcom,smmu-v2'])
    expect(inTheWay(plainPlan({ 'a@50000': other({ compatible }) }, 'a@50000'))).toEqual([['gatekeeper']]);
});

it('a list of masters that cannot be read stands in the way of whatever has a stream', () => {
  const broken = (masters: readonly number[]) =>
    oldBoard(masters, { 'c@1000': other({ reg: [0x1000, 0x1000], iommus: [2, 0x50, 0] }) });
  for (const [masters, message] of [
    [[A, 0x10], '/a@50000 takes 2 cells; there are 1'],
    [[99, 0x10], 'no node has the phandle 0x63'],
    [[2, 0x10], '/smmu@e000000, #stream-id-cells: it is missing'],
  ] as const) {
    const { blockers } = plainPlan(broken(masters), 'c@1000');
    expect(blockers).toMatchObject([{ kind: 'unreadable', node: '/iommu@b000000' }]);
    expect(blockers[0]!.what).toContain(message);
    // And a master of that SMMU is known to be one.
    expect(inTheWay(plainPlan(broken(masters), 'a@50000'))).toEqual([['unconfinedDma']]);
  }
});

it('command queues and other parts of an SMMU are gatekeepers, wherever their nodes are', () => {
  const board: Description = {
    'smmu@b000000': smmu(1, { phandle: [OLD], reg: [0xb00_0000, 0x1000], 'nvidia,cmdqv': [A] }),
    'cmdqv@50000': other({ phandle: [A] }),
  };
  expect(inTheWay(plainPlan(board, 'cmdqv@50000'))[0]).toEqual(['gatekeeper']);
  const below = { 'smmu@b000000': { ...BUS, ...smmu(1), 'part@50000': other({}) } };
  expect(inTheWay(plainPlan(below, 'part@50000'))[0]).toEqual(['gatekeeper']);
});
