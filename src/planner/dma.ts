/**
 * Whether a device does DMA, and what confines it, as far as its node shows. Pure.
 *
 * Device trees have no property for "does DMA". Evidence is what a node refers to and declares, then its binding, by
 * `compatible`; the name of a node is no evidence. A device without evidence either way is unknown, and never counts as
 * "can move".
 */

import { type Access, hasRegisters, namelessParts, routedTo } from './access.ts';
import { isPciFunction, isPciHost } from './addresses.ts';
import type { DtNode } from './blob.ts';
import type { Board } from './board.ts';
import type { Need } from './links.ts';
import { pattern } from './pattern.ts';
import { hasEmptyMap, streamsOf } from './streams.ts';
import { isEnabled, nodesBelow, type Tree, TreeError, textsOf } from './tree.ts';

/** A moving device, as described by its node. */
interface Subject {
  readonly node: DtNode;
  readonly access: Access;
  readonly needs: readonly Need[];
}

/**
 * `confined`: all its DMA goes through enabled IOMMUs. `none`: it does none itself. `engine`: a DMA controller without
 * an IOMMU does it. `unconfined`: it does DMA, and no IOMMU is named. `unknown`: no evidence.
 */
export type DmaVerdict =
  | { readonly kind: 'confined' | 'none' }
  | { readonly kind: 'engine' | 'unconfined' | 'unknown'; readonly what: string };

const UNFILLED = 'which streams its DMA has is left to boot firmware (iommu-map)';
const UNNAMED = 'and no IOMMU is named that would confine it';

/** Returns the verdict on a device's DMA. */
export function dmaOf(board: Board, subject: Subject): DmaVerdict {
  const { node, access } = subject;
  // Needs of its parts that are not devices count as its own.
  const needs = [...subject.needs, ...namelessParts(node).flatMap((part) => board.needs(part))];
  const off = access.streams.find(({ iommu }) => !isEnabled(iommu));
  if (off)
    return {
      kind: 'unconfined',
      what: `its IOMMU ${off.iommu.name} is disabled in this tree: nothing confines its DMA`,
    };
  const engine = enginesOf(board.tree, needs).find((each) => !hasStream(board.tree, each));
  if (engine)
    return {
      kind: 'engine',
      what: `${engine.name} does DMA for it, and no IOMMU is named that would confine that`,
    };
  // A device without registers is judged by the device that drives it.
  if (!hasRegisters(node)) return { kind: 'none' };
  // The streams of a DMA controller that it uses confine only that controller.
  const engines = new Set(enginesOf(board.tree, needs));
  if (hasMap(board.tree, node)) return { kind: 'unconfined', what: `${UNFILLED}, ${UNNAMED}` };
  if (access.streams.some(({ declaredBy }) => !engines.has(declaredBy))) return { kind: 'confined' };
  if (fetchesNothing(needs)) return { kind: 'none' };
  const unconfined = (what: string): DmaVerdict => ({ kind: 'unconfined', what: `${what}, ${UNNAMED}` });
  const pool = needs.find(({ role }) => role === 'memory')?.target;
  if (pool) return unconfined(`memory is set aside for it (memory-region: ${pool.name})`);
  if (isPciHost(node)) return unconfined('what is behind a PCI host does DMA');
  // A wrapper's statement about DMA is about its part with registers and streams.
  const parts = [...nodesBelow(node)].filter((part) => part !== node && hasRegisters(part));
  if (parts.some((part) => board.access(part).streams.length > 0)) return { kind: 'none' };
  const evidence = evidenceOf(node, needs);
  if (evidence !== undefined) return unconfined(evidence);
  if (access.streams.length > 0) return { kind: 'confined' };
  if (doesNone(node)) return { kind: 'none' };
  return {
    kind: 'unknown',
    what: 'it has no stream, and whether it does DMA is unknown: if it does, nothing confines it',
  };
}

/** Whether other devices fetch the picture of a display: bindings/display/renesas,du.yaml, where enabled VSPs do. */
function fetchesNothing(needs: readonly Need[]): boolean {
  const fetchers = needs.filter(({ property }) => property === 'renesas,vsps');
  return fetchers.length > 0 && fetchers.every(({ target }) => target && isEnabled(target));
}

