/** What a plan says of DMA and of what it goes through: streams, SMMUs, PCI hosts and functions, wrappers. */

import { expect, it } from 'vitest';
import { streamIdsOf } from '../../src/core/protocol/bundle.ts';
import { bundleId, vmId } from '../../src/core/protocol/ids.ts';
import { definitionOf } from '../../src/planner/definition.ts';
import { verdictOf } from '../../src/planner/survey.ts';
import type { Description } from './builder.ts';
import { BUS, boardOf, chosen, DISPLAY, flag, GIC, other, planOf, RESET, SMMU } from './plan-boards.ts';

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

it('a part without registers and driver names a stream: it is of what it is part of', () => {
  const devices = { 'codec@1000': { ...DISPLAY, firmware: { iommus: [SMMU, 0x42, 0] } } };
  const plan = planOf(boardOf(devices), 'codec@1000');
  expect(plan.blockers).toEqual([]);
  const streams = plan
    .devices!.flatMap(({ resources }) => resources)
    .filter((each) => each.kind === 'stream');
  expect(streams.flatMap(streamIdsOf)).toEqual([0x10, 0x11, 0x42]);
});

/** What is below is numbered, and has no addresses. */
const COUNTED = { '#address-cells': [1], '#size-cells': [0] };

it('a stream that a node without registers has, too, is shared', () => {
  const devices = {
    'codec@1000': DISPLAY,
    dsp: {
      ...COUNTED,
      compatible: 'test,dsp',
      'bank@1': { compatible: 'test,bank', reg: [1], iommus: [SMMU, 0x11, 0] },
    },
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
