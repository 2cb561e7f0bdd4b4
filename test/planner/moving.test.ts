/** What moves as one is looked at once for a board: whatever was planned on it before, a plan is the same. */

import { expect, it } from 'vitest';
import { readBlob } from '../../src/planner/blob.ts';
import { ACCEPT_WORDS } from '../../src/planner/blockers.ts';
import { Board } from '../../src/planner/board.ts';
import { planJson } from '../../src/planner/describe.ts';
import { blockersOf, type Choices, type Plan, planBundle } from '../../src/planner/plan.ts';
import { Tree } from '../../src/planner/tree.ts';
import { blobOf, type Description } from './builder.ts';
import { boardOf, DISPLAY, flag, other, PINS, RESET, SMMU } from './plan-boards.ts';

const POWER = 50;
const client = (address: number, rest: Description = {}): Description => ({
  compatible: 'test,chip',
  reg: [address],
  'interrupts-extended': [PINS, address, 8],
  ...rest,
});

/** A bus with clients of each kind, and devices that share a reset, a power switch or a page with it, or too much. */
const DEVICES: Description = {
  'i2c@2000': {
    compatible: 'test,i2c',
    '#address-cells': [1],
    '#size-cells': [0],
    reg: [0x2000, 0x800],
    interrupts: [0, 20, 4],
    iommus: [SMMU, 0x20, 0],
    resets: [RESET, 1],
    'power-domains': [POWER, 1],
    'touch@38': client(0x38, { phandle: [51], '#gpio-cells': [0] }),
    'mux@70': {
      ...client(0x70, { compatible: 'test,i2c-mux' }),
      '#address-cells': [1],
      '#size-cells': [0],
      'i2c@0': { '#address-cells': [1], '#size-cells': [0], reg: [0], 'chip@10': client(0x10) },
    },
    'off@40': client(0x40, { status: 'disabled' }),
    'firmware@41': client(0x41, { status: 'reserved' }),
    table: { data: [1] },
  },
  'display@1000': { ...DISPLAY, 'reset-gpios': [51], 'power-domains': [POWER, 1] },
  'uart@2800': other({ reg: [0x2800, 0x100], interrupts: [0, 21, 4], resets: [RESET, 1] }),
  'engine@50000': other({ iommus: [52, 1] }),
  iommu: { compatible: 'test,iommu', phandle: [52], '#iommu-cells': [1] },
  'broken@60000': other({ reg: [0x6_0000, 0x1000], interrupts: [0, 22] }),
  power: { phandle: [POWER], '#power-domain-cells': [1], 'controller-data': flag },
};
const CHOICES: readonly Choices[] = [{}, { accept: ACCEPT_WORDS }, { powerReset: true }];

const tree = new Tree(readBlob(blobOf(boardOf(DEVICES))));
const nodes = tree.nodes().filter((node) => node.parent !== undefined);
const others = ['/i2c@2000', '/i2c@2000/off@40', '/display@1000'].map((path) => tree.find(path)!);
const requests = CHOICES.flatMap((choices) =>
  nodes.flatMap((one) => [[one], ...others.map((two) => [one, two])].map((wanted) => ({ wanted, choices }))),
);
const textOf = (plan: Plan) => JSON.stringify([planJson(plan), plan.devices ?? null]);

it('a plan is the same whatever was planned before on its board', () => {
  const board = new Board(tree);
  for (const { wanted, choices } of requests) {
    const alone = textOf(planBundle(new Board(tree), wanted, choices));
    expect(textOf(planBundle(board, wanted, choices)), wanted.map(({ path }) => path).join()).toBe(alone);
  }
});

it('the blockers by themselves are those of the plan', () => {
  const board = new Board(tree);
  const kinds = new Set<string>();
  for (const { wanted, choices } of requests) {
    const { blockers } = planBundle(board, wanted, choices);
    expect(blockersOf(new Board(tree), wanted, choices)).toEqual(blockers);
    for (const { kind } of blockers) kinds.add(kind);
  }
  const some = ['unfit', 'unreadable', 'busClient', 'sharedReset', 'sharedPowerSwitch', 'consumerOutside'];
  expect([...kinds]).toEqual(expect.arrayContaining(some));
});
