/** Plans on a board of our own: what moves, what stays, and every kind of blocker with its node, users and ways out. */

import { expect, it } from 'vitest';
import { readBlob } from '../../src/devicetree/blob.ts';
import { BLOCKER_KINDS, type BlockerKind } from '../../src/devicetree/blockers.ts';
import { Board } from '../../src/devicetree/board.ts';
import { definitionOf } from '../../src/devicetree/definition.ts';
import { planLines } from '../../src/devicetree/describe.ts';
import { type Choices, type Plan, planBundle } from '../../src/devicetree/plan.ts';
import { verdictOf } from '../../src/devicetree/survey.ts';
import { Tree } from '../../src/devicetree/tree.ts';
import { bundleId, vmId } from '../../src/protocol/ids.ts';
import { blobOf, type Description } from './builder.ts';

const flag = new Uint8Array(0);
const GIC = 1;
const SMMU = 2;
const CLOCK = 3;
const RESET = 4;
const DMA = 5;
const PINS = 6;

/** A board with `devices` on its bus, beside a GIC, an SMMU, clocks, resets, a DMA controller and pins. */
function boardOf(devices: Description, iommu = 'arm,mmu-500'): Description {
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

const DISPLAY: Description = {
  compatible: 'test,display',
  reg: [0x1000, 0x1800],
  interrupts: [0, 10, 4],
  iommus: [SMMU, 0x10, 0x1],
  clocks: [CLOCK, 1],
  resets: [RESET, 1],
};

function planOf(board: Description, ...names: string[]): Plan {
  const tree = new Tree(readBlob(blobOf(board)));
  return planBundle(
    new Board(tree),
    names.map((name) => tree.find(name)!),
  );
}

it('a device with nothing shared can move: pages, line, streams; clocks stay', () => {
  const plan = planOf(boardOf({ 'display@1000': DISPLAY }), 'display@1000');
  expect(plan.blockers).toEqual([]);
  expect(plan.kept).toEqual([
    { role: 'clock', provider: '/clocks', users: ['/display@1000'] },
    { role: 'reset', provider: '/resets', users: ['/display@1000'] },
  ]);
  const made = definitionOf(plan, bundleId('display'), vmId('android'));
  expect(made).toMatchObject({ id: 'display', owner: 'android', keeper: 'owner' });
  const [device] = made ? made.devices : [];
  expect(device).toMatchObject({
    id: 'display',
    residues: [
      { what: 'registers', clearedBy: 'reset' },
      { what: 'framebuffer address', clearedBy: 'reset' },
    ],
  });
  expect(
    device!.resources.map(({ kind, physical, ...rest }) => [
      kind,
      physical,
      'bytes' in rest ? rest.bytes : 0,
    ]),
  ).toEqual([
    ['mmio', 0x1000, 0x2000],
    ['interrupt', 42, 0],
    ['stream', 0x10, 0],
    ['stream', 0x11, 0],
  ]);
});

it('a client moves with its bus controller, consumers first, and parts with what they are part of', () => {
  const board = boardOf({
    'i2c@2000': {
      '#address-cells': [1],
      '#size-cells': [0],
      reg: [0x2000, 0x1000],
      interrupts: [0, 11, 4],
      iommus: [SMMU, 0x20, 0],
      'touch@38': { compatible: 'test,touch', reg: [0x38], 'vdd-supply': [9] },
    },
    regulator: { phandle: [9] },
    'mdss@8000': {
      '#address-cells': [1],
      '#size-cells': [1],
      ranges: flag,
      reg: [0x8000, 0x1000],
      iommus: [SMMU, 0x40, 0],
      'dsi@9000': { reg: [0x9000, 0x1000], phys: [8] },
      'phy@a000': { reg: [0xa000, 0x1000], phandle: [8], '#phy-cells': [0] },
    },
  });
  const order = (plan: Plan) => plan.members.map(({ node, why }) => `${node.name}: ${why}`);
  expect(order(planOf(board, 'touch@38'))).toEqual([
    'touch@38: asked for',
    'i2c@2000: touch@38 is reached through it',
  ]);
  expect(order(planOf(board, 'mdss@8000'))).toEqual([
    'dsi@9000: part of mdss@8000',
    'phy@a000: part of mdss@8000',
    'mdss@8000: asked for',
  ]);
  const both = planOf(board, 'touch@38', 'mdss@8000');
  expect(both.blockers).toEqual([]);
  expect(both.members).toHaveLength(5);
});

it('what is disabled shares nothing', () => {
  const twin = { ...DISPLAY, status: 'disabled' };
  expect(planOf(boardOf({ 'display@1000': DISPLAY, 'twin@1800': twin }), 'display@1000').blockers).toEqual(
    [],
  );
});

const I2C: Description = {
  '#address-cells': [1],
  '#size-cells': [0],
  reg: [0x2000, 0x1000],
  'touch@38': { compatible: 'test,touch', reg: [0x38] },
};
const other = (rest: Description): Description => ({
  compatible: 'test,other',
  reg: [0x5_0000, 0x1000],
  ...rest,
});
const OFF_IOMMU: Description = {
  compatible: 'arm,mmu-500',
  reg: [0x6_0000, 0x1000],
  '#iommu-cells': [1],
  status: 'disabled',
};
const NO_STREAM: Description = { phandle: [41], '#dma-cells': [0], reg: [0x7_0000, 0x1000] };
const BUS: Description = { '#address-cells': [1], '#size-cells': [1], ranges: flag };
const PART: Description = { compatible: 'test,part', reg: [0x5_1000, 0x1000] };
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
  ['unconfinedDma', { 'gpu@50000': other({}) }, 'gpu@50000', '/gpu@50000', []],
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
    { 'crypto@900000': { ...BUS, 'ring@50000': other({}) } },
    'ring@50000',
    '/crypto@900000/ring@50000',
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
  const others: readonly BlockerKind[] = ['sharedPowerSwitch', 'pciHost', 'unfit'];
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
    'its lines are <1 8>, <2 8>, <3 8> and 2 more of pins@c000000, which passes on what it gets by SPI 91 (INTID 123), one for all',
  ]);
});

