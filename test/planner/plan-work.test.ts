/**
 * How much a plan and a list look at, counted as properties that are asked for: it grows as the board does, and not as
 * its square. Counted, for a clock says more of the machine than of the code.
 */

import { expect, it } from 'vitest';
import { type DtNode, readBlob } from '../../src/planner/blob.ts';
import { Board } from '../../src/planner/board.ts';
import { planBundle } from '../../src/planner/plan.ts';
import { survey } from '../../src/planner/survey.ts';
import { Tree } from '../../src/planner/tree.ts';
import { wayOut } from '../../src/planner/ways.ts';
import { blobOf, type Description } from './builder.ts';
import { BUS, boardOf, flag, other, PINS, RESET, SMMU } from './plan-boards.ts';

/** Properties, and how often they were asked for. */
class Counted extends Map<string, Uint8Array> {
  static asked = 0;
  override get(name: string): Uint8Array | undefined {
    Counted.asked += 1;
    return super.get(name);
  }
  override has(name: string): boolean {
    Counted.asked += 1;
    return super.has(name);
  }
}

function counted(node: DtNode, parent?: DtNode): DtNode {
  const children: DtNode[] = [];
  const copy = { ...node, parent, properties: new Counted(node.properties), children };
  for (const child of node.children) children.push(counted(child, copy));
  return copy;
}

/** What `work` asks for on a board with these devices. */
function asked(devices: Description, work: (board: Board) => unknown): number {
  const { root, reservations } = readBlob(blobOf(boardOf(devices)));
  const tree = new Tree({ root: counted(root), reservations });
  Counted.asked = 0;
  work(new Board(tree));
  return Counted.asked;
}

const many = (count: number, make: (index: number, address: number) => Description) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => {
      const address = 0x10_0000 + index * 0x1000;
      return [`d@${address.toString(16)}`, { ...make(index, address) }];
    }),
  );
const alone = (index: number, address: number) =>
  other({ reg: [address, 0x1000], interrupts: [0, 100 + index, 4], iommus: [SMMU, 0x100 + index, 0] });
/** Clients of one bus, each with a line of its own to the pins. */
const busOf = (count: number): Description => ({
  'i2c@50000': other({
    '#address-cells': [1],
    '#size-cells': [0],
    ...Object.fromEntries(
      Array.from({ length: count }, (_, index) => [
        `chip@${(index + 1).toString(16)}`,
        { compatible: 'test,chip', reg: [index + 1], 'interrupts-extended': [PINS, index, 8] },
      ]),
    ),
  }),
});
/** A bus in a bus, and so on. */
const nested = (depth: number): Description =>
  depth === 0
    ? alone(0, 0x5_0000)
    : {
        ...BUS,
        compatible: 'simple-bus',
        reg: [0x5_0000, 0x1_0000],
        [depth === 1 ? 'd@50000' : 'bus']: nested(depth - 1),
      };

const first = (board: Board) => [board.tree.find('d@100000') ?? board.tree.find('i2c@50000')!];

it.each<[string, (count: number) => Description, (board: Board) => unknown]>([
  ['a list of devices that share nothing', (count) => many(count, alone), (board) => survey(board)],
  [
    'a plan of one of many that share a line',
    (count) => many(count, (index, address) => ({ ...alone(index, address), interrupts: [0, 100, 4] })),
    (board) => planBundle(board, first(board)),
  ],
  ['a plan of a bus with many clients', busOf, (board) => planBundle(board, first(board))],
  ['a list of many clients of one bus', busOf, (board) => survey(board)],
  ['a list of a device below many buses', (count) => ({ bus: nested(count / 3) }), (board) => survey(board)],
  [
    'a search for the way out among many',
    (count) => many(count, (index, address) => ({ ...alone(index, address), resets: [RESET, index >> 1] })),
    (board) => wayOut(board, first(board), {}),
  ],
  [
    'a board of interrupt controllers in a row',
    (count) =>
      many(count, (index, address) => ({
        ...alone(index, address),
        phandle: [1_000 + index],
        'interrupt-controller': flag,
        '#interrupt-cells': [3],
        'interrupt-parent': [index === 0 ? 1 : 999 + index],
      })),
    (board) => board.unreadable.size,
  ],
])('%s: twice as many take at most some more than twice as much', (_what, make, work) => {
  const [half, whole] = [asked(make(60), work), asked(make(120), work)];
  expect(half).toBeGreaterThan(60);
  // What is the same for any board aside; four times as much would be the square.
  expect(whole / half).toBeLessThan(2.4);
});
