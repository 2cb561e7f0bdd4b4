/** A board of our own for the tests of the planner, with devices to put on it. */

import { readBlob } from '../../src/planner/blob.ts';
import { Board } from '../../src/planner/board.ts';
import { type Choices, type Plan, planBundle } from '../../src/planner/plan.ts';
import { Tree } from '../../src/planner/tree.ts';
import { blobOf, type Description } from './builder.ts';

export const flag = new Uint8Array(0);
export const GIC = 1;
export const SMMU = 2;
export const CLOCK = 3;
export const RESET = 4;
export const DMA = 5;
export const PINS = 6;

/** A board with `devices` on its bus, beside a GIC, an SMMU, clocks, resets, a DMA controller and pins. */
export function boardOf(devices: Description, iommu = 'arm,mmu-500'): Description {
  return {
    '#address-cells': [1],
    '#size-cells': [1],
    'interrupt-parent': [GIC],
    'gic@f000000': {
      compatible: 'arm,gic-v3',
      phandle: [GIC],
      'interrupt-controller': flag,
      '#interrupt-cells': [3],
    },
    'smmu@e000000': { compatible: iommu, phandle: [SMMU], reg: [0xe00_0000, 0x1000], '#iommu-cells': [2] },
    clocks: { phandle: [CLOCK], '#clock-cells': [1] },
    resets: { phandle: [RESET], '#reset-cells': [1] },
    'dma@d000000': {
      phandle: [DMA],
      reg: [0xd00_0000, 0x1000],
      '#dma-cells': [1],
      iommus: [SMMU, 0x30, 0],
      interrupts: [0, 90, 4],
    },
    'pins@c000000': {
      phandle: [PINS],
      reg: [0xc00_0000, 0x1000],
      '#gpio-cells': [2],
      'interrupt-controller': flag,
      '#interrupt-cells': [2],
      interrupts: [0, 91, 4],
    },
    ...devices,
  };
}

export const DISPLAY: Description = {
  compatible: 'test,display',
  reg: [0x1000, 0x1800],
  interrupts: [0, 10, 4],
  iommus: [SMMU, 0x10, 0x1],
  clocks: [CLOCK, 1],
  resets: [RESET, 1],
};

/** A plan for which somebody has seen to it that what has no stream does no DMA: tests of DMA plan by `chosen`. */
export function planOf(board: Description, ...names: string[]): Plan {
  const tree = new Tree(readBlob(blobOf(board)));
  const wanted = names.map((name) => tree.find(name)!);
  return planBundle(new Board(tree), wanted, { accept: ['noDma'] });
}

export const I2C: Description = {
  '#address-cells': [1],
  '#size-cells': [0],
  reg: [0x2000, 0x1000],
  'touch@38': { compatible: 'test,touch', reg: [0x38] },
};

export const other = (rest: Description): Description => ({
  compatible: 'test,other',
  reg: [0x5_0000, 0x1000],
  ...rest,
});

export const OFF_IOMMU: Description = {
  compatible: 'arm,mmu-500',
  reg: [0x6_0000, 0x1000],
  '#iommu-cells': [1],
  status: 'disabled',
};

export const NO_STREAM: Description = { phandle: [41], '#dma-cells': [0], reg: [0x7_0000, 0x1000] };

export const BUS: Description = { '#address-cells': [1], '#size-cells': [1], ranges: flag };

export const PART: Description = { compatible: 'test,part', reg: [0x5_1000, 0x1000] };

/** The end `phandle` of a graph, whose other end is `other`. */
export const end = (phandle: number, other: number): Description => ({
  port: { endpoint: { phandle: [phandle], 'remote-endpoint': [other] } },
});

/** A plan with choices. */
export function chosen(board: Description, name: string, choices: Choices): Plan {
  const tree = new Tree(readBlob(blobOf(board)));
  return planBundle(new Board(tree), [tree.find(name)!], choices);
}

/** The plan of one device as it is, with nothing accepted. */
export function plainPlan(devices: Description, name: string, iommu?: string): Plan {
  return chosen(boardOf(devices, iommu), name, {});
}

/** What stands in the way of a plan: each kind, with who else uses it. */
export function inTheWay({ blockers }: Plan): readonly (readonly string[])[] {
  return blockers.map(({ kind, users }) => [kind, ...users]);
}
