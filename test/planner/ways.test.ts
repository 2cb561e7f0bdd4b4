/** The ways out that a plan names, and the complete one that a search finds. */

import { expect, it } from 'vitest';
import { type DtNode, readBlob } from '../../src/planner/blob.ts';
import { Board } from '../../src/planner/board.ts';
import { planJson, planLines } from '../../src/planner/describe.ts';
import { type Choices, planBundle } from '../../src/planner/plan.ts';
import { isAcceptable, survey, surveyJson, surveyLines } from '../../src/planner/survey.ts';
import { Tree } from '../../src/planner/tree.ts';
import { wayOut } from '../../src/planner/ways.ts';
import { blobOf, type Description } from './builder.ts';
import { BUS, boardOf, DISPLAY, end, flag, other, PINS, planOf, RESET, SMMU } from './plan-boards.ts';

const at = (address: number, own: Description = {}) => other({ reg: [address, 0x1000], ...own });

/** What a search finds for a device, checked by planning it. */
function found(devices: Description, names: readonly string[], choices: Choices = {}) {
  const board = new Board(new Tree(readBlob(blobOf(boardOf(devices)))));
  const way = wayOut(
    board,
    names.map((name) => board.tree.find(name)!),
    choices,
  );
  if (way === undefined) return undefined;
  const wanted = way.ask.map((path) => board.tree.find(path)!);
  expect(planBundle(board, wanted, { ...choices, accept: way.accept }).blockers).toEqual([]);
  return [...way.ask, ...way.accept];
}

it('what else to ask for and what to accept, all at once', () => {
  const devices = {
    'touch@50000': other({
      compatible: 'test,touch',
      iommus: [SMMU, 0x50, 0],
      'interrupts-extended': [PINS, 7, 8],
      resets: [RESET, 5],
    }),
    'nfc@60000': at(0x6_0000, { iommus: [SMMU, 0x50, 0] }),
    'fan@70000': at(0x7_0000, { compatible: 'fsl,imx8mp-pwm', resets: [RESET, 5] }),
  };
  // A reset that is shared costs one thing accepted, or one device more.
  const way = found(devices, ['touch@50000'])!;
  expect(way.slice(0, 2)).toEqual(['/touch@50000', '/nfc@60000']);
  expect(way).toContain('summaryInterrupt');
  expect(way).toHaveLength(4);
});

it('the cheapest comes first: one thing accepted, and not a chain of devices', () => {
  const chain = Object.fromEntries(
    [5, 6, 7, 8].map((index) => [
      `d@${index}0000`,
      at(index * 0x1_0000, {
        ...DISPLAY,
        reg: [index * 0x1_0000, 0x1000],
        interrupts: [0, index, 4],
        iommus: [SMMU, index, 0],
        resets: [RESET, 1],
      }),
    ]),
  );
  expect(found(chain, ['d@50000'])).toEqual(['/d@50000', 'sharedReset']);
  const pair = { 'd@50000': chain['d@50000']!, 'd@60000': chain['d@60000']! };
  // At the same cost what shares it comes along: then nothing is left to anybody's word.
  expect(found(pair, ['d@50000'])).toEqual(['/d@50000', '/d@60000']);
});

it('what comes in with others has to be answered, too', () => {
  const line = (address: number, iommus: number[], own: Description = {}) =>
    at(address, { interrupts: [0, 20, 4], iommus, ...own });
  const devices = {
    'a@50000': line(0x5_0000, [SMMU, 0x50, 0]),
    'b@60000': line(0x6_0000, [SMMU, 0x60, 0]),
    'c@70000': at(0x7_0000, { iommus: [SMMU, 0x60, 0] }),
  };
  expect(found(devices, ['a@50000'])).toEqual(['/a@50000', '/b@60000', '/c@70000']);
});

it('what is accepted already stays so, and an accepted stays out of the count', () => {
  const devices = { 'a@50000': other({ 'interrupts-extended': [PINS, 7, 8] }) };
  expect(found(devices, ['a@50000'], { accept: ['noDma'] })).toEqual([
    '/a@50000',
    'noDma',
    'summaryInterrupt',
  ]);
});

it('there is none where something has neither another to ask for nor anything to accept', () => {
  expect(found({ 'a@50000': other({ compatible: 'arm,pl330' }) }, ['a@50000'])).toBeUndefined();
  expect(found({ 'a@50000': other({ 'msi-parent': [1] }) }, ['a@50000'])).toBeUndefined();
});