/** Returns the DMA controllers that a device uses. */
function enginesOf(tree: Tree, needs: readonly Need[]): readonly DtNode[] {
  const named = needs.flatMap(({ role, target }) => (role === 'dma' && target ? [target] : []));
  return [...new Set(named.flatMap((each) => asRead(() => routedTo(tree, each), [each])))];
}

/** Returns why a device does DMA; undefined without evidence. */
function evidenceOf(node: DtNode, needs: readonly Need[]): string | undefined {
  for (const [property, what] of PROPERTIES)
    if (node.properties.has(property)) return `${what} (${property})`;
  const path = memoryPath(node, needs);
  if (path !== undefined) return `it votes for bandwidth to memory (interconnects: ${path})`;
  const wire = WIRES.flatMap((property) => textsOf(node, property)).find((name) => DMA_WIRE.test(name));
  if (wire !== undefined) return `it has a part that does DMA (${wire})`;
  if (isPciFunction(node)) return 'PCI functions do DMA';
  // The name of the board is no evidence about its devices.
  for (let at: DtNode | undefined = node; at?.parent !== undefined; at = at.parent) {
    const found = textsOf(at, 'compatible').find((each) => MASTERS.some((pattern) => pattern.test(each)));
    if (found === undefined) continue;
    if (at === node) return `devices of its kind do DMA (${found})`;
    // A device below a bus controller or a host is no part of it, and has its own evidence.
    if (!PARTS_ASIDE.test(found)) return `${at.name}, of which it is part, does DMA (${found})`;
  }
  return undefined;
}

/** Names of clocks, registers and lines of a DMA engine inside a device (MediaTek's APDMA). */
const WIRES: readonly string[] = ['clock-names', 'reg-names', 'interrupt-names'];
const DMA_WIRE = /(^|[-_])(ap)?dma([-_]|$)/;

/**
 * Properties of devices that do DMA themselves: Linux, bindings/dma/dma-controller.yaml, and the bindings of each kind.
 */
const PROPERTIES: readonly (readonly [string, string])[] = [
  ['dma-coherent', 'it does DMA'],
  ['dma-noncoherent', 'it does DMA'],
  ['#dma-cells', 'it is a DMA controller'],
  ['#stream-id-cells', 'it has streams at an SMMU'],
  ['iommu-addresses', 'it does DMA'],
  ['restricted-dma-pool', 'it does DMA'],
  // net/ethernet-controller.yaml: MACs keep their descriptors in memory.
  ['phy-mode', 'Ethernet controllers do DMA'],
  ['phy-connection-type', 'Ethernet controllers do DMA'],
  // usb/usb-drd.yaml: USB controllers do DMA.
  ['dr_mode', 'USB controllers do DMA'],
  // mmc/mmc-controller.yaml.
  ['non-removable', 'storage controllers do DMA'],
  ['cap-sd-highspeed', 'storage controllers do DMA'],
  ['cap-mmc-highspeed', 'storage controllers do DMA'],
  ['mmc-ddr-1_8v', 'storage controllers do DMA'],
  ['sd-uhs-sdr104', 'storage controllers do DMA'],
];

/** Names of interconnect paths from a device to memory, as opposed to paths from processors to its registers. */
const MEMORY_PATH =
  /(^|[-_])(mem|memory|dram|ddr|ebi|dma)([-_0-9]|$)|^(read|write|rd|wr)\d*$|-(rd|wr|mem|ddr)$/;

/**
 * Returns the first path of a node to memory. A path without a name counts as one, since devices request bandwidth to
 * memory (bindings/interconnect/interconnect.txt); paths with other names are those of processors.
 */
function memoryPath(node: DtNode, needs: readonly Need[]): string | undefined {
  const names = textsOf(node, 'interconnect-names');
  if (!node.properties.has('interconnects')) return undefined;
  const count = needs.filter(({ role }) => role === 'interconnect').length;
  if (names.length === 0 || (count > 0 && names.length * 2 < count)) return 'without names';
  return names.find((name) => MEMORY_PATH.test(name) || !CONFIG_PATH.test(name));
}

