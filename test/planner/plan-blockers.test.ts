/** Every kind of blocker on a board of our own, with its node, users and ways out. */

import { expect, it } from 'vitest';
import { BLOCKER_KINDS, type BlockerKind } from '../../src/planner/blockers.ts';
import { planLines } from '../../src/planner/describe.ts';
import type { Description } from './builder.ts';
import {
  BUS,
  boardOf,
  DISPLAY,
  DMA,
  end,
  flag,
  GIC,
  I2C,
  NO_STREAM,
  OFF_IOMMU,
  other,
  PART,
  PINS,
  planOf,
  RESET,
  SMMU,
} from './plan-boards.ts';

const CASES: readonly (readonly [BlockerKind, Description, string, string, readonly string[], string?])[] = [
  [
    'sharedPage',
    { 'a@1000': other({ reg: [0x1000, 0x100] }), 'b@1800': other({ reg: [0x1800, 0x100] }) },
    'a@1000',
    '/a@1000',
    ['/b@1800'],
  ],
  [
    'sharedLine',
    { 'a@1000': DISPLAY, 'b@50000': other({ interrupts: [0, 10, 4] }) },
    'a@1000',
    '/a@1000',
    ['/b@50000'],
  ],
  [
    'sharedStream',
    { 'a@1000': DISPLAY, 'b@50000': other({ iommus: [SMMU, 0x11, 0] }) },
    'a@1000',
    '/a@1000',
    ['/b@50000'],
  ],
  [
    'sharedStream',
    { 'a@50000': other({ dmas: [DMA, 1] }), 'b@1000': { ...DISPLAY, dmas: [DMA, 2] } },
    'a@50000',
    '/a@50000',
    ['/dma@d000000', '/b@1000'],
  ],
  [
    'sharedReset',
    { 'a@1000': DISPLAY, 'b@50000': other({ resets: [RESET, 1] }) },
    'a@1000',
    '/a@1000',
    ['/b@50000'],
  ],
  [
    'busClient',
    { 'i2c@2000': { ...I2C, 'nfc@40': { compatible: 'test,nfc', reg: [0x40] } } },
    'touch@38',
    '/i2c@2000',
    ['/i2c@2000/nfc@40'],
  ],
  [
    'consumerOutside',
    { 'a@50000': other({ phandle: [20], '#phy-cells': [0] }), 'b@1000': { ...DISPLAY, phys: [20] } },
    'a@50000',
    '/a@50000',
    ['/b@1000'],
  ],
  [
    'summaryInterrupt',
    {
      'a@50000': other({ 'interrupts-extended': [PINS, 7, 8] }),
      'b@1000': { ...DISPLAY, 'interrupts-extended': [PINS, 8, 8] },
    },
    'a@50000',
    '/a@50000',
    ['/b@1000'],
  ],
  ['processorInterrupt', { 'a@50000': other({ interrupts: [1, 7, 4] }) }, 'a@50000', '/a@50000', []],
  ['messageInterrupt', { 'a@50000': other({ 'msi-parent': [GIC] }) }, 'a@50000', '/a@50000', []],
  ['ats', { 'a@50000': other({ 'ats-supported': flag }) }, 'a@50000', '/a@50000', []],
  ['unconfinedDma', { 'a@50000': other({ compatible: 'arm,mali-t604' }) }, 'a@50000', '/a@50000', []],
  ['gatekeeper', { 'a@50000': other({ '#iommu-cells': [1] }) }, 'a@50000', '/a@50000', []],
  ['unknownIommu', { 'a@1000': DISPLAY }, 'a@1000', '/a@1000', ['/dma@d000000'], 'rockchip,iommu'],
  [
    'unconfinedDma',
    { 'a@50000': other({ iommus: [40, 1] }), 'off@60000': { ...OFF_IOMMU, phandle: [40] } },
    'a@50000',
    '/a@50000',
    [],
  ],
  ['unconfinedDma', { 'a@50000': other({ dmas: [41] }), engine: NO_STREAM }, 'a@50000', '/a@50000', []],
  ['unconfinedDma', { 'a@50000': other({ 'dma-coherent': flag }) }, 'a@50000', '/a@50000', []],
  [
    'unconfinedDma',
    { 'a@900000': { ...BUS, compatible: 'test,caam', 'ring@50000': other({}) } },
    'ring@50000',
    '/a@900000/ring@50000',
    [],
  ],
  [
    'sharedPage',
    { 'whole@50000': { ...BUS, compatible: 'test,whole', reg: [0x5_0000, 0x4000], 'a@51000': PART } },
    'a@51000',
    '/whole@50000/a@51000',
    ['/whole@50000'],
  ],
  ['gatekeeper', { 'a@50000': other({ 'msi-controller': flag }) }, 'a@50000', '/a@50000', []],
  [
    'gatekeeper',
    { 'iommu@900000': { ...BUS, '#iommu-cells': [1], 'ctx@50000': other({}) } },
    'ctx@50000',
    '/iommu@900000/ctx@50000',
    [],
  ],
  ['machineWide', { 'watchdog@50000': other({}) }, 'watchdog@50000', '/watchdog@50000', []],
  ['machineWide', { 'etr@50000': other({ compatible: 'arm,coresight-tmc' }) }, 'etr@50000', '/etr@50000', []],
  [
    'machineWide',
    { 'timer@900000': { ...BUS, 'frame@50000': other({}) } },
    'frame@50000',
    '/timer@900000/frame@50000',
    [],
  ],
  [
    'machineWide',
    { 'reserved-memory': { ...BUS, 'hypervisor@50000': { reg: [0x5_0000, 0x1000] } } },
    'hypervisor@50000',
    '/reserved-memory/hypervisor@50000',
    [],
  ],
  ['machineWide', { 'memory@50000': { reg: [0x5_0000, 0x1000] } }, 'memory@50000', '/memory@50000', []],
  ['machineWide', { 'a@50000': other({ '#mbox-cells': [1] }) }, 'a@50000', '/a@50000', []],
  ['machineWide', { 'a@50000': other({ compatible: 'syscon' }) }, 'a@50000', '/a@50000', []],
  [
    'console',
    {
      aliases: { serial0: '/uart@50000' },
      chosen: { 'stdout-path': 'serial0:115200n8' },
      'uart@50000': other({}),
    },
    'uart@50000',
    '/uart@50000',
    [],
  ],
  [
    'consumerOutside',
    {
      'sensor@50000': other({ phandle: [42], '#thermal-sensor-cells': [1] }),
      'thermal-zones': { cpu: { 'thermal-sensors': [42, 3] } },
    },
    'sensor@50000',
    '/sensor@50000',
    ['/thermal-zones/cpu'],
  ],
  [
    'companionOutside',
    {
      'vsp@1000': { ...DISPLAY, compatible: 'test,vsp', 'renesas,fcp': [20] },
      'fcp@50000': other({ compatible: 'test,fcp', phandle: [20] }),
    },
    'vsp@1000',
    '/vsp@1000',
    ['/fcp@50000'],
  ],
  [
    'pipelineOutside',
    { 'a@1000': { ...DISPLAY, ...end(50, 51) }, 'mixer@50000': other(end(51, 50)) },
    'a@1000',
    '/a@1000',
    ['/mixer@50000'],
  ],
  [
    'clockLoop',
    {
      'a@1000': { ...DISPLAY, phandle: [20], '#clock-cells': [1] },
      'clocks@60000': other({ reg: [0x6_0000, 0x1000], '#clock-cells': [1], clocks: [20, 1] }),
    },
    'a@1000',
    '/a@1000',
    ['/clocks@60000'],
  ],
  ['stall', { 'a@50000': other({ 'dma-can-stall': flag }) }, 'a@50000', '/a@50000', []],
  ['disabled', { 'a@50000': other({ status: 'disabled' }) }, 'a@50000', '/a@50000', []],
  ['noAccess', { sound: { compatible: 'test,sound' } }, 'sound', '/sound', []],
  ['unreadable', { 'a@50000': other({ clocks: [99, 1] }) }, 'a@50000', '/a@50000', []],
];