it('a search ends soon, whatever the tree', () => {
  // Each line is shared with two others, and so on, until a hundred devices would move: far too many for a bundle.
  const many = Object.fromEntries(
    Array.from({ length: 100 }, (_, index) => [
      `d@${(0x10_0000 + index * 0x1000).toString(16)}`,
      at(0x10_0000 + index * 0x1000, {
        iommus: [SMMU, 0x100 + index, 0],
        interrupts: [0, 100 + index, 4, 0, 101 + index, 4],
        resets: [RESET, index, RESET, index + 1],
      }),
    ]),
  );
  // Counted, for the clock of a busy machine says nothing: each plan asks for the access of what it names.
  let asked = 0;
  class Asked extends Board {
    override access(node: DtNode) {
      asked += 1;
      return super.access(node);
    }
  }
  const board = new Asked(new Tree(readBlob(blobOf(boardOf(many)))));
  expect(wayOut(board, [board.tree.find('d@120000')!], {})).toBeUndefined();
  expect(asked).toBeLessThan(300_000);
});

const waysOf = (devices: Description, name: string) =>
  planOf(boardOf(devices), name).blockers.flatMap(({ ways }) => ways);
const TOGETHER = 'move them together: ask for them, too';
const DISABLE = 'disable them in the device tree';

it('with another device: ask for it, or disable it', () => {
  const devices = { 'a@50000': other({}), 'b@60000': other({ reg: [0x5_0800, 0x100] }) };
  expect(waysOf(devices, 'a@50000')).toEqual([TOGETHER, DISABLE]);
});

it('what a device is part of can be asked for, and not be disabled without it', () => {
  const devices = {
    'whole@50000': other({
      ...BUS,
      compatible: 'ti,sysc',
      'a@50800': { compatible: 'arm,pl011', reg: [0x5_0800, 0x100] },
    }),
  };
  expect(waysOf(devices, 'a@50800')).toEqual([TOGETHER]);
  expect(found(devices, ['a@50800'])).toEqual(['/whole@50000/a@50800', '/whole@50000', 'noDma']);
});

it.each<[string, Description]>([
  ['its IOMMU', { '#iommu-cells': [1], compatible: 'rockchip,iommu' }],
  [
    'an interrupt controller',
    { 'interrupt-controller': flag, '#interrupt-cells': [2], 'msi-controller': flag },
  ],
  ['what serves the machine', { compatible: 'syscon' }],
  ['memory controllers', { compatible: 'nvidia,tegra210-emc' }],
])('nobody is told to ask for %s, nor to disable it', (_what, own) => {
  const devices = { 'a@50000': other({}), 'b@60000': other({ reg: [0x5_0800, 0x100], ...own }) };
  expect(waysOf(devices, 'a@50000')).toEqual(['leave it with one VM']);
  expect(found(devices, ['a@50000'])).toBeUndefined();
});

it('nobody is told to ask for the bus that a device is on', () => {
  const devices = {
    'bus@50000': other({
      ...BUS,
      compatible: new TextEncoder().encode('simple-bus\0syscon\0'),
      'a@50000': { compatible: 'arm,pl011', reg: [0x5_0000, 0x1000] },
    }),
  };
  expect(planOf(boardOf(devices), 'a@50000').blockers).toMatchObject([
    { kind: 'sharedPage', users: ['/bus@50000'], ways: ['leave it with one VM'], ask: [] },
  ]);
});

it('a companion is asked for, and never disabled', () => {
  const devices = {
    'gpu@50000': other({ iommus: [SMMU, 0x50, 0], 'qcom,gmu': [91] }),
    'gmu@60000': at(0x6_0000, { iommus: [SMMU, 0x60, 0], phandle: [91] }),
  };
  expect(waysOf(devices, 'gpu@50000')).toEqual([TOGETHER]);
  expect(found(devices, ['gpu@50000'])).toEqual(['/gpu@50000', '/gmu@60000']);
});

it('the two halves of a display are found by the search', () => {
  const devices = {
    'vop@1000': { ...DISPLAY, ...end(50, 51) },
    'hdmi@60000': at(0x6_0000, { compatible: 'test,hdmi', ...end(51, 50) }),
  };
  expect(found(devices, ['vop@1000'])).toEqual(['/vop@1000', '/hdmi@60000', 'noDma']);
});