/** Names of paths on which processors reach registers. */
const CONFIG_PATH = /^(cpu|apps|qup)-|(^|-)(cfg|config|core)$/;

/**
 * Bindings of devices that work on memory, by `compatible`: display and capture controllers, image and graphics
 * processors, codecs, network, storage and USB controllers, remote processors, DMA engines. Patterns match families as
 * named in bindings, since each SoC has its own prefix.
 */
const MASTERS: readonly RegExp[] = [
  pattern(
    String.raw`[,-](dss|lcdc|lcdif|ltdc|hdlcd|clcd|dcss|dc|dpu|mdp\d?|mdss|vop2?|du|tidss|drm|crtc|`,
    String.raw`fimd|decon\d?|ovl(-2l)?|rdma|tilcdc|de\d?-mixer.*|display-(front|back)end|hvs|vc5|`,
    'v3d)(-|$)',
  ),
  /^brcm,(2711-v3d|bcm2(711|712|835)-(hvs|v3d|vec|txp))|imr-lx\d/,
  /,(pl11[01]|hdlcd|mali-dp\d+|komeda)|simple-framebuffer/,
  pattern(
    String.raw`[,-](isp\d*|isi|vin|csi|camss|cap|vfe|cio2|vip|cal|fimc(-is|-lite)?|imgsys|camsys|`,
    String.raw`rkisp1|rga\d*|g2d|gsc|gscaler|scaler|vsp[12]|fdp1|ipu|pxp|dewarp|dw100|mdp3.*|ge2d|cru|`,
    'imr)(-|$)',
  ),
  /(^|[,-])(mali|adreno|powervr|panthor|sgx)|^img,|vivante,gc|-gpu$|-mali/,
  pattern(
    '[,-](vpu|vdec|venc|vde|vcodec|venus|iris|hantro|g1|g2|jpeg|jpegdec|jpegenc|jpgdec|',
    'jpgenc|mjpeg|codec-(dec|enc)|video-(engine|codec)|cedar|wave5.*|coda.*|av1)(-|$)',
  ),
  pattern(
    '[,-](dwmac|gmac|emac|xgmac|gem|macb|fec|enetc|eqos|ethernet|eth|cpsw.*|cpgmac|netcp|',
    'icssg-prueth|fman.*|dpaa2?|mvneta|mvpp2|pp22|etheravb|gether|ethqos|switch|mac|wmac|',
    String.raw`lan91c\d+)(-|$)|dwmac|^smsc,lan9`,
  ),
  pattern(
    '(sdhci|sdhc|dw-mshc|[,-]mmc|[,-]msdc|sdmmc|[,-]emmc|ufshc|[,-]ufs|ufshci|[,-]nand|snand|',
    'nfc|mshc|hsmmc|[,-]sfc|[,-]o?spi-nand)(-|$)|^arm,pl18[0-9]|zynqmp-qspi',
  ),
  /(xhci|xusb|ehci|ohci|uhci|dwc[23]|musb|[,-]usb(ss|3|2|d|hs|-otg)?|[,-]otg|cdns3|udc|mtu3|ci-hdrc|chipidea)(-|$)/,
  /(ahci|[,-]sata|[,-]sas|[,-]pcie?|pci-host|qoriq-mc)(-|$)/,
  pattern(
    '[,-](dma|sdma|edma3?|udma.*|bam.*|xor.*|cdma|pdma|hdma|mdma|gpdma|dmac|axidma|adma|',
    'ringacc|bcdma|pktdma|apdma|qdma)(-|$)|pl330|pl08[01]',
  ),
  pattern(
    '(cryp(to|tocell)?|caam|[,-]sec|[,-]qce|[,-]ce|cesa|safexcel|ccree|[,-]aes|[,-]hash|',
    String.raw`[,-]sahara|inside-secure|eip\d+|sa2ul|dthe|trng-dma|[,-]dcp|hace|acry)(-|$|v)`,
  ),
  pattern(
    '(r5f|r5fss|m4fss?|c66|c67|c71|[,-]dsp|[,-]pas|[,-]pil|[,-]mss|[,-]adsp|[,-]cdsp|',
    String.raw`remoteproc|[,-]scp|[,-]cm[47]|[,-]hifi\w*|[,-]ipu|[,-]npu|ethosu?|ethos-u\d+|[,-]tpu|`,
    String.raw`(?<!lvts)[,-]mcu|[,-]wifi|wcn\d+|[,-]pru(ss)?|fastrpc)(-|$)`,
  ),
  /^virtio,|[,-](sysport|wed|ipa|geni-se-qup|smp2p-dma|hda|azalia|acp|audio-dsp|afe)(-|$)/,
];
/** Buses and hosts, whose children are not their parts. */
const PARTS_ASIDE =
  /pcie?|qoriq-mc|-usb|usb|xhci|dwc[23]|geni-se-qup|switch|ethernet|eth|mdio|-sec|sec-v|-scp|remoteproc/;