it.each(CASES.map((each) => ({ kind: each[0], each })))(
  '$kind: names the node at fault, the others and a way out',
  ({ each: [kind, devices, asked, node, users, iommu] }) => {
    const plan = planOf(boardOf(devices, iommu), asked);
    const found = plan.blockers.filter((blocker) => blocker.kind === kind);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ kind, node, users });
    expect(found[0]!.ways.length).toBeGreaterThan(0);
    expect(found[0]!.what).not.toBe('');
    // And it is the only one, so that each case stands for its kind.
    expect(plan.blockers.map((blocker) => blocker.kind)).toEqual([kind]);
    expect(planLines(plan).join('\n')).toContain(`${kind}: ${node}`);
  },
);

it('every kind of blocker has its case', () => {
  // These have tests of their own.
  const others: readonly BlockerKind[] = ['sharedPowerSwitch', 'pciHost', 'unfit', 'noGic', 'unknownDma'];
  expect([...new Set([...CASES.map(([kind]) => kind), ...others])].sort()).toEqual([...BLOCKER_KINDS].sort());
});

it.each(['i2c-parent', 'ddc-i2c-bus', 'mdio-parent-bus', 'phy-handle', 'usb-phy'])(
  'a device outside that reaches others through it by %s depends on it',
  (property) => {
    const board = boardOf({
      'a@50000': other({ phandle: [20] }),
      'b@60000': other({ reg: [0x6_0000, 0x1000], [property]: [20] }),
    });
    expect(planOf(board, 'a@50000').blockers).toMatchObject([
      { kind: 'consumerOutside', users: ['/b@60000'] },
    ]);
  },
);

it('lines of one foreign controller are one blocker', () => {
  const lines = [PINS, 1, 8, PINS, 2, 8, PINS, 3, 8, PINS, 4, 8, PINS, 5, 8];
  const { blockers } = planOf(boardOf({ 'a@50000': other({ 'interrupts-extended': lines }) }), 'a@50000');
  expect(blockers.map(({ what }) => what)).toEqual([
    'its lines are <1 8>, <2 8>, <3 8> and 2 more of pins@c000000, which passes on what it gets by ' +
      'SPI 91 (INTID 123), one for all',
  ]);
});

it('what is reserved for firmware shares as what is enabled does; what is disabled does not', () => {
  const users = (status: string) => {
    const bus = { '#address-cells': [1], '#size-cells': [1], ranges: flag, status };
    const board = boardOf({
      'a@50000': other({}),
      firmware: { ...bus, 'b@50800': { compatible: 'test,b', reg: [0x5_0800, 0x100] } },
    });
    return planOf(board, 'a@50000').blockers.map(({ kind, users: all }) => [kind, ...all]);
  };
  expect(users('disabled')).toEqual([]);
  expect(users('reserved')).toEqual([['sharedPage', '/firmware/b@50800']]);
});

it('who needs a part of what moves is told of once, at the part', () => {
  const part = { ...PART, phandle: [20], '#phy-cells': [0] };
  const board = boardOf({
    'whole@50000': other({ ...BUS, 'part@51000': part }),
    'b@60000': other({ reg: [0x6_0000, 0x1000], phys: [20] }),
  });
  expect(planOf(board, 'whole@50000').blockers).toMatchObject([
    { kind: 'consumerOutside', node: '/whole@50000/part@51000', users: ['/b@60000'] },
  ]);
});
