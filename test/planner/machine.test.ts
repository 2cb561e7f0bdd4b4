/** What is everybody's, what is nobody's, and which references are none. */

import { expect, it } from 'vitest';
import type { Description } from './builder.ts';
import { BUS, boardOf, DISPLAY, flag, inTheWay, other, plainPlan, planOf, SMMU } from './plan-boards.ts';

const kinds = (own: Description, name = 'a@50000') => inTheWay(planOf(boardOf({ [name]: other(own) }), name));

it.each([
  // Pins.
  'fsl,imx8mp-iomuxc',
  'pinctrl-single',
  'qcom,sdm845-pinctrl',
  'renesas,pfc-r8a7795',
  'qcom,sm8450-tlmm',
  // Memory.
  'nvidia,tegra210-emc',
  'rockchip,rk3399-dmc',
  'snps,ddrc-3.80a',
  'mediatek,mt8195-smi-larb',
  'fsl,imx6q-mmdc',
  'ti,emif-am3352',
  // The SoC.
  'rockchip,rk3399-grf',
  'qcom,rpmh-rsc',
  'ti,k2g-sci',
  // Firewalls.
  'st,stm32mp25-rifsc',
  'st,stm32-etzpc',
  'fsl,imx8mq-csu',
  'nxp,imx93-trdc',
  // Traffic.
  'arm,cci-400-pmu',
  'qcom,sdm845-llcc',
  'nvidia,tegra234-cbb-fabric',
  'arm,coresight-tmc',
])('%s is one for the whole machine, whatever its node is called', (compatible) => {
  expect(kinds({ compatible })).toEqual([['machineWide']]);
});

it.each([
  'interconnect',
  'power-domain',
  'performance-domain',
  'hwlock',
  'mbox',
  'freq-domain',
  'access-controller',
])('what has #%s-cells serves whatever votes or waits at it', (what) => {
  expect(kinds({ [`#${what}-cells`]: [1] })).toEqual([['machineWide']]);
});

it('a PMIC that supplies the machine is not lent, nor the bus that it hangs on', () => {
  const pmic = (supply: Description, own: Description = {}) =>
    boardOf({
      'i2c@50000': other({
        '#address-cells': [1],
        '#size-cells': [0],
        'chip@40': {
          compatible: 'test,chip',
          reg: [0x40],
          ...own,
          regulators: { buck1: supply },
        },
      }),
    });
  const of = (board: Description, name: string) =>
    planOf(board, name).blockers.map(({ kind, node }) => `${kind} ${node}`);
  const wide = 'machineWide /i2c@50000/chip@40';
  for (const supply of [{ 'regulator-always-on': flag }, { 'regulator-boot-on': flag }]) {
    expect(of(pmic(supply), 'chip@40')).toContain(wide);
    expect(of(pmic(supply), 'i2c@50000')).toContain(wide);
  }
  expect(of(pmic({}), 'chip@40')).toEqual([]);
  expect(of(pmic({ 'regulator-always-on': flag, status: 'disabled' }), 'chip@40')).toEqual([]);
  expect(of(pmic({}, { 'system-power-controller': flag }), 'chip@40')).toContain(wide);
});

it('registers of a simple-bus are those of what is on it', () => {
  const bus = (own: Description) =>
    plainPlan(
      {
        'bus@50000': {
          ...BUS,
          compatible: 'simple-bus',
          reg: [0x5_0000, 0x1_0000],
          ...own,
          'can@51000': { compatible: 'arm,pl011', reg: [0x5_1000, 0x1000] },
        },
      },
      'can@51000',
    );
  expect(inTheWay(bus({}))).toEqual([]);
  // Others write to it, or it serves others: then they are its own.
  const syscon = new TextEncoder().encode('simple-bus\0syscon\0');
  expect(inTheWay(bus({ compatible: syscon }))).toEqual([['sharedPage', '/bus@50000']]);
  expect(inTheWay(bus({ '#clock-cells': [1] }))).toEqual([['sharedPage', '/bus@50000']]);
  expect(inTheWay(bus({ compatible: 'test,bus' }))).toEqual([['sharedPage', '/bus@50000']]);
  // And it is nothing that anybody could have.
  const asked = planOf(
    boardOf({ 'bus@50000': { ...BUS, compatible: 'simple-bus', reg: [0x5_0000, 0x1000] } }),
    'bus@50000',
  );
  expect(inTheWay(asked)).toEqual([['noAccess']]);
});

