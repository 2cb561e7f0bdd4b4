/** By what a device is known to do DMA, or to do none, and what a plan says when nothing tells. */

import { expect, it } from 'vitest';
import { bundleId, vmId } from '../../src/core/protocol/ids.ts';
import { definitionOf } from '../../src/planner/definition.ts';
import { planLines } from '../../src/planner/describe.ts';
import { verdictOf } from '../../src/planner/survey.ts';
import type { Description } from './builder.ts';
import {
  BUS,
  boardOf,
  chosen,
  DMA,
  flag,
  inTheWay,
  NO_STREAM,
  other,
  PART,
  plainPlan,
  SMMU,
} from './plan-boards.ts';

const POOL = 60;
const PATHS = 61;
/** What devices refer to here, beside what each board has. */
const AROUND: Description = {
  'reserved-memory': { ...BUS, 'pool@90000000': { reg: [0x9000_0000, 0x1000], phandle: [POOL] } },
  noc: { phandle: [PATHS], '#interconnect-cells': [1] },
};
const planned = (own: Description, name = 'a@50000') => plainPlan({ ...AROUND, [name]: other(own) }, name);
const whats = (own: Description, name?: string) =>
  planned(own, name).blockers.map(({ kind, what }) => `${kind}: ${what}`);
const texts = (...all: string[]) => new TextEncoder().encode(all.map((each) => `${each}\0`).join(''));
const paths = (...names: string[]) => ({
  interconnects: names.flatMap((_, index) => [PATHS, index]),
  'interconnect-names': texts(...names),
});

it.each<[string, Description]>([
  ['dma-coherent', { 'dma-coherent': flag }],
  ['dma-noncoherent', { 'dma-noncoherent': flag }],
  ['#dma-cells', { '#dma-cells': [1] }],
  ['#stream-id-cells', { '#stream-id-cells': [1] }],
  ['iommu-addresses', { 'iommu-addresses': [0, 0, 0] }],
  ['phy-mode', { 'phy-mode': 'rgmii' }],
  ['phy-connection-type', { 'phy-connection-type': 'sgmii' }],
  ['dr_mode', { dr_mode: 'otg' }],
  ['non-removable', { 'non-removable': flag }],
  ['cap-sd-highspeed', { 'cap-sd-highspeed': flag }],
  ['memory-region: pool@90000000', { 'memory-region': [POOL] }],
  ['interconnects: dma-mem', paths('qup-core', 'dma-mem')],
  ['interconnects: mdp0-mem', paths('mdp0-mem', 'cpu-cfg')],
  ['interconnects: write', paths('write')],
  ['interconnects: without names', { interconnects: [PATHS, 1] }],
  ['iommu-map', { 'iommu-map': [0, SMMU, 0x400, 0] }],
])('%s is evidence of DMA', (evidence, own) => {
  expect(whats(own)).toEqual([expect.stringMatching(/^unconfinedDma: .*and no IOMMU is named/)]);
  expect(whats(own)[0]).toContain(`(${evidence})`);
});

it.each(['cpu-cfg', 'apps-usb', 'qup-config', 'usb-core'])(
  'a path by which processors reach registers is none: %s',
  (name) => {
    expect(inTheWay(planned(paths(name)))).toEqual([['unknownDma']]);
  },
);

// One of each family; what each is, Linux has in Documentation/devicetree/bindings.
it.each([
  ['ti,am625-dss', 'display'],
  ['fsl,imx8mp-lcdif', 'display'],
  ['rockchip,rk3588-vop', 'display'],
  ['arm,pl111', 'display'],
  ['ti,am33xx-tilcdc', 'display'],
  ['renesas,vin-r8a7795', 'camera'],
  ['fsl,imx8mp-isi', 'camera'],
  ['rockchip,rk3399-cif-isp', 'camera'],
  ['arm,mali-bifrost', 'GPU'],
  ['qcom,adreno-630.2', 'GPU'],
  ['nxp,imx8qxp-jpgdec', 'codec'],
  ['mediatek,mt8195-jpgdec', 'codec'],
  ['nxp,imx8mq-vpu-g1', 'codec'],
  ['snps,dwmac-4.20a', 'network'],
  ['fsl,imx8mp-fec', 'network'],
  ['fsl,imx8mm-usdhc', 'storage'],
  ['generic-ahci', 'storage'],
  ['snps,dwc3', 'USB'],
  ['generic-xhci', 'USB'],
  ['arm,pl330', 'DMA engine'],
  ['fsl,imx8mq-sdma', 'DMA engine'],
  ['fsl,sec-v4.0', 'crypto'],
  ['arm,cryptocell-630p-ree', 'crypto'],
  ['ti,am654-r5f', 'remote processor'],
  ['qcom,sdm845-adsp-pas', 'remote processor'],
])('%s (%s) is known to do DMA by its binding', (compatible) => {
  expect(whats({ compatible })).toEqual([
    expect.stringContaining(`unconfinedDma: devices of its kind do DMA (${compatible})`),
  ]);
});

it.each(['gpu', 'display', 'dma-controller', 'usb', 'ethernet', 'crypto', 'video-codec', 'mmc', 'camera'])(
  'a node that is only called %s is not known to do DMA, nor to do none',
  (word) => {
    const plan = planned({}, `${word}@50000`);
    expect(inTheWay(plan)).toEqual([['unknownDma']]);
    // And what it is called takes nothing from what is known.
    expect(whats({ compatible: 'arm,pl011' }, `${word}@50000`)).toEqual([]);
  },
);

