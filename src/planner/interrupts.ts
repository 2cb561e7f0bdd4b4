/**
 * The interrupt lines of a device: `interrupts`, `interrupts-extended` and the maps of the nexus nodes on the way.
 * Pure.
 *
 * Devicetree Specification v0.4, 2.4. The specifier of an Arm GIC: Linux,
 * Documentation/devicetree/bindings/interrupt-controller/ arm,gic.yaml and arm,gic-v3.yaml.
 */

import type { Trigger } from '../core/protocol/bundle.ts';
import type { DtNode } from './blob.ts';
import { pattern } from './pattern.ts';
import { CELLS_MAX, cellOf, cellsOf, ofNode, sizeOf, type Tree, TreeError, textsOf } from './tree.ts';

/** One interrupt of a device, at the controller where its line ends. */
export interface Interrupt {
  readonly controller: DtNode;
  /** The controller's own specifier. */
  readonly cells: readonly number[];
  /** Controllers on the way that pass each line on as a separate line. */
  readonly through: readonly DtNode[];
}

/** A line of a GIC. */
export interface GicLine {
  /** `espi` and `eppi`: the extended ranges of GICv3.1. */
  readonly kind: 'spi' | 'ppi' | 'espi' | 'eppi';
  /** INTID: 32 and more for an SPI, 16 to 31 for a PPI, 4096 and more for an ESPI, 1056 and more for an EPPI. */
  readonly number: number;
  readonly trigger: Trigger;
}

/** Most maps and controllers on the way of one interrupt: PCI behind a bridge behind a host has two. */
const STEPS_MAX = 8;
/** Most bytes of `interrupts`: a thousand entries with the longest specifiers. Network engines have about a hundred. */
const INTERRUPTS_BYTES_MAX = 4 * CELLS_MAX * 1_024;
/** Kinds of a GIC specifier's first cell, and the INTID at which each begins (arm,gic-v3.yaml; GICv3.1, 2.2). */
const GIC_KINDS = [
  ['spi', 32],
  ['ppi', 16],
  ['espi', 4_096],
  ['eppi', 1_056],
] as const;
/** Lines of each kind: INTIDs 32 to 1019, 16 to 31, 4096 to 5119, 1056 to 1119. */
const GIC_LINES = { spi: 988, ppi: 16, espi: 1_024, eppi: 64 } as const;
/** Flags of a GIC specifier. */
const EDGES = 3;
/** Cells of a GIC specifier, without the affinity of a PPI. */
const GIC_CELLS = 3;
const GICS: readonly string[] = [
  'arm,gic-v3',
  'arm,gic-400',
  'arm,cortex-a15-gic',
  'arm,cortex-a7-gic',
  'qcom,msm-qgic2',
];

/** Whether a controller is a GIC that Baton supports: one with virtualization. */
export const isGic = ofNode((node): boolean => {
  return textsOf(node, 'compatible').some((name) => GICS.includes(name));
});

/** Returns the interrupts of a node, in order. Throws a TreeError. */
export function interruptsOf(tree: Tree, node: DtNode): readonly Interrupt[] {
  const bytes =
    (node.properties.get('interrupts-extended') ?? node.properties.get('interrupts'))?.length ?? 0;
  if (bytes > INTERRUPTS_BYTES_MAX)
    throw new TreeError(node, 'interrupts', `${bytes} bytes; at most ${INTERRUPTS_BYTES_MAX}`);
  if (node.properties.has('interrupts-extended')) {
    return tree
      .links(node, 'interrupts-extended', '#interrupt-cells')
      .flatMap((link) => (link?.target ? [ofController(tree, node, link.target, link.cells)] : []));
  }
  const cells = cellsOf(node, 'interrupts');
  if (cells.length === 0) return [];
  const parent = parentOf(tree, node);
  if (parent === undefined) throw new TreeError(node, 'interrupts', 'no interrupt-parent');
  const count = sizeOf(parent, '#interrupt-cells');
  if (count === 0 || cells.length % count !== 0)
    throw new TreeError(
      node,
      'interrupts',
      `${cells.length} cells are no multiple of the ${count} of ${parent.path}`,
    );
  return Array.from({ length: cells.length / count }, (_, index) =>
    ofController(tree, node, parent, cells.slice(index * count, (index + 1) * count)),
  );
}

/**
 * Returns the lines of the devices behind a nexus, each once: the other ends of its map. They move with a PCI host
 * bridge. Throws a TreeError.
 */
export function mappedInterruptsOf(tree: Tree, nexus: DtNode): readonly Interrupt[] {
  const found = new Map<string, Interrupt>();
  for (const { controller, cells } of mapEntries(tree, nexus)) {
    const end = controller === nexus ? undefined : ofController(tree, nexus, controller, cells);
    if (end) found.set(`${end.controller.path} ${end.cells.join(' ')}`, end);
  }
  return [...found.values()];
}