it('the memory of the machine shares no page, wherever it lies; what is called so below a bus does', () => {
  const memory = { device_type: 'memory', reg: [0, 0x8000_0000] };
  const board = (where: Description) => boardOf({ 'display@1000': DISPLAY, ...where });
  expect(inTheWay(planOf(board({ 'memory@0': memory }), 'display@1000'))).toEqual([]);
  const below = { bus: { ...BUS, 'memory@0': memory } };
  expect(inTheWay(planOf(board(below), 'display@1000'))).toEqual([['sharedPage', '/bus/memory@0']]);
});

it.each(['snps,nr-gpios', 'nr-gpios', 'num-gpios', 'vendor,nr-gpio', 'ngpios'])(
  '%s is a number, and no reference to whatever has that phandle',
  (property) => {
    const board = boardOf({
      'a@50000': other({ phandle: [32], '#gpio-cells': [0] }),
      'gpio@60000': other({ reg: [0x6_0000, 0x1000], [property]: [32] }),
    });
    expect(inTheWay(planOf(board, 'a@50000'))).toEqual([]);
  },
);

it('gpios of another device are references, by whatever name; who holds lines by a hog is everybody’s', () => {
  const uses = (own: Description, hog: Description = {}) =>
    inTheWay(
      planOf(
        boardOf({
          'a@50000': other({ phandle: [32], '#gpio-cells': [2], ...hog }),
          'b@60000': other({ reg: [0x6_0000, 0x1000], ...own }),
        }),
        'a@50000',
      ),
    );
  expect(uses({})).toEqual([]);
  for (const property of ['gpios', 'reset-gpios', 'cs-gpio'])
    expect(uses({ [property]: [32, 1, 0] })).toEqual([['consumerOutside', '/b@60000']]);
  expect(uses({}, { hog: { 'gpio-hog': flag, gpios: [32, 0] } })).toEqual([['machineWide']]);
});

it('a part that is reserved for firmware is in use outside, though what it is in moves', () => {
  const whole = (part: Description) =>
    inTheWay(
      planOf(
        boardOf({
          'whole@50000': other({
            ...BUS,
            iommus: [SMMU, 0x50, 0],
            interrupts: [0, 60, 4],
            'part@51000': { compatible: 'test,part', reg: [0x5_1000, 0x1000], ...part },
          }),
        }),
        'whole@50000',
      ),
    );
  expect(whole({ interrupts: [0, 60, 4] })).toEqual([]);
  expect(whole({ status: 'disabled', interrupts: [0, 60, 4] })).toEqual([]);
  // Its DMA has the stream of the whole.
  const stream = ['sharedStream', '/whole@50000/part@51000'];
  expect(whole({ status: 'reserved' })).toEqual([stream]);
  expect(whole({ status: 'reserved', interrupts: [0, 60, 4] })).toEqual([
    ['sharedLine', '/whole@50000/part@51000'],
    stream,
  ]);
  expect(whole({ status: 'reserved', reg: [0x5_0800, 0x100] })).toEqual([
    ['sharedPage', '/whole@50000/part@51000'],
    stream,
  ]);
});

it('a client on its bus that is reserved for firmware stays a client of somebody else', () => {
  const bus = (status: string) =>
    inTheWay(
      planOf(
        boardOf({
          'i2c@50000': other({
            '#address-cells': [1],
            '#size-cells': [0],
            'chip@40': { compatible: 'test,chip', reg: [0x40], status },
          }),
        }),
        'i2c@50000',
      ),
    );
  expect(bus('okay')).toEqual([]);
  expect(bus('disabled')).toEqual([]);
  expect(bus('reserved')).toEqual([['busClient', '/i2c@50000/chip@40']]);
});