it.each([
  'arm,pl011',
  'ns16550a',
  'snps,designware-i2c',
  'fsl,imx8mp-pwm',
  'fsl,imx6q-flexcan',
  'renesas,scif-r8a7795',
  'ti,am64-i2c',
  'snps,dw-apb-gpio',
])('%s is known to do none: each byte is moved by its driver', (compatible) => {
  expect(verdictOf(planned({ compatible }))).toBe('free');
  // What it says itself counts for more than its kind.
  expect(inTheWay(planned({ compatible, 'dma-coherent': flag }))).toEqual([['unconfinedDma']]);
});

it('a binding that is not known is no answer: the plan is unsure, until somebody has looked it up', () => {
  const plan = planned({});
  expect(inTheWay(plan)).toEqual([['unknownDma']]);
  expect([verdictOf(plan), definitionOf(plan, bundleId('a'), vmId('o'))]).toEqual(['unsure', undefined]);
  expect(planLines(plan).join('\n')).toContain(
    'Nothing else stands in the way, if the devices without a stream do no DMA',
  );
  const board = boardOf({ 'a@50000': other({}) });
  const accepted = chosen(board, 'a@50000', { accept: ['noDma'] });
  expect([verdictOf(accepted), accepted.accepted.map(({ kind }) => kind)]).toEqual(['free', ['unknownDma']]);
  expect(definitionOf(accepted, bundleId('a'), vmId('o'))).toBeDefined();
  // Evidence is nothing that anybody could wave away by it.
  const known = boardOf({ 'a@50000': other({ 'dma-coherent': flag }) });
  expect(inTheWay(chosen(known, 'a@50000', { accept: ['noDma'] }))).toEqual([['unconfinedDma']]);
});

it('beside what stands in the way for another reason, a plan that is unsure is blocked', () => {
  const devices = { 'a@50000': other({}), 'b@50800': other({ reg: [0x5_0800, 0x100] }) };
  const plan = plainPlan(devices, 'a@50000');
  expect(plan.blockers.map(({ kind }) => kind).sort()).toEqual(['sharedPage', 'unknownDma']);
  expect(verdictOf(plan)).toBe('blocked');
});

it('what cannot move at all is not asked about in vain', () => {
  expect(inTheWay(planned({ compatible: 'syscon' }))).toEqual([['machineWide']]);
});

it('a part of what does DMA does so, unless it only hangs on it', () => {
  const below = (compatible: string) => ({
    ...AROUND,
    'whole@900000': { ...BUS, compatible, 'a@50000': other({}) },
  });
  const kinds = (compatible: string) => inTheWay(plainPlan(below(compatible), 'a@50000'));
  expect(kinds('test,vpu')).toEqual([['unconfinedDma']]);
  expect(kinds('snps,dwc3')).toEqual([['unknownDma']]);
  expect(kinds('test,nothing')).toEqual([['unknownDma']]);
});

it('a whole that does no DMA says nothing for its parts', () => {
  const whole = other({
    ...BUS,
    compatible: 'arm,pl011',
    'part@51000': { compatible: 'test,part', reg: [0x5_1000, 0x1000] },
  });
  expect(inTheWay(plainPlan({ 'a@50000': whole }, 'a@50000'))).toEqual([['unknownDma']]);
  expect(inTheWay(plainPlan({ 'a@50000': whole }, 'part@51000'))).toEqual([['unknownDma']]);
});

it('a DMA controller that works for it: confined by its stream, or not at all', () => {
  const serial = (dmas: number[]) => other({ compatible: 'arm,pl011', dmas });
  const engine = (dmas: number[]) => plainPlan({ 'a@50000': serial(dmas), engine: NO_STREAM }, 'a@50000');
  expect(engine([DMA, 1]).blockers).toMatchObject([{ kind: 'sharedStream', users: ['/dma@d000000'] }]);
  const { blockers } = engine([41]);
  expect(blockers).toMatchObject([
    { kind: 'unconfinedDma', what: expect.stringMatching(/^engine does DMA/) },
  ]);
  expect(blockers[0]!.ways[0]).toMatch(/^take `dmas` out of the borrower’s tree/);
});

it('a processor with memory of its own is no wrapper of the parts that have streams', () => {
  const processor = (own: Description) => ({
    ...AROUND,
    'a@50000': other({ ...own, edge: { bank: { compatible: 'test,bank', iommus: [SMMU, 0x50, 0] } } }),
  });
  // A part without registers is nothing that a wrapper is around.
  expect(inTheWay(plainPlan(processor({}), 'a@50000'))).toEqual([['unknownDma']]);
  expect(inTheWay(plainPlan(processor({ 'memory-region': [POOL] }), 'a@50000'))).toEqual([['unconfinedDma']]);
  const wrapper = (own: Description) =>
    other({ ...BUS, ...own, 'part@51000': { ...PART, iommus: [SMMU, 0x50, 0] } });
  expect(inTheWay(plainPlan({ ...AROUND, 'a@50000': wrapper({}) }, 'a@50000'))).toEqual([]);
  const processing = wrapper({ 'memory-region': [POOL] });
  expect(inTheWay(plainPlan({ ...AROUND, 'a@50000': processing }, 'a@50000'))).toEqual([['unconfinedDma']]);
});
