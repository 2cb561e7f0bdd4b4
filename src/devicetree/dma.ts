/**
 * Whether a device does DMA, and what confines it, as far as its node tells. Pure.
 *
 * Devicetrees say nowhere "does DMA". Evidence is what a node refers to and declares, then its binding, known by
 * `compatible`; a node's name alone is none. What is neither known to do DMA nor known to do none is unknown, and
 * nobody's "can move".
 */

import type { Access } from './access.ts';
import { isPciFunction, isPciHost } from './addresses.ts';
import type { DtNode } from './blob.ts';
import type { Board } from './board.ts';
import type { Need } from './links.ts';
import { hasEmptyMap, streamsOf } from './streams.ts';
import { isEnabled, nodesBelow, type Tree, TreeError, textsOf } from './tree.ts';

/** A device that moves, as its node tells. */
interface Subject {
  readonly node: DtNode;
  readonly access: Access;
  readonly needs: readonly Need[];
}

/**
 * `confined`: all of it through IOMMUs that are on. `none`: it does none itself. `engine`: a DMA controller that no
 * IOMMU confines does it. `unconfined`: it does DMA, and nothing is named that confines it. `unknown`: nothing tells.
 */
export type DmaVerdict =
  | { readonly kind: 'confined' | 'none' }
  | { readonly kind: 'engine' | 'unconfined' | 'unknown'; readonly what: string };

const UNNAMED = 'and no IOMMU is named that would confine it';

/** What a device's DMA comes to. `isPart`: it is part of another that moves with it. */
export function dmaOf(board: Board, { node, access, needs }: Subject, isPart: boolean): DmaVerdict {
  const off = access.streams.find(({ iommu }) => !isEnabled(iommu));
  if (off)
    return {
      kind: 'unconfined',
      what: `its IOMMU ${off.iommu.name} is disabled in this tree: nothing confines its DMA`,
    };
  // What has no registers of its own is told by who drives it.
  if (access.pages.length === 0) return { kind: 'none' };
  const engine = needs.find(
    ({ role, target }) => role === 'dma' && target && !hasStream(board.tree, target),
  )?.target;
  if (engine)
    return {
      kind: 'engine',
      what: `${engine.name} does DMA for it, and no IOMMU is named that would confine that`,
    };
  if (access.streams.length > 0) return { kind: 'confined' };
  // A wrapper does none when a part of it does; a processor with memory of its own is more than a wrapper.
  const hasMemory = needs.some(({ role, target }) => role === 'memory' && target);
  if (!hasMemory && [...nodesBelow(node)].some((part) => board.access(part).streams.length > 0))
    return { kind: 'none' };
  if (node.properties.has(FETCHED_FOR)) return { kind: 'none' };
  const evidence = evidenceOf(board, node, needs);
  if (evidence !== undefined) return { kind: 'unconfined', what: `${evidence}, ${UNNAMED}` };
  // A whole that moves, too, says it for its parts.
  if (isPart || doesNone(node)) return { kind: 'none' };
  return {
    kind: 'unknown',
    what: 'it has no stream, and nothing tells whether it does DMA: if it does, nothing confines it',
  };
}

/** Of what shows what others fetch: bindings/display/renesas,du.yaml, where VSPs do it. */
const FETCHED_FOR = 'renesas,vsps';

/** Why a device is one that does DMA; undefined when nothing says so. */
function evidenceOf(board: Board, node: DtNode, needs: readonly Need[]): string | undefined {
  for (const [property, what] of PROPERTIES)
    if (node.properties.has(property)) return `${what} (${property})`;
  const pool = needs.find(({ role }) => role === 'memory')?.target;
  if (pool) return `memory is set aside for it (memory-region: ${pool.name})`;
  const path = memoryPath(node);
  if (path !== undefined) return `it votes for bandwidth to memory (interconnects: ${path})`;
  if (hasMap(board.tree, node)) return 'which streams its DMA has is left to boot firmware (iommu-map)';
  if (isPciFunction(node)) return 'PCI functions do DMA';
  if (isPciHost(node)) return 'what is behind a PCI host does DMA';
  for (let at: DtNode | undefined = node; at !== undefined; at = at.parent) {
    const found = textsOf(at, 'compatible').find((each) => MASTERS.some((pattern) => pattern.test(each)));
    if (found === undefined) continue;
    if (at === node) return `devices of its kind do DMA (${found})`;
    // What is below a bus controller or a host is no part of it, and says for itself what it is.
    if (!PARTS_ASIDE.test(found)) return `${at.name}, of which it is part, does DMA (${found})`;
  }
  return undefined;
}