it('a wrapper does no DMA of its own when a part of it has streams', () => {
  const part = other({ iommus: [SMMU, 0x50, 0] });
  const wrapper = { ...BUS, compatible: 'test,glue', reg: [0x7_0000, 0x1000], 'usb@50000': part };
  const board = boardOf({ 'usb@70000': wrapper });
  const both = planOf(board, 'usb@70000');
  expect([both.blockers, both.notes, verdictOf(both)]).toEqual([[], [], 'free']);
  const alone = planOf(board, 'usb@50000');
  expect(alone.blockers).toEqual([]);
  expect(alone.notes).toEqual([
    '/usb@70000/usb@50000 is part of /usb@70000, which stays: whoever has that can switch it off',
  ]);
});

it('the windows of a PCI host are access, too, and so are the lines of its devices', () => {
  const board = boardOf({
    'pcie@50000': other({
      device_type: 'pci',
      '#address-cells': [3],
      '#size-cells': [2],
      iommus: [SMMU, 0x50, 0],
      ranges: [0x200_0000, 0, 0x2000_0000, 0x2000_0000, 0, 0x10_0000],
      interrupts: [0, 140, 4],
      '#interrupt-cells': [1],
      'interrupt-map-mask': [0, 0, 0, 7],
      'interrupt-map': [0, 0, 0, 1, GIC, 0, 141, 4, 0, 0, 0, 2, GIC, 0, 141, 4, 0, 0, 0, 3, GIC, 0, 142, 4],
    }),
    'b@20000000': other({ reg: [0x2000_0800, 0x100] }),
  });
  const plan = planOf(board, 'pcie@50000');
  expect(plan.members[0]!.access.pages).toEqual([
    { address: 0x5_0000n, bytes: 0x1000n },
    { address: 0x2000_0000n, bytes: 0x10_0000n },
  ]);
  expect(plan.members[0]!.access.lines.map(({ gic }) => gic?.number)).toEqual([172, 173, 174]);
  expect(plan.blockers.map(({ kind, users }) => [kind, ...users])).toEqual([['sharedPage', '/b@20000000']]);
});

