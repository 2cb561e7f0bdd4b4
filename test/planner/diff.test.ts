/** Two revisions of a board of our own: every kind of change, what is worse and what is not. */

import { expect, it } from 'vitest';
import { readBlob } from '../../src/planner/blob.ts';
import { Board } from '../../src/planner/board.ts';
import {
  type DeviceDiff,
  diffBoards,
  diffBundle,
  diffJson,
  diffLines,
  GRADES,
  type Grade,
  isSound,
} from '../../src/planner/diff.ts';
import { Tree } from '../../src/planner/tree.ts';
import { blobOf, type Description } from './builder.ts';

const [GIC, SMMU, RESET] = [1, 2, 4];
const flag = new Uint8Array(0);
const PANEL: Description = {
  compatible: 'test,panel',
  reg: [0x1000, 0x1000],
  interrupts: [0, 10, 4],
  iommus: [SMMU, 0x10, 0],
  resets: [RESET, 1],
};
const TOUCH: Description = {
  compatible: 'test,touch',
  reg: [0x3000, 0x1000],
  interrupts: [0, 11, 4],
  iommus: [SMMU, 0x20, 0],
};

function boardOf(devices: Description): Board {
  const root: Description = {
    '#address-cells': [1],
    '#size-cells': [1],
    'interrupt-parent': [GIC],
    'gic@f000000': { compatible: 'arm,gic-v3', phandle: [GIC], '#interrupt-cells': [3] },
    'smmu@e000000': {
      compatible: 'arm,mmu-500',
      phandle: [SMMU],
      reg: [0xe00_0000, 0x1000],
      '#iommu-cells': [2],
    },
    resets: { phandle: [RESET], '#reset-cells': [1] },
    ...devices,
  };
  return new Board(new Tree(readBlob(blobOf(root))));
}

/** What became of the panel when it, or what is beside it, changed. */
function changed(old: Description, now: Description): DeviceDiff {
  const found = diffBoards(boardOf(old), boardOf(now)).find(({ nodes }) => nodes[0] === '/panel@1000');
  return found!;
}
const panel = (rest: Description = {}) => ({ 'panel@1000': { ...PANEL, ...rest } });
const { resets: _, ...UNRESET } = PANEL;
const ALONE: Description = { 'panel@1000': UNRESET };
const beside = (rest: Description): Description => ({
  ...panel(),
  'other@5000': { compatible: 'test,other', reg: [0x5000, 0x1000], ...rest },
});

const CASES: readonly (readonly [string, Description, Description, Grade, readonly string[]])[] = [
  ['nothing', panel(), panel(), 'same', []],
  [
    'a stream that another has now, too',
    panel(),
    beside({ iommus: [SMMU, 0x10, 0] }),
    'worse',
    ['+ sharedStream: /panel@1000', 'also used by /other@5000', '(can move -> cannot move)'],
  ],
  [
    'a stream that another had',
    beside({ iommus: [SMMU, 0x10, 0] }),
    beside({ iommus: [SMMU, 0x99, 0] }),
    'better',
    ['- sharedStream: /panel@1000', '(cannot move -> can move)'],
  ],
  [
    'one more that shares',
    beside({ iommus: [SMMU, 0x10, 0] }),
    {
      ...beside({ iommus: [SMMU, 0x10, 0] }),
      'third@6000': { ...TOUCH, reg: [0x6000, 0x1000], iommus: [SMMU, 0x10, 0] },
    },
    'worse',
    ['+ sharedStream', 'also used by /third@6000', '(cannot move)'],
  ],
  [
    'a shared stream with another number',
    beside({ iommus: [SMMU, 0x10, 0] }),
    { ...beside({ iommus: [SMMU, 0x14, 0] }), ...panel({ iommus: [SMMU, 0x14, 0] }) },
    'changed',
    ['- stream 0x10 at smmu@e000000', '+ stream 0x14 at smmu@e000000'],
  ],
  [
    'a page',
    panel(),
    panel({ reg: [0x1000, 0x2000] }),
    'changed',
    ['- registers 0x1000, 0x1000 bytes', '+ registers 0x1000, 0x2000 bytes'],
  ],
  [
    'a line',
    panel(),
    panel({ interrupts: [0, 12, 4] }),
    'changed',
    ['- SPI 10 (INTID 42), level', '+ SPI 12 (INTID 44), level'],
  ],
  [
    'a trigger',
    panel(),
    panel({ interrupts: [0, 10, 1] }),
    'changed',
    ['- SPI 10 (INTID 42), level', '+ SPI 10 (INTID 42), edge'],
  ],
  [
    'a mask',
    panel(),
    panel({ iommus: [SMMU, 0x10, 1] }),
    'changed',
    ['- stream 0x10 at smmu', '+ stream 0x10 (mask 0x1) at smmu'],
  ],
  [
    'a second stream',
    panel(),
    panel({ iommus: [SMMU, 0x10, 0, SMMU, 0x11, 0] }),
    'changed',
    ['+ stream 0x11 at smmu'],
  ],
  [
    'a part',
    panel({ '#address-cells': [1], '#size-cells': [1], ranges: flag }),
    panel({
      '#address-cells': [1],
      '#size-cells': [1],
      ranges: flag,
      'dsi@2000': { compatible: 'test,dsi', reg: [0x2000, 0x1000] },
    }),
    'changed',
    ['+ /panel@1000/dsi@2000 (part of panel@1000)'],
  ],
  ['a reset that it had', panel(), ALONE, 'worse', ['- reset by its line', '+ no reset']],
  ['a reset that it has now', ALONE, panel(), 'changed', ['- no reset', '+ reset by its line']],
  ['a stream that is named no more', panel(), panel({ iommus: [] }), 'worse', ['can move if it does no DMA']],
  ['switched off', panel(), panel({ status: 'disabled' }), 'worse', ['(can move -> is disabled)']],
  ['switched on', panel({ status: 'disabled' }), panel(), 'new', ['(is disabled -> can move)']],
  ['gone', panel(), {}, 'worse', ['(can move -> is not there)']],
  [
    'gone, and it could not move',
    beside({ iommus: [SMMU, 0x10, 0] }),
    {},
    'gone',
    ['(cannot move -> is not there)'],
  ],
  ['new', {}, panel(), 'new', ['(is not there -> can move)']],
  [
    'at another path',
    panel(),
    { bus: { '#address-cells': [1], '#size-cells': [1], ranges: flag, 'panel@1000': PANEL } },
    'worse',
    ['perhaps it is /bus/panel@1000 now'],
  ],
];

