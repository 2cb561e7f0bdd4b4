/** Devices that do nothing without another, and those that make one picture together. */

import { expect, it } from 'vitest';
import type { Description } from './builder.ts';
import { BUS, boardOf, DISPLAY, end, inTheWay, other, planOf, SMMU } from './plan-boards.ts';

const kinds = (devices: Description, ...names: string[]) => inTheWay(planOf(boardOf(devices), ...names));
const at = (address: number, own: Description) => other({ reg: [address, 0x1000], ...own });

it('what an FCP does for a VSP goes through the IOMMU that the FCP names', () => {
  const board = boardOf({
    'vsp@50000': other({ compatible: 'renesas,vsp2', 'renesas,fcp': [90] }),
    'fcp@60000': at(0x6_0000, { compatible: 'renesas,fcpv', phandle: [90], iommus: [SMMU, 0x8, 0] }),
  });
  const alone = planOf(board, 'vsp@50000');
  expect(alone.members[0]!.access.streams.map(({ id, declaredBy }) => [id, declaredBy.name])).toEqual([
    [0x8, 'fcp@60000'],
  ]);
  expect(inTheWay(alone)).toEqual([
    ['sharedStream', '/fcp@60000'],
    ['companionOutside', '/fcp@60000'],
  ]);
  expect(inTheWay(planOf(board, 'vsp@50000', 'fcp@60000'))).toEqual([]);
  // Nor is the FCP lent while the VSP stays.
  expect(inTheWay(planOf(board, 'fcp@60000'))).toContainEqual(['consumerOutside', '/vsp@50000']);
});

it('a VSP is known to do DMA, though its FCP names no IOMMU', () => {
  const devices = {
    'vsp@50000': other({ compatible: 'renesas,vsp2', 'renesas,fcp': [90] }),
    'fcp@60000': at(0x6_0000, { compatible: 'renesas,fcpv', phandle: [90] }),
  };
  expect(kinds(devices, 'vsp@50000', 'fcp@60000')).toEqual([['unconfinedDma']]);
});

it('a GPU is started by its GMU: neither moves without the other', () => {
  const devices = {
    'a@50000': other({ compatible: 'qcom,adreno-630.2', iommus: [SMMU, 0x20, 0], 'qcom,gmu': [91] }),
    'b@60000': at(0x6_0000, { compatible: 'qcom,adreno-gmu', phandle: [91], iommus: [SMMU, 0x21, 0] }),
  };
  expect(kinds(devices, 'a@50000')).toEqual([['companionOutside', '/b@60000']]);
  expect(kinds(devices, 'b@60000')).toEqual([['consumerOutside', '/a@50000']]);
  expect(kinds(devices, 'a@50000', 'b@60000')).toEqual([]);
});

it.each(['renesas,fcp', 'qcom,gmu', 'nvidia,cmdqv', 'mediatek,scp', 'fsl,usbmisc'])(
  'what %s points to has to move, too, unless it is disabled',
  (property) => {
    const devices = (status: string) => ({
      'a@50000': other({ [property]: [92] }),
      'b@60000': at(0x6_0000, { phandle: [92], '#index-cells': [0], status }),
    });
    expect(kinds(devices('okay'), 'a@50000')).toEqual([['companionOutside', '/b@60000']]);
    expect(kinds(devices('disabled'), 'a@50000')).toEqual([]);
  },
);

/** A chain of three: what fetches, what mixes, what sends. */
const CHAIN: Description = {
  'vop@1000': { ...DISPLAY, ...end(50, 51) },
  'mixer@50000': other({
    ports: {
      'port@0': { endpoint: { phandle: [51], 'remote-endpoint': [50] } },
      'port@1': { endpoint: { phandle: [52], 'remote-endpoint': [53] } },
    },
  }),
  'hdmi@60000': at(0x6_0000, { compatible: 'test,hdmi', ...end(53, 52) }),
};

it('halves of one picture move together or not at all', () => {
  expect(kinds(CHAIN, 'vop@1000')).toEqual([['pipelineOutside', '/mixer@50000']]);
  expect(kinds(CHAIN, 'hdmi@60000')).toEqual([['pipelineOutside', '/mixer@50000']]);
  expect(kinds(CHAIN, 'vop@1000', 'mixer@50000')).toEqual([['pipelineOutside', '/hdmi@60000']]);
  expect(kinds(CHAIN, 'vop@1000', 'mixer@50000', 'hdmi@60000')).toEqual([]);
  const off = { ...CHAIN, 'mixer@50000': { ...(CHAIN['mixer@50000'] as Description), status: 'disabled' } };
  expect(kinds(off, 'vop@1000')).toEqual([]);
});

it('what is between two of a picture is told by the graph, whatever it is called', () => {
  const stage = (address: number, ...ends: [number, number][]) =>
    at(address, {
      ports: Object.fromEntries(
        ends.map(([phandle, far], index) => [
          `port@${index}`,
          { endpoint: { phandle: [phandle], 'remote-endpoint': [far] } },
        ]),
      ),
    });
  const devices = {
    'a@50000': stage(0x5_0000, [50, 51]),
    'b@60000': stage(0x6_0000, [51, 50], [52, 53]),
    'c@70000': { ...stage(0x7_0000, [53, 52]), compatible: 'test,hdmi' },
  };
  expect(kinds(devices, 'a@50000')).toEqual([['pipelineOutside', '/b@60000']]);
  expect(kinds(devices, 'b@60000')).toEqual([['pipelineOutside', '/a@50000', '/c@70000']]);
  expect(kinds({ ...devices, 'c@70000': stage(0x7_0000, [53, 52]) }, 'a@50000')).toEqual([]);
});

