/** Device trees of the two guests that share the simulated panel: as each sees touch and display. */

import { readBlob } from '../../src/planner/blob.ts';
import { Tree } from '../../src/planner/tree.ts';
import { blobOf, type Description } from './builder.ts';

const GIC = 1;
const SMMU = 2;
const flag = new Uint8Array(0);

/** A guest's touch controller, as vault sees it unless told otherwise. */
export const TOUCH: Description = {
  reg: [0xb90_0000, 0x1000],
  interrupts: [0, 77 - 32, 4],
  iommus: [SMMU, 2],
};
/** A guest's display, as both see it unless told otherwise. */
export const DISPLAY: Description = {
  reg: [0xae0_0000, 0x1_0000],
  interrupts: [0, 0x53, 1],
  iommus: [SMMU, 0x880, SMMU, 0xc80],
};

/** A guest with these nodes on its bus. */
export function guest(devices: Description): Tree {
  return new Tree(
    readBlob(
      blobOf({
        '#address-cells': [1],
        '#size-cells': [1],
        'interrupt-parent': [GIC],
        'gic@8000000': {
          compatible: 'arm,gic-v3',
          phandle: [GIC],
          'interrupt-controller': flag,
          '#interrupt-cells': [3],
        },
        'smmu@9050000': {
          compatible: 'arm,smmu-v3',
          phandle: [SMMU],
          reg: [0x905_0000, 0x2_0000],
          '#iommu-cells': [1],
        },
        ...devices,
      }),
    ),
  );
}
