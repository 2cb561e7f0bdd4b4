/**
 * The access to a device, from its node: register pages, interrupt lines, streams. Pure.
 *
 * A client on a bus without processor addresses (I2C, SPI) is reached through its controller. The DMA of a node without
 * its own IOMMU goes through that of the nearest node above that has one, as below Qualcomm's serial engines, and
 * through those of the DMA controllers that it uses.
 */

import { isPciFunction, isPciHost, registersOf, requesterOf, windowsOf } from './addresses.ts';
import type { DtNode } from './blob.ts';
import { type GicLine, gicLine, type Interrupt, interruptsOf, mappedInterruptsOf } from './interrupts.ts';
import { covers, type Range } from './ranges.ts';
import { type Stream, streamsOf, streamsOfFunction } from './streams.ts';
import { isEnabled, ofNode, type Tree, TreeError, textOf, textsOf } from './tree.ts';

/** Granule of stage 2, in bytes: resources in one page move together. */
export const GRANULE = 4096n;

/** A stream of a device, and the node that declares it: its own, a node above it, or a DMA controller. */
export interface DeviceStream extends Stream {
  readonly declaredBy: DtNode;
}

/** A line of a device. */
export interface DeviceLine {
  readonly interrupt: Interrupt;
  /** Undefined when the line does not end at a GIC. */
  readonly gic: GicLine | undefined;
}

export interface Access {
  readonly pages: readonly Range[];
  readonly lines: readonly DeviceLine[];
  readonly streams: readonly DeviceStream[];
}

/** Returns the access to a node itself. Throws a TreeError. */
export function accessOf(tree: Tree, node: DtNode): Access {
  return { pages: pagesOf(node), lines: linesOf(tree, node), streams: allStreams(tree, node) };
}

/** The same, as far as it can be read; `wrong` gets the errors. */
export function accessAsRead(
  tree: Tree,
  node: DtNode,
  wrong: (error: TreeError, part: 'registers' | 'interrupts' | 'streams') => void,
): Access {
  const read = <T>(part: Parameters<typeof wrong>[1], get: () => readonly T[]): readonly T[] => {
    try {
      return get();
    } catch (error) {
      if (!(error instanceof TreeError)) throw error;
      wrong(error, part);
      return [];
    }
  };
  return {
    pages: read('registers', () => pagesOf(node)),
    lines: read('interrupts', () => linesOf(tree, node)),
    streams: read('streams', () => allStreams(tree, node)),
  };
}

/**
 * Whether a node is a bus that needs no driver: its registers are those of its children (Devicetree Specification v0.4,
 * 4.5). A bus that other drivers write to, or that provides something, has its own registers.
 */
export const isPlainBus = ofNode((node): boolean => {
  const names = textsOf(node, 'compatible');
  const isBus = names.includes('simple-bus') || names.includes('simple-pm-bus');
  if (!isBus || names.includes('syscon')) return false;
  return ![...node.properties.keys()].some((name) => PROVIDES.test(name));
});

/** Properties of a provider, without those that only concern the addresses of its children. */
const PROVIDES = /^#(?!address-|size-).+-cells$/;

/** Whether a node is the memory of the machine (Devicetree Specification v0.4, 3.4), which is not a device. */
export function isMemory(node: DtNode): boolean {
  return textOf(node, 'device_type') === 'memory' && node.parent?.parent === undefined;
}

function pagesOf(node: DtNode): readonly Range[] {
  if (isPlainBus(node) || isMemory(node)) return [];
  const registers = registersOf(node).flatMap(({ physical, bytes }) =>
    physical === undefined ? [] : [{ address: physical, bytes }],
  );
  const pages = [...registers, ...windowsOf(node)].flatMap(({ address, bytes }) =>
    bytes === 0n ? [] : [wholePages(address, bytes)],
  );
  return pages.filter((page, index) => !pages.slice(0, index).some((other) => covers(other, page)));
}

function linesOf(tree: Tree, node: DtNode): readonly DeviceLine[] {
  return [...interruptsOf(tree, node), ...(isPciHost(node) ? mappedInterruptsOf(tree, node) : [])].map(
    (interrupt) => ({ interrupt, gic: gicLine(interrupt) }),
  );
}