it('what cannot be read of a node hides nothing else of it, and is told to whoever plans another', () => {
  const board = boardOf({
    'a@50000': other({ iommus: [SMMU, 0x50, 0] }),
    'b@60000': other({ reg: [0x6_0000, 0x1000], iommus: [SMMU, 0x50, 0], clocks: [99, 1] }),
  });
  const plan = planOf(board, 'a@50000');
  expect(plan.blockers.map(({ kind, users }) => [kind, ...users])).toEqual([['sharedStream', '/b@60000']]);
  expect(plan.notes).toEqual(['a node cannot be read, and may share something: /b@60000']);
  const bad = boardOf({ 'c@1': other({ reg: [1, 2, 3] }) });
  expect(planOf(bad, 'c@1').blockers.map(({ kind }) => kind)).toEqual(['unreadable']);
});

/** A plan with choices. */
function chosen(board: Description, name: string, choices: Choices): Plan {
  const tree = new Tree(readBlob(blobOf(board)));
  return planBundle(new Board(tree), [tree.find(name)!], choices);
}

it('a power switch is shared harmlessly, unless it is the reset', () => {
  const board = boardOf({
    power: { phandle: [30], '#power-domain-cells': [1] },
    'a@50000': other({ 'power-domains': [30, 1] }),
    'b@60000': other({ reg: [0x6_0000, 0x1000], 'power-domains': [30, 1] }),
    'c@70000': other({ reg: [0x7_0000, 0x1000], 'power-domains': [30, 2] }),
  });
  const kinds = (name: string, powerReset: boolean) =>
    chosen(board, name, { powerReset }).blockers.map(({ kind, node, users }) => [kind, node, ...users]);
  expect(kinds('a@50000', false)).toEqual([]);
  expect(kinds('a@50000', true)).toEqual([['sharedPowerSwitch', '/a@50000', '/b@60000']]);
  expect(kinds('c@70000', true)).toEqual([]);
  const resets = [false, true].map((powerReset) => {
    const made = definitionOf(chosen(board, 'c@70000', { powerReset }), bundleId('c'), vmId('o'));
    return made ? made.devices[0]!.residues : 'none';
  });
  expect(resets).toEqual([
    [{ what: 'registers', clearedBy: 'driver' }],
    [{ what: 'registers', clearedBy: 'reset' }],
  ]);
});

it('an accepted summary interrupt: the bundle goes without the line', () => {
  const board = boardOf({ 'a@50000': other({ 'interrupts-extended': [PINS, 7, 8] }) });
  const plan = chosen(board, 'a@50000', { accept: ['summaryInterrupt'] });
  expect(plan.blockers).toEqual([]);
  expect(plan.accepted.map(({ kind }) => kind)).toEqual(['summaryInterrupt']);
  const made = definitionOf(plan, bundleId('a'), vmId('o'));
  expect(made ? made.devices[0]!.resources.map(({ kind }) => kind) : 'none').toEqual(['mmio']);
  expect(planLines(plan).join('\n')).toContain('Accepted:\n  summaryInterrupt: /a@50000');
});

it('an accepted shared reset: nobody resets by that line', () => {
  const board = boardOf({ 'a@1000': DISPLAY, 'b@50000': other({ resets: [RESET, 1] }) });
  const plan = chosen(board, 'a@1000', { accept: ['sharedReset'] });
  expect(plan.blockers).toEqual([]);
  expect(plan.members[0]!.reset).toBeUndefined();
  // What is not accepted still stands in the way.
  expect(chosen(board, 'a@1000', { accept: ['summaryInterrupt'] }).blockers).toHaveLength(1);
});

it('touch is quiesced before what shows pictures, whatever the tree says first', () => {
  const board = boardOf({
    'display@1000': DISPLAY,
    'touch@50000': other({ compatible: 'test,touch' }),
    'vcodec@70000': other({ reg: [0x7_0000, 0x1000] }),
  });
  const plan = planOf(board, 'display@1000', 'vcodec@70000', 'touch@50000');
  expect(plan.members.map(({ node }) => node.name)).toEqual(['touch@50000', 'vcodec@70000', 'display@1000']);
});

