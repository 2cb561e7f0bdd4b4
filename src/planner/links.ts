/**
 * The needs of a node: every reference for access, power, a clock, a reset or a place in a graph. Pure.
 *
 * Names and cell counts: Devicetree Specification v0.4 and Linux, Documentation/devicetree/bindings (graph.txt of
 * dt-schema for endpoints); each vendor's property: the binding of its device.
 */

import type { DtNode } from './blob.ts';
import { type Link, type Tree, TreeError, textsOf } from './tree.ts';

/** Roles of a reference. `companion`: a device without which this one does nothing, or which does its DMA. */
export type Role =
  | 'iommu'
  | 'dma'
  | 'clock'
  | 'power-domain'
  | 'reset'
  | 'supply'
  | 'pinctrl'
  | 'phy'
  | 'interconnect'
  | 'gpio'
  | 'memory'
  | 'endpoint'
  | 'panel'
  | 'backlight'
  | 'thermal'
  | 'performance'
  | 'mailbox'
  | 'hwlock'
  | 'nvmem'
  | 'io-channel'
  | 'pwm'
  | 'sound'
  | 'bus'
  | 'companion'
  | 'pipeline'
  | 'firewall'
  | 'mux';

/** One reference. */
export interface Need extends Link {
  readonly role: Role;
  readonly property: string;
  /** Its place in the list. */
  readonly index: number;
  /** Its name, from `clock-names` and the like. */
  readonly name: string | undefined;
}

/**
 * A property with references: role, the property of the target with the number of cells that follow, the list of names,
 * and the number of cells if the target has none.
 */