/** Properties of what does DMA itself: Linux, bindings/dma/dma-controller.yaml, and the bindings of each kind. */
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
  // usb/usb-drd.yaml: USB controllers do, too.
  ['dr_mode', 'USB controllers do DMA'],
  // mmc/mmc-controller.yaml.
  ['non-removable', 'storage controllers do DMA'],
  ['cap-sd-highspeed', 'storage controllers do DMA'],
  ['cap-mmc-highspeed', 'storage controllers do DMA'],
  ['mmc-ddr-1_8v', 'storage controllers do DMA'],
  ['sd-uhs-sdr104', 'storage controllers do DMA'],
];

/** Names of paths that lead from a device to memory, and not from processors to its registers. */
const MEMORY_PATH =
  /(^|[-_])(mem|memory|dram|ddr|ebi|dma)([-_0-9]|$)|^(read|write|rd|wr)\d*$|-(rd|wr|mem|ddr)$/;

/**
 * The first path of a node that is one to memory. A path without a name is taken for one: what a device has
 * bandwidth for is memory (bindings/interconnect/interconnect.txt); paths called otherwise are those of processors.
 */
function memoryPath(node: DtNode): string | undefined {
  const names = textsOf(node, 'interconnect-names');
  if (!node.properties.has('interconnects')) return undefined;
  if (names.length === 0) return 'without names';
  return names.find((name) => MEMORY_PATH.test(name) || !CONFIG_PATH.test(name));
}

/** Paths on which processors reach registers. */
const CONFIG_PATH = /^(cpu|apps|qup)-|(^|-)(cfg|config|core)$/;

/**
 * Bindings of what keeps its work in memory, by `compatible`: display and capture controllers, processors of pictures
 * and graphics, codecs, network, storage and USB controllers, remote processors, DMA engines. Patterns of families, as
 * bindings name them, for every SoC has its own first word.
 */
const MASTERS: readonly RegExp[] = [
  /[,-](dss|lcdc|lcdif|ltdc|hdlcd|clcd|dcss|dc|dpu|mdp\d?|mdss|vop2?|du|tidss|drm|crtc|fimd|decon\d?|ovl(-2l)?|rdma|tilcdc)(-|$)/,
  /,(pl11[01]|hdlcd|mali-dp\d+|komeda)|simple-framebuffer/,
  /[,-](isp\d*|isi|vin|csi|camss|cap|vfe|cio2|vip|cal|fimc(-is|-lite)?|imgsys|camsys|rkisp1|rga\d*|g2d|gsc|gscaler|scaler|vsp[12]|fdp1|ipu|pxp|dewarp|dw100|mdp3.*|ge2d)(-|$)/,
  /(^|[,-])(mali|adreno|powervr|panthor|sgx)|^img,|vivante,gc|-gpu$|-mali/,
  /[,-](vpu|vdec|venc|vde|vcodec|venus|iris|hantro|g1|g2|jpeg|jpegdec|jpegenc|jpgdec|jpgenc|mjpeg|codec-(dec|enc)|video-(engine|codec)|cedar|wave5.*|coda.*|av1)(-|$)/,
  /[,-](dwmac|gmac|emac|xgmac|gem|macb|fec|enetc|eqos|ethernet|eth|cpsw.*|cpgmac|netcp|icssg-prueth|fman.*|dpaa2?|mvneta|mvpp2|pp22|etheravb|gether|ethqos|switch)(-|$)|dwmac/,
  /(sdhci|sdhc|dw-mshc|[,-]mmc|[,-]msdc|sdmmc|[,-]emmc|ufshc|[,-]ufs|[,-]nand|mshc|hsmmc)(-|$)/,
  /(xhci|ehci|ohci|uhci|dwc[23]|musb|[,-]usb(ss|3|2|d|hs|-otg)?|[,-]otg|cdns3|udc|mtu3|ci-hdrc|chipidea)(-|$)/,
  /(ahci|[,-]sata|[,-]sas|[,-]pcie?|pci-host|qoriq-mc)(-|$)/,
  /[,-](dma|sdma|edma3?|udma.*|bam.*|xor.*|cdma|pdma|hdma|mdma|gpdma|dmac|axidma|adma|ringacc|bcdma|pktdma|apdma|qdma)(-|$)|pl330|pl08[01]/,
  /(cryp(to|tocell)?|caam|[,-]sec|[,-]qce|[,-]ce|cesa|safexcel|ccree|[,-]aes|[,-]hash|[,-]sahara|inside-secure|eip\d+|sa2ul|dthe|trng-dma)(-|$|v)/,
  /(r5f|r5fss|m4fss?|c66|c67|c71|[,-]dsp|[,-]pas|[,-]pil|[,-]mss|[,-]adsp|[,-]cdsp|remoteproc|[,-]scp|[,-]cm[47]|[,-]hifi\w*|[,-]ipu|[,-]npu|ethosu|[,-]tpu|(?<!lvts)[,-]mcu|[,-]wifi|wcn\d+|[,-]pru(ss)?|fastrpc)(-|$)/,
  /[,-](sysport|wed|ipa|geni-se-qup|smp2p-dma|hda|azalia|acp|audio-dsp|afe)(-|$)/,
];
/** What has others behind it, that are no parts of it. */
const PARTS_ASIDE =
  /pcie?|qoriq-mc|-usb|usb|xhci|dwc[23]|geni-se-qup|switch|ethernet|eth|mdio|-sec|sec-v|-scp|remoteproc/;