it('one stream number at two SMMUs is two streams, each with its SMMU', () => {
  const second = { compatible: 'arm,mmu-500', phandle: [40], reg: [0xb00_0000, 0x1000], '#iommu-cells': [2] };
  const board = boardOf({
    'smmu@b000000': second,
    'a@50000': other({ iommus: [SMMU, 0x10, 0, 40, 0x10, 0] }),
    'b@60000': other({ reg: [0x6_0000, 0x1000], iommus: [40, 0x11, 0] }),
  });
  const plan = planOf(board, 'a@50000');
  expect(plan.blockers).toEqual([]);
  const made = definitionOf(plan, bundleId('a'), vmId('o'));
  const streams = made ? made.devices[0]!.resources.filter(({ kind }) => kind === 'stream') : [];
  expect(streams).toMatchObject([
    { physical: 0x10, smmu: 0xe00_0000 },
    { physical: 0x10, smmu: 0xb00_0000 },
  ]);
});

it('a client on a bus is a device of its own in the bundle, so that its driver can be suspended first', () => {
  const board = boardOf({ 'i2c@2000': { ...I2C, interrupts: [0, 11, 4] } });
  const made = definitionOf(planOf(board, 'touch@38'), bundleId('t'), vmId('o'));
  expect(
    made
      ? made.devices.map(({ id, resources, residues }) => [id, resources.length, residues.at(-1)!.what])
      : 'none',
  ).toEqual([
    ['touch', 0, 'reports'],
    ['i2c', 2, 'transfer buffer'],
  ]);
});

it('a PCI function has its own registers, line and stream, by the maps of its host', () => {
  const board = boardOf({
    'pcie@40000000': {
      device_type: 'pci',
      '#address-cells': [3],
      '#size-cells': [2],
      '#interrupt-cells': [1],
      reg: [0x4000_0000, 0x10_0000],
      // Prefetchable, below 4 GiB.
      ranges: [0x4200_0000, 0, 0x5000_0000, 0x5000_0000, 0, 0x100_0000],
      'iommu-map': [0x100, SMMU, 0x4100, 0x100],
      'iommu-map-mask': [0xff8],
      'interrupt-map-mask': [0x1800, 0, 0, 7],
      'interrupt-map': [0x0800, 0, 0, 1, GIC, 0, 33, 4],
      'msi-map': [0, GIC, 0, 0x1_0000],
      // Bus 1, device 5, function 2.
      'card@5,2': {
        reg: [0x1_2a00, 0, 0, 0, 0],
        'assigned-addresses': [0x8201_2a10, 0, 0x5000_3000, 0, 0x2000],
        interrupts: [1],
      },
    },
  });
  // Whoever has the host bridge can move its registers, and its messages are behind that.
  expect(planOf(board, 'card@5,2').blockers).toMatchObject([
    { kind: 'pciHost', what: expect.stringMatching(/and its messages \(MSI\)$/), users: ['/pcie@40000000'] },
  ]);
  const plan = chosen(board, 'card@5,2', { accept: ['pciHost'] });
  expect(plan.blockers).toEqual([]);
  const made = definitionOf(plan, bundleId('card'), vmId('o'));
  expect(made ? made.devices[0]!.resources : 'none').toMatchObject([
    { kind: 'mmio', physical: 0x5000_3000, bytes: 0x2000 },
    { kind: 'interrupt', physical: 65, trigger: 'level' },
    { kind: 'stream', physical: 0x4128, smmu: 0xe00_0000 },
  ]);
});

it('a table of data is no device, and texts that no terminal should see are none', () => {
  const table = { compatible: 'operating-points-v2', phandle: [43] };
  const board = boardOf({ 'display@1000': { ...DISPLAY, 'opp-table': table } });
  expect(planOf(board, 'display@1000').members.map(({ node }) => node.name)).toEqual(['display@1000']);
  const evil = boardOf({ 'a@50000': other({ iommus: [SMMU, 1, 0] }) }, 'x\u001b[2Jy');
  expect(planLines(planOf(evil, 'a@50000')).join('\n')).not.toContain('\u001b');
});