/**
 * Bindings of devices that do no DMA except through the DMA controllers in their `dmas`: otherwise the driver moves
 * each byte. By `compatible`. Families whose registers can start their own DMA engine are omitted (serial engines of
 * Qualcomm and MediaTek, Atmel's PDC, Aspeed's I2C), even if Linux does not use it: a guest may have another driver.
 */
const NO_DMA: readonly RegExp[] = [
  /^arm,(pl011|pl031|pl050|pl061|pl022|sbsa-uart|sp805|primecell-gpio)$/,
  /^(ns16550a?|ns16450|snps,dw-apb-(uart|gpio|ssi|i2c|wdt)|snps,designware-i2c|snps,dw-apb-gpio-port)$/,
  /(^|-|,)(uart|usart|lpuart|scif|hscif|scifa|sci|hsuart|xuartps|uartlite|uartdm)(-|$)/,
  /(^|-|,)(i2c|riic|iic|lpi2c|twsi|hsi2c)(-|$)/,
  /(^|-|,)(ecspi|cspi|dspi|lpspi|mcspi|spi|msiof|rspi)(-|$)/,
  /^(?!.*dma).*(-|,)(can|canfd|flexcan|rcar-can|rcar-canfd|rzg2l-canfd|m_can|mcan|c_can|d_can)(-|$)|^bosch,/,
  /(-|,)(gpio|gpio-bank|gpio-controller|pio|pinctrl-gpio)(-[\w.]+)?$/,
  pattern(
    '(-|,)(pwm|adc|saradc|tsadc|auxadc|lradc|gpadc|rtc|thermal|tmu|tsens|tempmon|keypad|kpp|',
    String.raw`kbc|cec|irc|ir|cir|rng|trng|hwrng|ocotp)(-|$|\d)`,
  ),
];

/** Families whose registers can start their own DMA engine, whatever their fallback `compatible` is. */
const ENGINES_INSIDE = pattern(
  '^(qcom,geni|qcom,.*-(i2c|spi)|mediatek,.*-(i2c|spi|uart)|atmel,|microchip,sama|',
  'aspeed,.*-(i2c|spi|fmc)|brcm,bcm7271|sunplus,.*-spi|amlogic,.*-spi)',
);

/** Whether a device is known to do no DMA itself. */
function doesNone(node: DtNode): boolean {
  const names = textsOf(node, 'compatible');
  // A fallback `compatible` shows what a driver can do with the device, not what else it has.
  if (names.some((name) => ENGINES_INSIDE.test(name))) return false;
  return names.some((name) => NO_DMA.some((pattern) => pattern.test(name)));
}

/** Whether a map is still to be filled in. An unreadable map is reported elsewhere. */
function hasMap(tree: Tree, node: DtNode): boolean {
  return asRead(() => hasEmptyMap(tree, node), false);
}

/** A disabled DMA controller is not used, but its streams are still read. */
function hasStream(tree: Tree, engine: DtNode): boolean {
  for (let at: DtNode | undefined = engine; at !== undefined; at = at.parent) {
    const own = at;
    if (asRead(() => streamsOf(tree, own).length > 0, false)) return true;
  }
  return false;
}

function asRead<T>(get: () => T, unread: T): T {
  try {
    return get();
  } catch (error) {
    if (error instanceof TreeError) return unread;
    throw error;
  }
}