/**
 * Bindings of what does no DMA but by a DMA controller that its `dmas` name: the driver moves each byte. By
 * `compatible`; families whose registers can start an engine of their own are left out (serial engines of Qualcomm and
 * MediaTek, Atmel's PDC, Aspeed's I2C), whether Linux uses it or not: a guest's driver may be another.
 */
const NO_DMA: readonly RegExp[] = [
  /^arm,(pl011|pl031|pl050|pl061|pl022|sbsa-uart|sp805|primecell-gpio)$/,
  /^(ns16550a?|ns16450|snps,dw-apb-(uart|gpio|ssi|i2c|wdt)|snps,designware-i2c|snps,dw-apb-gpio-port)$/,
  /^(?!qcom,geni|mediatek|atmel|microchip,sama|brcm,bcm7271)[^,]*,?.*(-|,)(uart|usart|lpuart|scif|hscif|scifa|sci|hsuart|xuartps|uartlite|uartdm)(-|$)/,
  /^(?!qcom|mediatek|atmel|aspeed|microchip,sama)[^,]*,.*(-|,)(i2c|riic|iic|lpi2c|twsi|hsi2c)(-|$)|^(i2c-gpio|cdns,i2c|marvell,mv78230-i2c)/,
  /^(?!qcom|mediatek|amlogic|atmel|sunplus)[^,]*,.*(-|,)(ecspi|cspi|dspi|lpspi|mcspi|spi|msiof|rspi)(-|$)|^spi-gpio$/,
  /^(?!.*dma).*(-|,)(flexcan|rcar-can|rcar-canfd|rzg2l-canfd|m_can|mcan|c_can|d_can)(-|$)|^bosch,/,
  /(-|,)(gpio|gpio-bank|gpio-controller|pio|pinctrl-gpio)$/,
  /(-|,)(pwm|adc|saradc|tsadc|auxadc|lradc|gpadc|rtc|thermal|tmu|tsens|tempmon|keypad|kpp|kbc|cec|irc|ir|cir|wdt|rng|trng|hwrng|ocotp)(-|$|\d)/,
];

/** Whether a device is one of those that do no DMA themselves. */
function doesNone(node: DtNode): boolean {
  return textsOf(node, 'compatible').some((name) => NO_DMA.some((pattern) => pattern.test(name)));
}

/** A map that leads nowhere yet. One that cannot be read is complained of elsewhere. */
function hasMap(tree: Tree, node: DtNode): boolean {
  return asRead(() => hasEmptyMap(tree, node));
}

/** A DMA controller may be disabled, and is then not used; what its streams would be is still told. */
function hasStream(tree: Tree, engine: DtNode): boolean {
  return asRead(() => streamsOf(tree, engine).length > 0);
}

function asRead(get: () => boolean): boolean {
  try {
    return get();
  } catch (error) {
    if (error instanceof TreeError) return false;
    throw error;
  }
}