it('the other end of a graph is told, where it stays and is in use', () => {
  const end = (phandle: number, other: number) => ({
    port: { endpoint: { phandle: [phandle], 'remote-endpoint': [other] } },
  });
  const board = boardOf({
    'display@1000': { ...DISPLAY, ...end(50, 51) },
    'bridge@50000': other({ ...end(51, 50) }),
    'codec@60000': other({ reg: [0x6_0000, 0x1000], ...end(53, 50), status: 'disabled' }),
  });
  const told = '/display@1000 is connected to /bridge@50000, which stays as it is';
  expect(planOf(board, 'display@1000').notes).toContain(told);
  expect(planOf(board, 'display@1000', 'bridge@50000').notes).not.toContain(told);
});

it('a huge range is divided at once: the pages of one member, and what is left for the next', () => {
  const parts = {
    ...BUS,
    reg: [0x4000_0000, 0xb000_0000],
    iommus: [SMMU, 0x60, 0],
    'inner@40001000': { compatible: 'test,part', reg: [0x4000_1000, 0x1000] },
  };
  const made = definitionOf(
    planOf(boardOf({ 'outer@40000000': parts }), 'outer@40000000'),
    bundleId('all'),
    vmId('o'),
  );
  const ranges = made
    ? made.devices.flatMap(({ resources }) =>
        resources.flatMap((each) => (each.kind === 'mmio' ? [[each.physical, each.bytes]] : [])),
      )
    : 'none';
  expect(ranges).toEqual([
    [0x4000_1000, 0x1000],
    [0x4000_0000, 0x1000],
    [0x4000_2000, 0xafff_e000],
  ]);
});

it('more than a bundle may have is said', () => {
  const many = Object.fromEntries(
    Array.from({ length: 9 }, (_, i) => [`d@${i}0000`, other({ reg: [(i + 1) * 0x1_0000, 0x1000] })]),
  );
  const plan = planOf(boardOf(many), ...Object.keys(many));
  expect(definitionOf(plan, bundleId('all'), vmId('o'))).toBeUndefined();
  const [unfit] = plan.blockers;
  expect(unfit).toMatchObject({ kind: 'unfit', what: '9 devices: a bundle has at most 8' });
  expect(plan.devices).toBeUndefined();
});

it('a part without registers and driver names a stream: it is of what it is part of', () => {
  const devices = { 'codec@1000': { ...DISPLAY, firmware: { iommus: [SMMU, 0x42, 0] } } };
  const plan = planOf(boardOf(devices), 'codec@1000');
  expect(plan.blockers).toEqual([]);
  const streams = plan.devices!.flatMap(({ resources }) => resources).filter(({ kind }) => kind === 'stream');
  expect(streams.map(({ physical }) => physical)).toEqual([0x10, 0x11, 0x42]);
});

it('a stream that a node without registers has, too, is shared', () => {
  const devices = {
    'codec@1000': DISPLAY,
    dsp: { compatible: 'test,dsp', 'bank@1': { compatible: 'test,bank', reg: [1], iommus: [SMMU, 0x11, 0] } },
  };
  const { blockers } = planOf(boardOf(devices), 'codec@1000');
  expect(blockers).toMatchObject([{ kind: 'sharedStream', node: '/codec@1000', users: ['/dsp/bank@1'] }]);
});

it('a whole that stays shares what it names for itself: a stream, a reset line, a power switch', () => {
  const part = {
    reg: [0x5_2000, 0x1000],
    iommus: [SMMU, 0x50, 0],
    resets: [RESET, 7],
    'power-domains': [30, 1],
  };
  const whole = (own: Description) =>
    boardOf({
      power: { phandle: [30], '#power-domain-cells': [1] },
      'a@50000': other({
        '#address-cells': [1],
        '#size-cells': [1],
        ranges: flag,
        ...own,
        'part@52000': other(part),
      }),
    });
  const kinds = (own: Description) =>
    chosen(whole(own), 'part@52000', { powerReset: true }).blockers.map(({ kind, users }) => [
      kind,
      ...users,
    ]);
  expect(kinds({})).toEqual([]);
  expect(kinds({ iommus: [SMMU, 0x50, 0] })).toEqual([['sharedStream', '/a@50000']]);
  expect(kinds({ resets: [RESET, 7] })).toEqual([['sharedReset', '/a@50000']]);
  expect(kinds({ 'power-domains': [30, 1] })).toEqual([['sharedPowerSwitch', '/a@50000']]);
});