it('the complete command is printed, and is in the JSON', () => {
  const board = new Board(new Tree(readBlob(blobOf(boardOf({ 'a@50000': other({}) })))));
  const wanted = [board.tree.find('/a@50000')!];
  const plan = planBundle(board, wanted);
  const way = wayOut(board, wanted, {})!;
  expect(planLines(plan, undefined, way).at(-1)).toBe('What would move: ask for /a@50000 --accept noDma');
  expect(planLines(plan).at(-1)).toMatch(/^No choice of devices/);
  expect(planJson(plan, undefined, undefined, way)).toMatchObject({
    verdict: 'unsure',
    wayOut: { ask: ['/a@50000'], accept: ['noDma'] },
  });
});

it('of an enforcer that its owner drives: accepted by a word', () => {
  const board = new Board(
    new Tree(readBlob(blobOf(boardOf({ 'vop@1000': DISPLAY }, 'rockchip,rk3568-iommu')))),
  );
  const wanted = [board.tree.find('/vop@1000')!];
  const { blockers } = planBundle(board, wanted);
  expect(blockers).toMatchObject([{ kind: 'unknownIommu', ask: [] }]);
  expect(blockers[0]!.ways).toEqual([
    'an enforcer of yours re-points this IOMMU, and says so: --accept unknownIommu',
  ]);
  const plan = planBundle(board, wanted, { accept: ['unknownIommu'] });
  expect(plan.blockers).toEqual([]);
  expect(planLines(plan).join('\n')).toContain(
    'you see to it that an enforcer of yours re-points this IOMMU',
  );
});

it('a list has what each device comes to, and what it is', () => {
  const devices = {
    'a@50000': other({ interrupts: [0, 20, 4] }),
    'display@1000': DISPLAY,
    'touch@60000': at(0x6_0000, {
      compatible: 'test,touchscreen',
      iommus: [SMMU, 0x60, 0],
      'interrupts-extended': [PINS, 7, 8],
    }),
    'b@70000': at(0x7_0000, { compatible: 'arm,pl330', interrupts: [0, 21, 4] }),
  };
  const candidates = survey(new Board(new Tree(readBlob(blobOf(boardOf(devices))))));
  const rows = candidates.map(surveyJson) as {
    node: string;
    mission: string | null;
    verdict: string;
    acceptable: boolean;
    blockers: { kind: string; ways: string[] }[];
  }[];
  const row = (path: string) => rows.find(({ node }) => node === path)!;
  expect(row('/display@1000')).toMatchObject({
    verdict: 'free',
    acceptable: false,
    blockers: [],
    mission: 'display',
  });
  expect(row('/a@50000')).toMatchObject({ verdict: 'unsure', acceptable: true, mission: null });
  expect(row('/touch@60000')).toMatchObject({
    verdict: 'blocked',
    acceptable: true,
    mission: 'touch',
    blockers: [{ kind: 'summaryInterrupt' }],
  });
  expect(row('/b@70000')).toMatchObject({
    verdict: 'blocked',
    acceptable: false,
    blockers: [{ kind: 'unconfinedDma' }],
  });
  for (const { blockers } of rows) for (const { ways } of blockers) expect(ways.length).toBeGreaterThan(0);
  expect(candidates.filter(isAcceptable)).toHaveLength(2);
  expect(surveyLines(candidates).filter((line) => line.endsWith(':'))).toHaveLength(4);
});

it('a device of which something cannot be read is in the list, too', () => {
  const devices = { 'a@50000': other({ interrupts: [0, 20, 4], clocks: [98, 1] }) };
  const [first] = survey(new Board(new Tree(readBlob(blobOf(boardOf(devices))))));
  expect([first!.node.name, first!.verdict]).toEqual(['a@50000', 'blocked']);
});

it('what no bundle can have is said at once, beside what may be accepted', () => {
  const devices = {
    'a@50000': other({ iommus: [40, 1] }),
    iommu: { compatible: 'test,iommu', phandle: [40], '#iommu-cells': [1] },
  };
  expect(planOf(boardOf(devices), 'a@50000').blockers.map(({ kind }) => kind)).toEqual([
    'unknownIommu',
    'unfit',
  ]);
  const [first] = survey(new Board(new Tree(readBlob(blobOf(boardOf(devices))))));
  expect([first!.verdict, isAcceptable(first!)]).toEqual(['blocked', false]);
});
