/** Whom a line is signalled to, and which controllers hand it on as one of their own. */

import { expect, it } from 'vitest';
import { readBlob } from '../../src/planner/blob.ts';
import { Board } from '../../src/planner/board.ts';
import { planLines } from '../../src/planner/describe.ts';
import { planBundle } from '../../src/planner/plan.ts';
import { survey } from '../../src/planner/survey.ts';
import { Tree } from '../../src/planner/tree.ts';
import { blobOf, type Description } from './builder.ts';
import { BUS, boardOf, chosen, flag, GIC, inTheWay, other, PINS, planOf } from './plan-boards.ts';

const ROUTER = 80;
const router = (cells: number, own: Description = {}): Description => ({
  phandle: [ROUTER],
  'interrupt-controller': flag,
  '#interrupt-cells': [cells],
  ...own,
});
/** A device whose lines are at `router`, planned. */
const behind = (controller: Description, ...interrupts: number[]) =>
  planOf(
    boardOf({
      'router@b000000': controller,
      'a@50000': other({ 'interrupt-parent': [ROUTER], interrupts }),
      'b@60000': other({ reg: [0x6_0000, 0x1000], interrupts: [0, 300, 4] }),
    }),
    'a@50000',
  );
const linesOf = ({ members }: ReturnType<typeof planOf>) =>
  members.flatMap(({ access }) =>
    access.lines.map(({ gic, interrupt }) =>
      gic ? [gic.kind, gic.number, gic.trigger] : [interrupt.controller.name, ...interrupt.cells],
    ),
  );

// What takes the specifiers of the GIC above it hands each line on as the same.
it.each([
  'fsl,imx8mq-gpc',
  'fsl,imx6q-gpc',
  'mediatek,mt6577-sysirq',
  'nvidia,tegra30-ictlr',
  'ti,omap5-wugen-mpu',
  'allwinner,sun50i-a64-r-intc',
])('%s passes each line through', (compatible) => {
  const plan = behind(router(3, { compatible }), 0, 35, 4);
  expect(inTheWay(plan)).toEqual([]);
  expect(linesOf(plan)).toEqual([['spi', 67, 'level']]);
  expect(plan.notes).toEqual([
    'its lines pass through /router@b000000, which stays: whoever keeps that leaves them open',
  ]);
  expect(planLines(plan).join('\n')).toContain('SPI 35 (INTID 67), level, through router@b000000');
  // Two devices have the same one, whichever way each of them takes.
  expect(inTheWay(behind(router(3, { compatible }), 0, 300, 4))).toEqual([['sharedLine', '/b@60000']]);
});

it('what passes lines of others through is a gatekeeper', () => {
  const board = boardOf({
    'power@b000000': router(3, { compatible: 'fsl,imx8mq-gpc', reg: [0xb00_0000, 0x1000] }),
    'a@50000': other({ 'interrupt-parent': [ROUTER], interrupts: [0, 35, 4] }),
  });
  expect(inTheWay(planOf(board, 'power@b000000'))).toEqual([['gatekeeper', '/a@50000']]);
});

it('a controller that is not known passes nothing through, though its specifiers look like those of a GIC', () => {
  const plan = behind(router(3, { compatible: 'test,router', interrupts: [0, 7, 4] }), 0, 35, 4);
  expect(inTheWay(plan)).toEqual([['summaryInterrupt']]);
  expect(linesOf(plan)).toEqual([['router@b000000', 0, 35, 4]]);
  // Nor does one of those whose specifiers are of another kind.
  expect(inTheWay(behind(router(2, { compatible: 'fsl,imx8mq-gpc' }), 35, 4))).toEqual([
    ['summaryInterrupt'],
  ]);
});

it('qcom,pdc hands on by its ranges of <pin SPI count>', () => {
  const pdc = router(2, { compatible: 'qcom,pdc', 'qcom,pdc-ranges': [0, 480, 94, 94, 609, 31] });
  expect(linesOf(behind(pdc, 3, 4, 93, 1, 94, 4))).toEqual([
    ['spi', 480 + 3 + 32, 'level'],
    ['spi', 480 + 93 + 32, 'edge'],
    ['spi', 609 + 32, 'level'],
  ]);
  expect(inTheWay(behind(pdc, 125, 4))).toEqual([['summaryInterrupt']]);
});