/** Returns the GIC line of a specifier; undefined at any other controller. */
export function gicLine({ controller, cells }: Interrupt): GicLine | undefined {
  if (!isGic(controller) || cells.length < GIC_CELLS) return undefined;
  const [type = 0, number = 0, flags = 0] = cells;
  const [kind, first] = GIC_KINDS[type] ?? [];
  if (kind === undefined || number >= GIC_LINES[kind]) return undefined;
  return { kind, number: first + number, trigger: (flags & EDGES) !== 0 ? 'edge' : 'level' };
}

/**
 * Returns the interrupt parent of a node (Devicetree Specification v0.4, 2.4.1; of_irq_find_parent of Linux): its
 * `interrupt-parent`, or else the node above, and so on, until one has `#interrupt-cells`.
 */
function parentOf(tree: Tree, node: DtNode): DtNode | undefined {
  // The way is not longer than the depth of the tree, unless the interrupt-parents form a loop.
  const seen = new Set<DtNode>();
  for (let at: DtNode | undefined = node; at !== undefined && !seen.has(at); ) {
    seen.add(at);
    const phandle = cellOf(at, 'interrupt-parent', 0);
    const next: DtNode | undefined = phandle === 0 ? at.parent : tree.withPhandle(phandle);
    // The root GIC of some boards names itself.
    if (next?.properties.has('#interrupt-cells')) return next;
    at = next;
  }
  return undefined;
}

/** Follows maps, and controllers that pass lines on one to one, to the controller where the line ends. */
function ofController(tree: Tree, node: DtNode, first: DtNode, specifier: readonly number[]): Interrupt {
  let at = first;
  let cells = specifier;
  let unit = unitOf(node, at);
  const through: DtNode[] = [];
  for (let steps = 0; steps < STEPS_MAX; steps++) {
    if (at.properties.has('interrupt-map')) {
      const mapped = throughMap(tree, at, [...unit, ...cells]);
      if (mapped === undefined)
        throw new TreeError(at, 'interrupt-map', `nothing for <${cells.join(' ')}> of ${node.path}`);
      if (at.properties.has('interrupt-controller')) through.push(at);
      ({ controller: at, cells, unit } = mapped);
      continue;
    }
    const passed = handedOn(tree, at, cells);
    if (passed === undefined) return { controller: at, cells, through };
    through.push(at);
    ({ controller: at, cells } = passed);
    unit = unitOf(node, at);
  }
  throw new TreeError(node, 'interrupts', `more than ${STEPS_MAX} interrupt controllers on the way`);
}

/** A line at the next controller on its way. */
type Handed = Pick<Interrupt, 'controller' | 'cells'>;

/**
 * Returns the line above for a controller that passes lines on one to one; undefined when the line ends here. No
 * property shows which controllers do so, only their bindings; some nodes have the mapping of lines.
 */
function handedOn(tree: Tree, node: DtNode, cells: readonly number[]): Handed | undefined {
  if (isGic(node) || !node.properties.has('interrupt-controller')) return undefined;
  const above = parentOf(tree, node);
  if (above === undefined || above === node) return undefined;
  const [pin = 0, flags = 0] = cells;
  const names = textsOf(node, 'compatible');
  const spi = (number: number | undefined) =>
    number === undefined ? undefined : { controller: above, cells: [0, number, flags] };
  if (node.properties.has('qcom,pdc-ranges')) return spi(inRanges(cellsOf(node, 'qcom,pdc-ranges'), pin));
  if (node.properties.has('qcom,mpm-pin-map')) return spi(inPairs(cellsOf(node, 'qcom,mpm-pin-map'), pin));
  if (names.some((name) => SAME_NUMBER.test(name))) return spi(pin);
  if (names.some((name) => LISTED.test(name))) return ofList(tree, node, above, pin);
  const isSame = names.some((name) => SAME.test(name)) && cells.length === GIC_CELLS;
  // For a GIC with four cells, an SPI has three of them: the fourth is the affinity of a PPI.
  const width = sizeOf(above, '#interrupt-cells');
  if (!isSame || width < GIC_CELLS) return undefined;
  return { controller: above, cells: [...cells, ...new Array<number>(width - GIC_CELLS).fill(0)] };
}

/**
 * Controllers with one output line per input line, in the same order: bindings/interrupt-controller/ renesas,irqc.yaml,
 * renesas,intc-irqpin.yaml, st,stm32-exti.yaml.
 */
const LISTED = /^(renesas,(irqc|intc-irqpin|intc-ex)(-|$)|st,stm32mp1-exti$)/;
/**
 * Controllers with the specifiers of the GIC above, which only mask lines or wake by them:
 * bindings/power/fsl,imx-gpc.yaml and fsl,imx-gpcv2.yaml; interrupt-controller/mediatek,mt6577-sysirq.yaml,
 * nvidia,tegra20-ictlr.yaml, ti,omap4-wugen-mpu.yaml, allwinner,sun6i-a31-r-intc.yaml.
 */
const SAME = pattern(
  String.raw`^(fsl,imx\w+-gpc|mediatek,mt\w+-(sysirq|cirq)|nvidia,tegra\w+-(ictlr|lic)|`,
  String.raw`ti,omap\d-wugen-mpu|allwinner,sun\w+-\w+-r-intc)$`,
);
/**
 * Controllers whose line is the SPI of the same number: socionext,uniphier-aidet.yaml;
 * arm/freescale/fsl,vf610-mscm-ir.txt.
 */