it.each(CASES)('%s', (_name, old, now, grade, words) => {
  const diff = changed(old, now);
  expect(diff.grade).toBe(grade);
  const text = diffLines([diff]).join('\n');
  for (const each of words) expect(text).toContain(each);
  expect(isSound([diff])).toBe(grade !== 'worse');
  expect(diffJson([diff])).toMatchObject({
    ok: grade !== 'worse',
    devices: grade === 'same' ? [] : [{ grade }],
  });
});

it('every grade has its case', () => {
  expect(new Set(CASES.map(([, , , grade]) => grade))).toEqual(new Set(GRADES));
});

it('the worst comes first: what could move and cannot, then what only got worse', () => {
  const old = boardOf({
    ...panel(),
    'a@5000': { ...TOUCH, reg: [0x5000, 0x1000], resets: [RESET, 2], 'ats-supported': flag },
  });
  const now = boardOf({
    'a@5000': { ...TOUCH, reg: [0x5000, 0x1000], 'ats-supported': flag },
    'panel@1000': { ...PANEL, 'dma-can-stall': flag },
    'new@7000': { ...TOUCH, reg: [0x7000, 0x1000], interrupts: [0, 77, 4], iommus: [SMMU, 0x77, 0] },
  });
  const lines = diffLines(diffBoards(old, now));
  expect(lines.filter((line) => /^ {2}\//.test(line) || /:$/.test(line))).toEqual([
    'Got worse:',
    '  /panel@1000  (can move -> cannot move)',
    '  /a@5000  (cannot move)',
    'New:',
    '  /new@7000  (is not there -> can move)',
  ]);
  expect(lines.at(-1)).toBe(
    '3 devices: 2 got worse (1 could move and cannot now), 0 got better, 0 changed, 0 gone, 1 new, 0 the same.',
  );
});

it('a bundle is compared as one', () => {
  const [old, now] = [
    boardOf({ ...panel(), 'touch@3000': TOUCH }),
    boardOf({ ...panel(), 'touch@3000': { ...TOUCH, iommus: [SMMU, 0x10, 0] } }),
  ];
  const nodes = (board: Board) => ['/panel@1000', '/touch@3000'].map((path) => board.tree.find(path));
  const both = diffBundle(['/panel@1000', '/touch@3000'], [old, nodes(old)], [now, nodes(now)]);
  // They share a stream now, but with each other.
  expect(both).toMatchObject({ before: 'free', after: 'free', grade: 'changed', came: [] });
  const alone = diffBundle(['/touch@3000'], [old, nodes(old).slice(1)], [now, nodes(now).slice(1)]);
  expect(alone).toMatchObject({ before: 'free', after: 'blocked', grade: 'worse' });
  const half = diffBundle(
    ['/panel@1000', '/none'],
    [old, nodes(old)],
    [now, [now.tree.find('/panel@1000'), undefined]],
  );
  expect(half).toMatchObject({ before: 'free', after: 'absent', grade: 'worse' });
});