it('qcom,mpm hands on by its pairs of <pin SPI>', () => {
  const mpm = router(2, { compatible: 'qcom,mpm', 'qcom,mpm-pin-map': [2, 275, 5, 296] });
  expect(linesOf(behind(mpm, 5, 4))).toEqual([['spi', 296 + 32, 'level']]);
  expect(inTheWay(behind(mpm, 3, 4))).toEqual([['summaryInterrupt']]);
});

it('renesas,irqc has one line for each that it takes', () => {
  const irqc = router(2, { compatible: 'renesas,irqc', interrupts: [0, 0, 4, 0, 1, 4, 0, 12, 4] });
  expect(linesOf(behind(irqc, 2, 8))).toEqual([['spi', 12 + 32, 'level']]);
  expect(inTheWay(behind(irqc, 3, 8))).toEqual([['summaryInterrupt']]);
});

it('st,stm32mp1-exti has a list with gaps', () => {
  const list = [GIC, 0, 6, 4, 0, GIC, 0, 8, 4];
  const exti = router(2, { compatible: 'st,stm32mp1-exti', 'interrupts-extended': list });
  expect(linesOf(behind(exti, 2, 4))).toEqual([['spi', 8 + 32, 'level']]);
  expect(inTheWay(behind(exti, 1, 4))).toEqual([['summaryInterrupt']]);
});

it.each(['socionext,uniphier-ld20-aidet', 'fsl,vf610-mscm-ir'])(
  'a line of %s is the SPI of its number',
  (compatible) => {
    expect(linesOf(behind(router(2, { compatible }), 35, 4))).toEqual([['spi', 67, 'level']]);
  },
);

it('an extended SPI is a line of its own, and too much for a bundle', () => {
  const plan = planOf(boardOf({ 'a@50000': other({ interrupts: [2, 20, 4] }) }), 'a@50000');
  expect(linesOf(plan)).toEqual([['espi', 4_116, 'level']]);
  expect(plan.blockers).toMatchObject([
    { kind: 'unfit', what: expect.stringContaining('extended SPI (INTID 4116)') },
  ]);
  const extended = planOf(boardOf({ 'a@50000': other({ interrupts: [3, 4, 1] }) }), 'a@50000');
  expect(linesOf(extended)).toEqual([['eppi', 1_060, 'edge']]);
  expect(inTheWay(extended)).toEqual([['processorInterrupt']]);
});

it('the interrupt parent of a node that names none is what it is in, where that takes interrupts', () => {
  const part = { compatible: 'test,part', reg: [0x5_1000, 0x1000], interrupts: [5] };
  const chip = (own: Description) =>
    planOf(
      boardOf({ 'chip@50000': other({ ...BUS, phandle: [81], ...own, 'part@51000': part }) }),
      'part@51000',
    );
  const controller = { 'interrupt-controller': flag, '#interrupt-cells': [1] };
  expect(linesOf(chip({ ...controller, 'interrupt-parent': [PINS] }))).toEqual([['chip@50000', 5]]);
  // One that takes none hands on to whom it names, and so on.
  const named = { 'interrupt-parent': [ROUTER], 'router@b000000': router(1, { reg: [0x5_2000, 0x1000] }) };
  expect(linesOf(chip(named))).toEqual([['router@b000000', 5]]);
});

it('interrupt-parents in a circle are an error, soon', () => {
  const circle = boardOf({
    'x@70000': other({ reg: [0x7_0000, 0x1000], phandle: [82], 'interrupt-parent': [83] }),
    'y@80000': other({ reg: [0x8_0000, 0x1000], phandle: [83], 'interrupt-parent': [82] }),
    'a@50000': other({ 'interrupt-parent': [82], interrupts: [1] }),
  });
  expect(planOf(circle, 'a@50000').blockers).toMatchObject([
    { kind: 'unreadable', what: '/a@50000, interrupts: no interrupt-parent' },
  ]);
});