const SAME_NUMBER = /^(socionext,uniphier-\w*-?aidet|fsl,vf610-mscm-ir)$/;

/** bindings/interrupt-controller/qcom,pdc.yaml: ranges of <pin SPI count>. */
function inRanges(ranges: readonly number[], pin: number): number | undefined {
  for (let at = 0; at + 3 <= ranges.length; at += 3) {
    const [first = 0, spi = 0, count = 0] = ranges.slice(at, at + 3);
    if (pin >= first && pin - first < count) return spi + pin - first;
  }
  return undefined;
}

/** bindings/interrupt-controller/qcom,mpm.yaml: pairs of <pin SPI>. */
function inPairs(pairs: readonly number[], pin: number): number | undefined {
  for (let at = 0; at + 2 <= pairs.length; at += 2) if (pairs[at] === pin) return pairs[at + 1];
  return undefined;
}

/** Returns a controller's own line at the same place in its list, if that is a GIC line. */
function ofList(tree: Tree, node: DtNode, above: DtNode, place: number): Handed | undefined {
  if (node.properties.has('interrupts-extended')) {
    const own = tree.links(node, 'interrupts-extended', '#interrupt-cells')[place];
    return own?.target && isGic(own.target) ? { controller: own.target, cells: own.cells } : undefined;
  }
  const count = sizeOf(above, '#interrupt-cells');
  const cells = cellsOf(node, 'interrupts').slice(place * count, (place + 1) * count);
  return isGic(above) && cells.length === count ? { controller: above, cells } : undefined;
}

/** The unit address by which a nexus distinguishes its children. */
function unitOf(node: DtNode, nexus: DtNode): readonly number[] {
  const count = sizeOf(nexus, '#address-cells', 0);
  const cells = cellsOf(node, 'reg').slice(0, count);
  return [...cells, ...Array.from({ length: count - cells.length }, () => 0)];
}

/** An entry of an interrupt map: its key, and its target. */
interface MapEntry extends Handed {
  readonly key: readonly number[];
  readonly unit: readonly number[];
}

/** The first entry for each key of a nexus. Cached: nodes never change, and a map may be long and used by many. */
const MAPS = new WeakMap<DtNode, ReadonlyMap<string, MapEntry>>();

function throughMap(tree: Tree, nexus: DtNode, key: readonly number[]): MapEntry | undefined {
  const width = sizeOf(nexus, '#address-cells', 0) + sizeOf(nexus, '#interrupt-cells');
  const mask = cellsOf(nexus, 'interrupt-map-mask');
  const masked = (cells: readonly number[]) =>
    cells.map((cell, index) => (cell & (mask[index] ?? -1)) >>> 0).join();
  let map = MAPS.get(nexus);
  if (map === undefined) {
    const made = new Map<string, MapEntry>();
    for (const entry of mapEntries(tree, nexus))
      if (!made.has(masked(entry.key))) made.set(masked(entry.key), entry);
    MAPS.set(nexus, made);
    map = made;
  }
  return map.get(masked(key.slice(0, width)));
}

/**
 * Returns the entries of a map. The map of a nexus that is itself an interrupt controller, such as NXP's extirq, is
 * read as its own driver does, without unit addresses of the controllers above it (Linux,
 * drivers/irqchip/irq-ls-extirq.c; of_irq_imap_abusers of drivers/of/irq.c); if that is impossible, by the
 * specification, as any other.
 */
function mapEntries(tree: Tree, nexus: DtNode): readonly MapEntry[] {
  if (!nexus.properties.has('interrupt-controller')) return readMap(tree, nexus, true);
  try {
    return readMap(tree, nexus, false);
  } catch (error) {
    if (error instanceof TreeError) return readMap(tree, nexus, true);
    throw error;
  }
}

function readMap(tree: Tree, nexus: DtNode, hasUnits: boolean): readonly MapEntry[] {
  const words = cellsOf(nexus, 'interrupt-map');
  const entries: MapEntry[] = [];
  if (words.length === 0) return entries;
  const width = sizeOf(nexus, '#address-cells', 0) + sizeOf(nexus, '#interrupt-cells');
  for (let at = 0; at < words.length; ) {
    const controller = tree.withPhandle(words[at + width] ?? 0);
    if (controller === undefined)
      throw new TreeError(nexus, 'interrupt-map', `cell ${at + width} is no phandle`);
    const from = at + width + 1;
    const unitCells = hasUnits ? sizeOf(controller, '#address-cells', 0) : 0;
    const to = from + unitCells + sizeOf(controller, '#interrupt-cells');
    if (to > words.length) throw new TreeError(nexus, 'interrupt-map', `its entry at cell ${at} has no end`);
    entries.push({
      key: words.slice(at, at + width),
      controller,
      unit: words.slice(from, from + unitCells),
      cells: words.slice(from + unitCells, to),
    });
    at = to;
  }
  return entries;
}