it('a PCI function has the ATS of its host; where no IOMMU is named, nothing confines its DMA', () => {
  const host = (own: Description, iommu: Description) =>
    boardOf({
      'pcie@60000000': {
        device_type: 'pci',
        reg: [0x6000_0000, 0x1000],
        '#address-cells': [3],
        '#size-cells': [2],
        ranges: [0x200_0000, 0, 0x7000_0000, 0x7000_0000, 0, 0x100_0000],
        ...iommu,
        ...own,
        'card@1,0': {
          reg: [0x800, 0, 0, 0, 0],
          'assigned-addresses': [0x200_0810, 0, 0x7000_0000, 0, 0x1000],
        },
      },
    });
  const map = { 'iommu-map': [0, SMMU, 0x400, 0x100] };
  const kinds = (own: Description, iommu = map as Description) =>
    chosen(host(own, iommu), 'card@1,0', { accept: ['pciHost'] }).blockers.map(
      ({ kind, what }) => `${kind}: ${what}`,
    );
  expect(kinds({})).toEqual([]);
  // When the host moves, too, its configuration space does.
  expect(planOf(host({}, map), 'pcie@60000000').blockers.map(({ kind }) => kind)).not.toContain('pciHost');
  expect(kinds({ 'ats-supported': flag })).toEqual([
    expect.stringMatching(/^ats: ats-supported of pcie@60000000/),
  ]);
  expect(kinds({}, {})).toEqual([expect.stringMatching(/^unconfinedDma: PCI functions do DMA/)]);
});

it('an SMMU that ignores bits of every ID takes two devices for one', () => {
  const smmu = { compatible: 'arm,mmu-500', phandle: [40], reg: [0xb00_0000, 0x1000], '#iommu-cells': [1] };
  const two = (own: Description) =>
    boardOf({
      'smmu@b000000': { ...smmu, ...own },
      'a@50000': other({ iommus: [40, 0x1] }),
      'b@60000': other({ reg: [0x6_0000, 0x1000], iommus: [40, 0x401] }),
    });
  const kinds = (own: Description) =>
    planOf(two(own), 'a@50000').blockers.map(({ kind, users }) => [kind, ...users]);
  expect(kinds({})).toEqual([]);
  expect(kinds({ 'stream-match-mask': [0x7c00] })).toEqual([['sharedStream', '/b@60000']]);
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

it('registers that begin in a window of their bus are registers, though they end beyond it', () => {
  const bus = { '#address-cells': [1], '#size-cells': [1], ranges: [0, 0x5_0000, 0x1000] };
  const board = boardOf({ bus: { ...bus, 'a@0': { compatible: 'test,a', reg: [0, 0x2000] } } });
  expect(planOf(board, 'a@0').members.flatMap(({ access }) => access.pages)).toEqual([
    { address: 0x5_0000n, bytes: 0x2000n },
  ]);
});

it('more register ranges than any device has are not read', () => {
  const many = (count: number) =>
    Array.from({ length: count }, (_, index) => [0x10_0000 + index * 0x1000, 0x1000]);
  const kinds = (count: number) =>
    planOf(
      boardOf({ 'a@100000': { compatible: 'test,a', reg: many(count).flat() } }),
      'a@100000',
    ).blockers.map(({ kind, what }) => `${kind}: ${what}`);
  expect(kinds(1_024)).toEqual([expect.stringContaining('unfit: ')]);
  expect(kinds(1_025)).toEqual(['unreadable: /a@100000, reg: 1025 ranges; at most 1024']);
});

it('a disabled device that would have a stream of the bundle is told of', () => {
  const idle = { ...other({ reg: [0x6_0000, 0x1000], iommus: [SMMU, 0x11, 0] }), status: 'disabled' };
  const notes = (...names: string[]) =>
    planOf(
      boardOf({ 'a@1000': DISPLAY, ...Object.fromEntries(names.map((name) => [name, idle])) }),
      'a@1000',
    ).notes.filter((note) => note.includes('disabled'));
  expect(notes()).toEqual([]);
  expect(notes('b@60000')).toEqual([
    expect.stringMatching(/^\/b@60000 is disabled, and would have a stream/),
  ]);
  expect(notes('b@60000', 'c@60000')).toEqual([expect.stringMatching(/^\/b@60000 and 1 more are disabled/)]);
});
