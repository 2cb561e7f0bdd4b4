/**
 * Whether a device is one that a VM could have for itself, as far as its node tells: not one that serves the whole
 * machine, and none whose DMA nothing confines. Pure.
 *
 * Devicetrees say nowhere "does DMA" or "is everybody's". What they do say is used first (references, `dma-coherent`,
 * `dmas`); names come second, and only those that leave no doubt. What remains unsure is a note, and `--list` keeps
 * it apart.
 */

import { iommuKind } from './access.ts';
import { isPciFunction } from './addresses.ts';
import type { DtNode } from './blob.ts';
import type { Mover, Situation } from './blockers.ts';
import { streamsOf } from './links.ts';
import { isEnabled, isWithin, nodesBelow, type Tree, TreeError, textOf, textsOf } from './tree.ts';

/** Names of devices that do DMA: Devicetree Specification v0.4, 2.2.2, and what boards use beside them. */
const DMA_NAMES =
  'gpu|mmc|sdhci|e?sdhc|esdhci|dwmmc|usb|ethernet|sata|ahci|sas|ufs|ufshc|pcie?|cryp(?:to)?|dma|' +
  'dma-controller|video-codec|vpu|isp\\d*|vop|rga|lcdc?|clcd|hdlcd|display|display-controller|npu|' +
  'dsp|nand-controller|remoteproc|infiniband|virtio|virtio_mmio|camss|fman|qman|bman|qman-portal|' +
  'bman-portal|dsa';
const DMA_MASTERS = new RegExp(`^(${DMA_NAMES})@`);

/** Words in the names of what feels fingers, and of what shows pictures. */
export const TOUCH = /\b(touch|rmi4|digitizer)/;
export const DISPLAY = /\b(display|mdss|mdp|dsi|vop|dpu|panel)/;

/** Names of what serves, watches or stops the whole machine: the same source, and what boards use beside it. */
const MACHINE_NAMES =
  'memory-controller|cache-controller|system-cache-controller|timer|rktimer|watchdog|pmu|dfi|' +
  'cpufreq|syscon|interrupt-controller|msi-controller|clock-controller|reset-controller|' +
  'power-controller|clock|restart|reboot|qos|efuse|qfprom';
const MACHINE = new RegExp(`^(${MACHINE_NAMES})(@|$)`);
/** Properties of what processors and devices of any VM vote at, lock by, or are woken through. */
const SERVICES: readonly string[] = [
  '#interconnect-cells',
  '#power-domain-cells',
  '#hwlock-cells',
  '#mbox-cells',
  '#freq-domain-cells',
];
/** Trace units see what every processor does: Linux, Documentation/devicetree/bindings/arm/arm,coresight-*.yaml. */
const TRACE = /^arm,coresight-/;

/**
 * Nodes with `reg` that are memory: ordinary, reserved (of firmware and hypervisor, too), and small ones on the chip.
 */
const MEMORY = /^(memory|reserved-memory|sram|iram|ocram)(@|$)/;

/** What makes a device one of the whole machine, itself or as a part; undefined when nothing does. */
export function machineWide(node: DtNode): string | undefined {
  const names = textsOf(node, 'compatible');
  if (names.some((name) => TRACE.test(name)))
    return 'it traces what every processor does, whoever runs there';
  if (names.includes('syscon')) return 'drivers of other devices write its registers, too (syscon)';
  const service = SERVICES.find((property) => node.properties.has(property));
  if (service !== undefined) return `it serves whatever votes or waits at it (${service})`;
  for (let at: DtNode | undefined = node; at !== undefined; at = at.parent) {
    if (MEMORY.test(at.name)) return 'it is memory, and no device';
    const [, name] = MACHINE.exec(at.name) ?? [];
    if (name) return `a ${name} serves, watches or stops the whole machine, not one VM`;
  }
  return undefined;
}

/**
 * The device that the machine's first words go to: `stdout-path` of `/chosen`, a path or alias with options behind a
 * colon.
 */
export function consoleOf(tree: Tree): DtNode | undefined {
  const chosen = tree.find('/chosen');
  const place = textOf(chosen, 'stdout-path') ?? textOf(chosen, 'linux,stdout-path');
  return place === undefined ? undefined : tree.find(place.split(':')[0]!);
}

/** Why the DMA of a device is confined by nothing; undefined when it is confined, or none is known of. */
export function unconfinedDma(
  { board, members }: Situation,
  { node, access, needs }: Mover,
): string | undefined {
  const off = access.streams.find(({ iommu }) => !isEnabled(iommu));
  if (off) return `its IOMMU ${off.iommu.name} is disabled in this tree: nothing confines its DMA`;
  if (access.pages.length === 0) return undefined;
  const engine = needs.find(
    ({ role, target }) => role === 'dma' && target && !hasStream(board.tree, target),
  )?.target;
  if (engine) return `${engine.name} does DMA for it, and no IOMMU is named that would confine that`;
  // A wrapper does none when a part of it does.
  const isWrapper = [...nodesBelow(node)].some((part) => board.access(part).streams.length > 0);
  if (access.streams.length > 0 || isWrapper) return undefined;
  const unnamed = 'and no IOMMU is named that would confine it';
  if (node.properties.has('dma-coherent')) return `it does DMA (dma-coherent), ${unnamed}`;
  // A whole that moves, too, says it for its parts.
  if (members.some((other) => other.node !== node && isWithin(node, other.node))) return undefined;
  if (isPciFunction(node)) return `PCI functions do DMA, ${unnamed}`;
  for (let at: DtNode | undefined = node; at !== undefined; at = at.parent)
    if (DMA_MASTERS.test(at.name))
      return `${at === node ? 'devices of its kind do' : `${at.name}, of which it is part, does`} DMA, ${unnamed}`;
  return undefined;
}

/** A DMA controller may be disabled, and is then not used; what its streams would be is still told. */
function hasStream(tree: Tree, engine: DtNode): boolean {
  try {
    return streamsOf(tree, engine).length > 0;
  } catch (error) {
    if (error instanceof TreeError) return false;
    throw error;
  }
}

/**
 * Whether all DMA of a device goes through an IOMMU that Baton knows. What has no registers of its own does none, nor
 * does a wrapper whose parts have streams.
 */
export function isConfined(
  { node, access }: Pick<Mover, 'node' | 'access'>,
  members: readonly Pick<Mover, 'node' | 'access'>[],
): boolean {
  if (access.pages.length === 0) return true;
  if (access.streams.length > 0) return access.streams.every(({ iommu }) => iommuKind(iommu) !== 'unknown');
  return members.some(
    (part) => part.node !== node && part.access.streams.length > 0 && isWithin(part.node, node),
  );
}
