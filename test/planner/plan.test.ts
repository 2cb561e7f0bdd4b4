/** Plans on a board of our own: what moves in which order, what stays, what the definition has, what is told. */

import { expect, it } from 'vitest';
import { bundleId, vmId } from '../../src/core/protocol/ids.ts';
import { definitionOf } from '../../src/planner/definition.ts';
import { planLines } from '../../src/planner/describe.ts';
import type { Plan } from '../../src/planner/plan.ts';
import type { Description } from './builder.ts';
import {
  BUS,
  boardOf,
  chosen,
  DISPLAY,
  end,
  flag,
  I2C,
  other,
  PINS,
  planOf,
  RESET,
  SMMU,
} from './plan-boards.ts';

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
    residualStates: [
      { what: 'registers', clearedBy: 'reset' },
      { what: 'framebuffer address', clearedBy: 'reset' },
    ],
  });
  expect(
    device!.resources.map(({ kind, physical, ...rest }) => [
      kind,
      physical,
      'bytes' in rest ? rest.bytes : 'mask' in rest ? rest.mask : 0,
    ]),
  ).toEqual([
    ['mmio', 0x1000, 0x2000],
    ['interrupt', 42, 0],
    ['stream', 0x10, 0x1],
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

it('what cannot be read of a node hides nothing else of it', () => {
  const board = boardOf({
    'a@50000': other({ iommus: [SMMU, 0x50, 0] }),
    'b@60000': other({ reg: [0x6_0000, 0x1000], iommus: [SMMU, 0x50, 0], clocks: [99, 1] }),
  });
  const plan = planOf(board, 'a@50000');
  expect(plan.blockers.map(({ kind, users }) => [kind, ...users])).toEqual([['sharedStream', '/b@60000']]);
  const bad = boardOf({ 'c@1': other({ reg: [1, 2, 3] }) });
  expect(planOf(bad, 'c@1').blockers.map(({ kind }) => kind)).toEqual(['unreadable']);
});

it('a power switch is shared harmlessly, unless it is the reset', () => {
  const board = boardOf({
    power: { phandle: [30], '#power-domain-cells': [1] },
    'a@50000': other({ 'power-domains': [30, 1] }),
    'b@60000': other({ reg: [0x6_0000, 0x1000], 'power-domains': [30, 1] }),
    'c@70000': other({ reg: [0x7_0000, 0x1000], 'power-domains': [30, 2] }),
  });
  const kinds = (name: string, powerReset: boolean) =>
    chosen(board, name, { powerReset, accept: ['noDma'] }).blockers.map(({ kind, node, users }) => [
      kind,
      node,
      ...users,
    ]);
  expect(kinds('a@50000', false)).toEqual([]);
  expect(kinds('a@50000', true)).toEqual([['sharedPowerSwitch', '/a@50000', '/b@60000']]);
  expect(kinds('c@70000', true)).toEqual([]);
  const resets = [false, true].map((powerReset) => {
    const made = definitionOf(
      chosen(board, 'c@70000', { powerReset, accept: ['noDma'] }),
      bundleId('c'),
      vmId('o'),
    );
    return made ? made.devices[0]!.residualStates : 'none';
  });
  expect(resets).toEqual([
    [{ what: 'registers', clearedBy: 'driver' }],
    [{ what: 'registers', clearedBy: 'reset' }],
  ]);
});

it('an accepted summary interrupt: the bundle goes without the line', () => {
  const board = boardOf({ 'a@50000': other({ 'interrupts-extended': [PINS, 7, 8] }) });
  const plan = chosen(board, 'a@50000', { accept: ['summaryInterrupt', 'noDma'] });
  expect(plan.blockers).toEqual([]);
  expect(plan.accepted.map(({ kind }) => kind)).toEqual(['unknownDma', 'summaryInterrupt']);
  const made = definitionOf(plan, bundleId('a'), vmId('o'));
  expect(made ? made.devices[0]!.resources.map(({ kind }) => kind) : 'none').toEqual(['mmio']);
  expect(planLines(plan).join('\n')).toContain('\n  summaryInterrupt: /a@50000');
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

it('a client on a bus is a device of its own in the bundle, so that its driver can be suspended first', () => {
  const board = boardOf({ 'i2c@2000': { ...I2C, interrupts: [0, 11, 4] } });
  const made = definitionOf(planOf(board, 'touch@38'), bundleId('t'), vmId('o'));
  expect(
    made
      ? made.devices.map(({ id, resources, residualStates }) => [
          id,
          resources.length,
          residualStates.at(-1)!.what,
        ])
      : 'none',
  ).toEqual([
    ['touch', 0, 'reports'],
    ['i2c', 2, 'transfer buffer'],
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
  const bus = (address: number, client: Description) => ({
    '#address-cells': [1],
    '#size-cells': [0],
    reg: [address, 0x1000],
    ...client,
  });
  const bridge = { compatible: 'test,bridge', reg: [0x2c], ...end(51, 50) };
  const board = boardOf({
    'display@1000': { ...DISPLAY, ...end(50, 51) },
    'i2c@50000': bus(0x5_0000, { 'bridge@2c': bridge }),
    'codec@60000': other({ reg: [0x6_0000, 0x1000], ...end(53, 50), status: 'disabled' }),
  });
  const told = '/display@1000 is connected to /i2c@50000/bridge@2c, which stays as it is';
  expect(planOf(board, 'display@1000').notes).toContain(told);
  expect(planOf(board, 'display@1000', 'bridge@2c').notes).not.toContain(told);
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
