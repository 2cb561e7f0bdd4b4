/** The kind of device of a node, for people and for the quiesce order; no permission depends on it. Pure. */

import type { DtNode } from './blob.ts';
import { pattern } from './pattern.ts';
import { isIommu } from './streams.ts';
import { ofNode, textsOf } from './tree.ts';

/** Kinds of devices that are typically lent. */
export const MISSIONS = ['touch', 'display', 'camera', 'gpu', 'usb', 'serial'] as const;
export type Mission = (typeof MISSIONS)[number];

/** Words in the names of touch controllers, and of displays. */
const TOUCH = /\b(touch|rmi4|digitizer)/;
const DISPLAY = /\b(display|mdss|mdp|dsi|vop|dpu|panel)/;

/**
 * Words of `compatible` and names of nodes (Devicetree Specification v0.4, 2.2.2) for each kind; the first match
 * counts. A serial controller of a Qualcomm engine is called geni-uart, a GPU mali, adreno, powervr or gc.
 */
const WORDS: readonly (readonly [Mission, RegExp])[] = [
  ['touch', /\btouchscreen\b|[-,]ts\b|\b(rmi4|digitizer)/],
  ['gpu', /\bgpu\b|\b(mali|adreno|powervr|panthor)\b|vivante,gc/],
  [
    'display',
    pattern(
      String.raw`\b(display|mdss|mdp|dpu|dsi|dss|lcdif|lcdc|ltdc|hdlcd|vop\d?|tcon|hdmi|edp|dp|dc|du|`,
      String.raw`panel|displayport|dcss|clcd)\b`,
    ),
  ],
  ['camera', /\b(camera|camss|isp\d*|isi|csi2?|csi2rx|vin\d*|cci|sensor-interface|capture)\b/],
  ['usb', /\busb\d?\b|\b(xhci|ehci|ohci|dwc[23]|musb|otg)\b/],
  ['serial', /\b(serial|uart|usart|scif|hscif|lpuart|ns16550a?|pl011)\b|uart/],
];

/** Returns the kind of a device; undefined for any other. */
export const missionOf = ofNode((node): Mission | undefined => {
  // The IOMMU of a GPU has the GPU's name.
  if (isIommu(node)) return undefined;
  const words = [node.name.split('@')[0], ...textsOf(node, 'compatible')].join(' ');
  return WORDS.find(([, pattern]) => pattern.test(words))?.[0];
});

/** A finger must be lifted while the picture under it is still shown: touch is quiesced first, the display last. */
export const quiesceRank = ofNode((node): number => {
  const words = [node.name, ...textsOf(node, 'compatible')].join(' ');
  if (TOUCH.test(words)) return 0;
  return DISPLAY.test(words) ? 2 : 1;
});

/** Parts of names, and the residual state that is usual for such devices. */
const RESIDUES: readonly (readonly [RegExp, string])[] = [
  [TOUCH, 'reports'],
  [DISPLAY, 'framebuffer address'],
  [/\b(i2c|spi|serial|uart)/, 'transfer buffer'],
  [/\b(camera|isp|csi)/, 'picture buffer address'],
];

/** Returns the usual residual states of a device of its kind, besides registers; there may be more. */
export function usualResidualStates(node: DtNode): readonly string[] {
  const words = [node.name, ...textsOf(node, 'compatible')].join(' ');
  return RESIDUES.flatMap(([pattern, what]) => (pattern.test(words) ? [what] : []));
}