/**
 * The streams of a node and of its parts that are not devices: firmware on a device may have a node without registers
 * that names its own streams (Linux, Documentation/devicetree/bindings/media/qcom,sc7180-venus.yaml). A client of a bus
 * controller does no DMA, unless its own node declares it.
 */
function allStreams(tree: Tree, node: DtNode): readonly DeviceStream[] {
  const isMaster = reachedThrough(node) === node || streamsOf(tree, node).length > 0;
  const own = isMaster ? deviceStreams(tree, node) : [];
  const left = LEFT_THROUGH.flatMap((property) => tree.links(node, property, undefined)).flatMap((link) =>
    link?.target ? named(tree, link.target) : [],
  );
  const parts = namelessParts(node);
  // A stream of its DMA controller may equal one of its own.
  const engines = [node, ...parts].flatMap((each) => tree.links(each, 'dmas', '#dma-cells'));
  const routed = new Set(engines.flatMap((link) => (link?.target ? routedTo(tree, link.target) : [])));
  return eachOnce([
    ...own,
    ...left,
    ...[...routed].flatMap((each) => named(tree, nearest(tree, each) ?? each)),
    ...parts.flatMap((part) => named(tree, part)),
  ]);
}

/**
 * Returns the DMA controllers behind one: itself, or those that a router leads to (bindings/dma/dma-router.yaml:
 * `dma-masters`). Throws a TreeError.
 */
export function routedTo(tree: Tree, engine: DtNode): readonly DtNode[] {
  if (!engine.properties.has('dma-masters')) return [engine];
  const masters = tree.links(engine, 'dma-masters', undefined);
  const found = masters.flatMap((link) => (link?.target ? [link.target] : []));
  return found.length > 0 ? found : [engine];
}

/** Devices that do another's DMA and name its IOMMU: bindings/media/renesas,vsp1.yaml, renesas,fdp1.yaml. */
const LEFT_THROUGH: readonly string[] = ['renesas,fcp'];

/** Enabled nodes below a node without driver and registers, and without such a node in between. */
export function namelessParts(node: DtNode): readonly DtNode[] {
  return node.children
    .filter(
      (child) =>
        isEnabled(child) &&
        !child.properties.has('compatible') &&
        !hasRegisters(child) &&
        // Each function of a PCI host is a separate device.
        !isPciFunction(child),
    )
    .flatMap((child) => [child, ...namelessParts(child)]);
}

function named(tree: Tree, declaredBy: DtNode): readonly DeviceStream[] {
  return streamsOf(tree, declaredBy).map((stream) => ({ ...stream, declaredBy }));
}

function eachOnce(streams: readonly DeviceStream[]): readonly DeviceStream[] {
  const isSame = (a: Stream, b: Stream) => a.iommu === b.iommu && a.id === b.id && a.mask === b.mask;
  return streams.filter((each, index) => streams.findIndex((other) => isSame(each, other)) === index);
}

/**
 * Returns the node through which the processors reach a device: itself, or the bus controller above it; undefined when
 * there is none.
 */
export const reachedThrough = ofNode((node): DtNode | undefined => {
  for (let at: DtNode | undefined = node; at?.parent !== undefined; at = at.parent)
    if (hasRegisters(at)) return at;
  return undefined;
});

/** Whether the processors reach it directly. Unreadable registers do not count; the board reports them. */
export const hasRegisters = ofNode((node): boolean => {
  if (isPlainBus(node)) return false;
  try {
    return registersOf(node).some(({ physical }) => physical !== undefined);
  } catch (error) {
    if (error instanceof TreeError) return false;
    throw error;
  }
});

function deviceStreams(tree: Tree, node: DtNode): readonly DeviceStream[] {
  const above = nearest(tree, node);
  const isFunction = above !== node && isPciFunction(node);
  const own = (declaredBy: DtNode) =>
    isFunction
      ? streamsOfFunction(tree, declaredBy, requesterOf(node)).map((stream) => ({ ...stream, declaredBy }))
      : named(tree, declaredBy);
  return above ? own(above) : [];
}

/** Returns the node itself or the nearest above that has streams. */
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

/** Returns a stream as text. */
export function streamText({ iommu, id, mask }: DeviceStream): string {
  return `stream 0x${id.toString(16)}${mask === 0 ? '' : ` (mask 0x${mask.toString(16)})`} at ${iommu.name}`;
}