it('controllers that hand on to themselves, or to each other, are an end or an error', () => {
  const compatible = 'mediatek,mt6577-sysirq';
  const self = router(3, { compatible, 'interrupt-parent': [ROUTER] });
  expect(linesOf(behind(self, 0, 35, 4))).toEqual([['router@b000000', 0, 35, 4]]);
  const pair = boardOf({
    'router@b000000': router(3, { compatible, 'interrupt-parent': [84] }),
    'other@b100000': { ...router(3, { compatible, 'interrupt-parent': [ROUTER] }), phandle: [84] },
    'a@50000': other({ 'interrupt-parent': [84], interrupts: [0, 35, 4] }),
  });
  expect(planOf(pair, 'a@50000').blockers).toMatchObject([
    { kind: 'unreadable', what: '/a@50000, interrupts: more than 8 interrupt controllers on the way' },
  ]);
});

it('a huge map of interrupts is gone through once, whoever asks', () => {
  const entries = 40_000;
  const map = Array.from({ length: entries }, (_, index) => [index, GIC, 0, index % 900, 4]).flat();
  const nexus = { phandle: [ROUTER], '#interrupt-cells': [1], '#address-cells': [0], 'interrupt-map': map };
  const devices = Object.fromEntries(
    Array.from({ length: 400 }, (_, index) => [
      `d@${(0x100_0000 + index * 0x1000).toString(16)}`,
      other({
        reg: [0x100_0000 + index * 0x1000, 0x1000],
        'interrupt-parent': [ROUTER],
        interrupts: Array.from({ length: 32 }, (_, line) => index * 32 + line),
      }),
    ]),
  );
  const startMs = performance.now();
  const board = new Board(new Tree(readBlob(blobOf(boardOf({ nexus, ...devices })))));
  expect(board.access(board.tree.find('d@1000000')!).lines).toHaveLength(32);
  // It takes some tenths of a second; once for each line would take many minutes.
  expect(performance.now() - startMs).toBeLessThan(20_000);
}, 30_000);

/** A machine whose interrupts end elsewhere. */
const FOREIGN: Description = {
  '#address-cells': [1],
  '#size-cells': [1],
  'interrupt-parent': [1],
  'interrupt-controller@1000': {
    compatible: 'ti,am33xx-intc',
    phandle: [1],
    reg: [0x1000, 0x1000],
    'interrupt-controller': flag,
    '#interrupt-cells': [1],
  },
  'a@50000': other({ interrupts: [5, 6, 7] }),
  'i2c@60000': other({
    reg: [0x6_0000, 0x1000],
    interrupts: [8],
    '#address-cells': [1],
    '#size-cells': [0],
    'touch@38': { compatible: 'test,touch', reg: [0x38], interrupts: [9] },
  }),
};

it('that there is no GIC that Baton drives is said once, whatever is asked for', () => {
  for (const name of ['a@50000', 'touch@38']) {
    const { blockers } = planOf(FOREIGN, name);
    expect(blockers).toMatchObject([
      { kind: 'noGic', what: expect.stringContaining('(ti,am33xx-intc): it has no GIC that Baton drives') },
    ]);
  }
  // What signals nothing needs none.
  const silent = { ...FOREIGN, 'a@50000': other({}) };
  expect(inTheWay(planOf(silent, 'a@50000'))).toEqual([]);
  // A GIC that is disabled is none.
  const off = { compatible: 'arm,gic-v3', reg: [0x9000, 0x1000], status: 'disabled' };
  expect(inTheWay(planOf({ ...FOREIGN, 'gic@9000': off }, 'a@50000'))).toEqual([['noGic']]);
  const on = { compatible: 'arm,gic-v3', reg: [0x9000, 0x1000] };
  expect(inTheWay(planOf({ ...FOREIGN, 'gic@9000': on }, 'a@50000'))).toEqual([
    ['summaryInterrupt', '/i2c@60000', '/i2c@60000/touch@38'],
  ]);
});

it('nobody accepts that there is no GIC', () => {
  expect(inTheWay(chosen(FOREIGN, 'a@50000', { accept: ['summaryInterrupt', 'noDma'] }))).toEqual([
    ['noGic'],
  ]);
  const board = new Board(new Tree(readBlob(blobOf(FOREIGN))));
  expect(survey(board).map(({ verdict }) => verdict)).toEqual(['blocked', 'blocked', 'blocked']);
  expect(planBundle(board, [board.tree.find('/a@50000')!]).blockers.map(({ kind }) => kind)).toContain(
    'noGic',
  );
});