type List = readonly [Role, string | undefined, (string | undefined)?, number?];
const LISTS = new Map<string, List>([
  ['iommus', ['iommu', '#iommu-cells']],
  ['dmas', ['dma', '#dma-cells', 'dma-names']],
  ['clocks', ['clock', '#clock-cells', 'clock-names']],
  ['assigned-clocks', ['clock', '#clock-cells']],
  ['power-domains', ['power-domain', '#power-domain-cells', 'power-domain-names']],
  ['resets', ['reset', '#reset-cells', 'reset-names']],
  ['phys', ['phy', '#phy-cells', 'phy-names']],
  ['interconnects', ['interconnect', '#interconnect-cells', 'interconnect-names']],
  ['memory-region', ['memory', undefined, 'memory-region-names']],
  ['remote-endpoint', ['endpoint', undefined]],
  ['panel', ['panel', undefined]],
  ['backlight', ['backlight', undefined]],
  ['thermal-sensors', ['thermal', '#thermal-sensor-cells']],
  ['qcom,freq-domain', ['performance', '#freq-domain-cells']],
  ['performance-domains', ['performance', '#performance-domain-cells']],
  ['mboxes', ['mailbox', '#mbox-cells', 'mbox-names']],
  ['hwlocks', ['hwlock', '#hwlock-cells']],
  ['nvmem-cells', ['nvmem', undefined, 'nvmem-cell-names']],
  ['io-channels', ['io-channel', '#io-channel-cells', 'io-channel-names']],
  ['pwms', ['pwm', '#pwm-cells', 'pwm-names']],
  ['sound-dai', ['sound', '#sound-dai-cells']],
  ['access-controllers', ['firewall', '#access-controller-cells', 'access-controller-names']],
  ['mux-controls', ['mux', '#mux-control-cells', 'mux-control-names']],
  ['cooling-device', ['thermal', '#cooling-cells']],
  ['assigned-clock-parents', ['clock', '#clock-cells']],
  ['nand-ecc-engine', ['companion', undefined]],
  ['pcs-handle', ['phy', undefined]],
  ['ptp-timer', ['clock', undefined]],
  ['sram', ['bus', undefined]],
  ['extcon', ['bus', undefined]],
  ['mediatek,auxadc', ['io-channel', undefined]],
  ['audio-codec', ['bus', undefined]],
  ['audio-cpu', ['bus', undefined]],
  ['ssi-controller', ['bus', undefined]],
  ['hdmi-phandle', ['bus', undefined]],
  ['qcom,rx-device', ['bus', undefined]],
  ['qcom,tx-device', ['bus', undefined]],
  // Older bindings: now `phys` and `ddc-i2c-bus`.
  ['phy', ['phy', undefined]],
  ['ddc', ['bus', undefined]],
  ['i2c-bus', ['bus', undefined]],
  // Devices on a bus of another node.
  ['i2c-parent', ['bus', undefined]],
  ['ddc-i2c-bus', ['bus', undefined]],
  ['mdio-parent-bus', ['bus', undefined]],
  ['phy-handle', ['phy', undefined]],
  ['usb-phy', ['phy', undefined]],
  ['fsl,usbphy', ['phy', undefined]],
  // bindings/media/renesas,vsp1.yaml and renesas,fdp1.yaml: the FCP does their DMA.
  ['renesas,fcp', ['companion', undefined]],
  // bindings/display/msm/gpu.yaml: the GMU powers the GPU and starts it.
  ['qcom,gmu', ['companion', undefined]],
  // bindings/usb/chipidea,usb2-common.yaml: wakeup and polarity of the same controller.
  ['fsl,usbmisc', ['companion', '#index-cells']],
  // bindings/iommu/nvidia,tegra264-cmdqv.yaml: command queues of an SMMU.
  ['nvidia,cmdqv', ['companion', undefined]],
  // bindings/media/mediatek,vcodec-*.yaml: firmware that runs there drives the codec.
  ['mediatek,scp', ['companion', undefined]],
  // bindings/mailbox/mediatek,gce-mailbox.yaml: the command engine writes their registers.
  ['mediatek,gce-client-reg', ['companion', undefined, undefined, 3]],
  // bindings/display/tegra/nvidia,tegra20-dc.yaml.
  ['nvidia,outputs', ['pipeline', undefined]],
  // bindings/display/renesas,du.yaml: planes and colours come from there.
  ['renesas,vsps', ['pipeline', undefined, undefined, 1]],
  ['renesas,cmms', ['pipeline', undefined]],
  // bindings/display/allwinner,sun4i-a10-display-engine.yaml.
  ['allwinner,pipelines', ['pipeline', undefined]],
  // bindings/display/rockchip/rockchip-drm.yaml and imx/fsl,imx-display-subsystem.yaml.
  ['ports', ['pipeline', undefined]],
]);
/** Properties whose role is in a suffix or prefix of their name. */
const PATTERNS: readonly (readonly [RegExp, List])[] = [
  [/^(.+-)?gpios?$/, ['gpio', '#gpio-cells']],
  [/^.+-supply$/, ['supply', undefined]],
  [/^pinctrl-\d+$/, ['pinctrl', undefined]],
];
/**
 * Named like a list of GPIOs, but a number of GPIOs: `snps,nr-gpios`, `nr-gpios` (Linux, drivers/of/property.c,
 * parse_gpios, says so of the first).
 */
const COUNT = /(^|[,-])(nr|num)-gpios?$/;

/**
 * Returns the references of a node, by property, as far as they can be read. `wrong` gets each unreadable property with
 * its role; one such property does not hide others.
 */
export function needsOf(
  tree: Tree,
  node: DtNode,
  wrong: (error: TreeError, role: Role) => void,
): readonly Need[] {
  // A hog's `gpios` are lines of the controller that it is in, and no references.
  if (node.properties.has('gpio-hog')) return [];
  const needs: Need[] = [];
  for (const property of node.properties.keys()) {
    const list = listOf(property);
    if (list === undefined) continue;
    const [role, cells, namesIn, fixed] = list;
    try {
      const names = namesIn === undefined ? [] : textsOf(node, namesIn);
      tree.links(node, property, cells, fixed).forEach((link, index) => {
        if (link) needs.push({ ...link, role, property, index, name: names[index] });
      });
    } catch (error) {
      if (!(error instanceof TreeError)) throw error;
      wrong(error, role);
    }
  }
  return needs;
}

function listOf(property: string): List | undefined {
  const list = LISTS.get(property);
  if (list || COUNT.test(property)) return list;
  return PATTERNS.find(([pattern]) => pattern.test(property))?.[1];
}
