/**
 * What gives access to a device, by its node: register pages, interrupt lines, streams. Pure.
 *
 * A client on a bus without addresses of the processors (I2C, SPI) is reached through its controller. DMA of a node without an
 * IOMMU of its own goes through that of the nearest node above that has one, as below Qualcomm's serial engines, and through those of
 * the DMA controllers that work for it.
 */

import { isPciFunction, isPciHost, registersOf, requesterOf, windowsOf } from './addresses.ts';
import type { DtNode } from './blob.ts';
import { type GicLine, gicLine, type Interrupt, interruptsOf, mappedInterruptsOf } from './interrupts.ts';
import { type Stream, streamsOf, streamsOfFunction } from './links.ts';
import { covers, type Range } from './ranges.ts';
import { type Tree, TreeError, textsOf } from './tree.ts';

/** Granule of stage 2, in bytes: what shares a page is given and taken together. */
export const GRANULE = 4096n;

/** A stream of a device, and the node in whose name it is declared: its own, a node above it, or a DMA controller. */
export interface DeviceStream extends Stream {
  readonly declaredBy: DtNode;
}

/** A line of a device. */
export interface DeviceLine {
  readonly interrupt: Interrupt;
  /** Undefined when it does not end at a GIC. */
  readonly gic: GicLine | undefined;
}

export interface Access {
  readonly pages: readonly Range[];
  readonly lines: readonly DeviceLine[];
  readonly streams: readonly DeviceStream[];
}

/** How much Baton knows of an IOMMU. */
export type IommuKind = 'smmuv3' | 'mmu500' | 'unknown';

/** Linux, Documentation/devicetree/bindings/iommu/arm,smmu.yaml and arm,smmu-v3.yaml. */
const IOMMUS: Readonly<Record<string, IommuKind>> = {
  'arm,smmu-v3': 'smmuv3',
  'arm,mmu-500': 'mmu500',
  'qcom,smmu-500': 'mmu500',
};

export function iommuKind(iommu: DtNode): IommuKind {
  for (const name of textsOf(iommu, 'compatible')) {
    const kind = IOMMUS[name];
    if (kind !== undefined) return kind;
  }
  return 'unknown';
}

/** What gives access to a node itself. Throws a TreeError. */
export function accessOf(tree: Tree, node: DtNode): Access {
  const registers = registersOf(node).flatMap(({ physical, bytes }) =>
    physical === undefined ? [] : [{ address: physical, bytes }],
  );
  const pages = [...registers, ...windowsOf(node)].flatMap(({ address, bytes }) =>
    bytes === 0n ? [] : [wholePages(address, bytes)],
  );
  return {
    pages: pages.filter((page, index) => !pages.slice(0, index).some((other) => covers(other, page))),
    lines: [...interruptsOf(tree, node), ...(isPciHost(node) ? mappedInterruptsOf(tree, node) : [])].map(
      (interrupt) => ({ interrupt, gic: gicLine(interrupt) }),
    ),
    // What is reached through a bus controller does no DMA of its own.
    streams: reachedThrough(node) === node ? deviceStreams(tree, node) : [],
  };
}

/** The node through which the processors reach a device: itself, or the bus controller above it; undefined when there is none. */
export function reachedThrough(node: DtNode): DtNode | undefined {
  for (let at: DtNode | undefined = node; at?.parent !== undefined; at = at.parent)
    if (hasRegisters(at)) return at;
  return undefined;
}

/** Whether the processors reach it by itself. Registers that cannot be read are none; the board says so of their node. */
export function hasRegisters(node: DtNode): boolean {
  try {
    return registersOf(node).some(({ physical }) => physical !== undefined);
  } catch (error) {
    if (error instanceof TreeError) return false;
    throw error;
  }
}

function deviceStreams(tree: Tree, node: DtNode): readonly DeviceStream[] {
  const named = (declaredBy: DtNode) => {
    const streams =
      declaredBy !== node && isPciFunction(node)
        ? streamsOfFunction(tree, declaredBy, requesterOf(node))
        : streamsOf(tree, declaredBy);
    return streams.map((stream) => ({ ...stream, declaredBy }));
  };
  const own = nearest(tree, node);
  const engines = tree
    .links(node, 'dmas', '#dma-cells')
    .flatMap((link) => (link?.target ? [link.target] : []));
  const all = [...(own ? named(own) : []), ...[...new Set(engines)].flatMap(named)];
  // What a DMA controller emits for it may be what it emits itself.
  const isSame = (a: Stream, b: Stream) => a.iommu === b.iommu && a.id === b.id && a.mask === b.mask;
  return all.filter((each, index) => all.findIndex((other) => isSame(each, other)) === index);
}

/** The node itself or the nearest above that has streams. */
function nearest(tree: Tree, node: DtNode): DtNode | undefined {
  for (let at: DtNode | undefined = node; at !== undefined; at = at.parent)
    if (streamsOf(tree, at).length > 0) return at;
  return undefined;
}

function wholePages(address: bigint, bytes: bigint): Range {
  const from = address - (address % GRANULE);
  const end = address + bytes;
  const to = end % GRANULE === 0n ? end : end + GRANULE - (end % GRANULE);
  return { address: from, bytes: to - from };
}

/** Whether two streams have an ID in common. */
export function sameStream(a: Stream, b: Stream): boolean {
  return a.iommu === b.iommu && ((a.id ^ b.id) & ~(a.mask | b.mask)) === 0;
}

/** A stream in words. */
export function streamText({ iommu, id, mask }: DeviceStream): string {
  return `stream 0x${id.toString(16)}${mask === 0 ? '' : ` (mask 0x${mask.toString(16)})`} at ${iommu.name}`;
}