it('stages that the binding says are of one pipeline are, without a graph', () => {
  const devices = {
    'ovl@50000': other({ compatible: 'mediatek,mt8195-disp-ovl', iommus: [SMMU, 0x50, 0] }),
    'color@60000': at(0x6_0000, { compatible: 'mediatek,mt8195-disp-color' }),
    'wrot@70000': at(0x7_0000, { compatible: 'mediatek,mt8195-mdp3-wrot', iommus: [SMMU, 0x70, 0] }),
  };
  // The PWM of the backlight is called as they are.
  const pwm = { 'pwm@80000': at(0x8_0000, { compatible: 'mediatek,mt8195-disp-pwm' }) };
  expect(kinds({ ...devices, ...pwm }, 'ovl@50000')).toEqual([['pipelineOutside', '/color@60000']]);
  expect(kinds(devices, 'color@60000')).toEqual([['pipelineOutside', '/ovl@50000']]);
  expect(kinds(devices, 'wrot@70000')).toEqual([]);
});

it('a DSI host that lends its PHY to others is a half all the same', () => {
  const dsi = at(0x6_0000, { compatible: 'test,mipi-dsi', '#phy-cells': [0], ...end(51, 50) });
  const devices = { 'display@1000': { ...DISPLAY, ...end(50, 51) }, 'b@60000': dsi };
  expect(kinds(devices, 'display@1000')).toEqual([['pipelineOutside', '/b@60000']]);
});

it.each<[string, Description]>([
  ['a PHY, which is only switched on', { '#phy-cells': [0], compatible: 'test,hdmi-phy' }],
  ['a loudspeaker', { compatible: 'test,i2s' }],
  ['a USB controller on the same plug', { compatible: 'test,usb' }],
])('%s is no half of a picture', (_what, own) => {
  const devices = {
    'display@1000': { ...DISPLAY, ...end(50, 51) },
    'b@60000': at(0x6_0000, { ...own, ...end(51, 50) }),
  };
  expect(kinds(devices, 'display@1000')).toEqual([]);
  expect(planOf(boardOf(devices), 'display@1000').notes).toContain(
    '/display@1000 is connected to /b@60000, which stays as it is',
  );
});

it('a graph of what shows and takes no pictures is no pipeline', () => {
  expect(kinds({ 'a@50000': other(end(50, 51)), 'b@60000': at(0x6_0000, end(51, 50)) }, 'a@50000')).toEqual(
    [],
  );
});

it('planes that a display gets from elsewhere (renesas,vsps) are of its picture', () => {
  const vsp = (phandle: number, stream: number, address: number) =>
    at(address, { compatible: 'renesas,vsp2', phandle: [phandle], iommus: [SMMU, stream, 0] });
  const devices = {
    'du@50000': other({ compatible: 'renesas,du-r8a7795', 'renesas,vsps': [93, 0, 94, 0, 93, 1] }),
    'vsp@60000': vsp(93, 0x60, 0x6_0000),
    'vsp@70000': vsp(94, 0x70, 0x7_0000),
  };
  // Each of them once, and what does the DMA is the VSPs.
  expect(kinds(devices, 'du@50000')).toEqual([['pipelineOutside', '/vsp@60000', '/vsp@70000']]);
  expect(kinds(devices, 'vsp@60000')).toEqual([['pipelineOutside', '/du@50000', '/vsp@70000']]);
  expect(kinds(devices, 'du@50000', 'vsp@60000', 'vsp@70000')).toEqual([]);
});

it('what one list has (allwinner,pipelines) is one pipeline, though the list has no registers', () => {
  const devices = {
    'display-engine': { compatible: 'allwinner,sun50i-a64-display-engine', 'allwinner,pipelines': [95, 96] },
    'mixer@50000': other({ phandle: [95] }),
    'mixer@60000': at(0x6_0000, { phandle: [96] }),
  };
  expect(kinds(devices, 'mixer@50000')).toEqual([['pipelineOutside', '/mixer@60000']]);
  expect(kinds(devices, 'mixer@50000', 'mixer@60000')).toEqual([]);
});

it('ports that a display-subsystem lists are of one pipeline', () => {
  const port = (phandle: number) => ({ port: { phandle: [phandle] } });
  const devices = (list: number[]) => ({
    'display-subsystem': { compatible: 'rockchip,display-subsystem', ports: list },
    'vop@50000': other(port(97)),
    'vop@60000': at(0x6_0000, port(98)),
  });
  expect(kinds(devices([97, 98]), 'vop@50000')).toEqual([['pipelineOutside', '/vop@60000']]);
  expect(kinds(devices([97]), 'vop@50000')).toEqual([]);
});

it('parts of one display are of its picture already', () => {
  const devices = {
    'mdss@50000': other({
      ...BUS,
      'dpu@51000': {
        compatible: 'test,dpu',
        reg: [0x5_1000, 0x1000],
        iommus: [SMMU, 0x50, 0],
        ...end(50, 51),
      },
      'dsi@52000': { compatible: 'test,dsi', reg: [0x5_2000, 0x1000], ...end(51, 50) },
    }),
  };
  expect(kinds(devices, 'mdss@50000')).toEqual([]);
  expect(kinds(devices, 'dpu@51000')).toEqual([['pipelineOutside', '/mdss@50000/dsi@52000']]);
});
