/**
 * Addresses of a device's registers in the address space of the processors: `reg` through the `ranges` of every bus
 * above it; for a PCI function `assigned-addresses`, since its `reg` only identifies the function. Pure.
 *
 * IEEE 1275 PCI Bus Binding 2.1, 2.2.1.1 (phys.hi) and 4.1.1. Devicetree Specification v0.4, 2.3.6 and 2.3.8. A bus
 * without `ranges` ends the translation: a client of an I2C controller has no processor address.
 */

import type { DtNode } from './blob.ts';
import type { Range } from './ranges.ts';
import { CELLS_MAX, cellsOf, numberIn, sizeOf, TreeError, textOf } from './tree.ts';

/** One entry of `reg`. */
export interface Registers extends Range {
  /** Processor address; undefined when there is none. */
  readonly physical: bigint | undefined;
}

/** Cells of an address and a length below a bus; by default those of the specification. */
function cellsBelow(bus: DtNode | undefined): { readonly address: number; readonly size: number } {
  if (bus === undefined) return { address: 2, size: 1 };
  return { address: sizeOf(bus, '#address-cells', 2), size: sizeOf(bus, '#size-cells', 1) };
}

/**
 * Most register ranges of a node: the largest on mainline's arm64 boards have about twenty; one GIC redistributor range
 * per CPU makes about a hundred.
 */
const REGISTERS_MAX = 1_024;
/** Cells of a PCI address: phys.hi, phys.mid, phys.lo. */
const PCI_CELLS = 3;
/**
 * The bits of phys.hi that identify the address space: without relocatable and prefetchable, bus, device, function and
 * register.
 */
const PCI_SPACE = 0x0300_0000;

/** Whether a node is a PCI function of a bus that the tree describes. */
export function isPciFunction(node: DtNode): boolean {
  return isPciBus(node.parent);
}

/** Whether a node is a bus of PCI functions (IEEE 1275 PCI Bus Binding, 2.2.1; for Linux also `pciex`). */
function isPciBus(node: DtNode | undefined): boolean {
  const type = textOf(node, 'device_type');
  return type === 'pci' || type === 'pciex';
}

/** Returns the bridges above a PCI function, up to its host. */
export function bridgesOf(node: DtNode): readonly DtNode[] {
  return node.parent && isPciFunction(node) ? [node.parent, ...bridgesOf(node.parent)] : [];
}

/** Returns the bus, device and function numbers of a PCI function, 16 bits as in its DMA. Throws a TreeError. */
export function requesterOf(node: DtNode): number {
  const own = ((cellsOf(node, 'reg')[0] ?? 0) >>> 8) & 0xffff;
  // The number of the bus is in its bridge, if firmware has assigned it.
  const bridge = node.parent && isPciFunction(node.parent) ? cellsOf(node.parent, 'bus-range')[0] : undefined;
  return bridge === undefined ? own : ((bridge & 0xff) << 8) | (own & 0xff);
}

/** Cached: nodes never change, and each node below asks again. */
const REGISTERS = new WeakMap<DtNode, readonly Registers[]>();

/** Returns the register ranges, each with its processor address. Throws a TreeError. */
export function registersOf(node: DtNode): readonly Registers[] {
  const known = REGISTERS.get(node);
  if (known) return known;
  const registers = readRegisters(node);
  REGISTERS.set(node, registers);
  return registers;
}

function readRegisters(node: DtNode): readonly Registers[] {
  const property = isPciFunction(node) ? 'assigned-addresses' : 'reg';
  const cells = cellsOf(node, property);
  const { address, size } = cellsBelow(node.parent);
  const step = address + size;
  if (cells.length === 0) return [];
  if (step === 0 || cells.length % step !== 0)
    throw new TreeError(node, property, `${cells.length} cells are no multiple of ${address} + ${size}`);
  if (cells.length / step > REGISTERS_MAX)
    throw new TreeError(node, property, `${cells.length / step} ranges; at most ${REGISTERS_MAX}`);
  return Array.from({ length: cells.length / step }, (_, index) => {
    const at = index * step;
    const bytes = numberIn(cells.slice(at + address, at + step));
    const own = cells.slice(at, at + address);
    return { address: numberIn(own), bytes, physical: size === 0 ? undefined : physicalOf(node, own) };
  });
}

/** Whether a node is a PCI host bridge, not a bridge below one. */
export function isPciHost(node: DtNode): boolean {
  return isPciBus(node) && !isPciBus(node.parent);
}

/**
 * Returns the windows of a PCI host bridge, through which the processors reach the memory and I/O of its devices. They
 * are in `ranges`, not in `reg` (IEEE 1275 PCI Bus Binding, 2.2.1.1). Empty for any other node. Throws a TreeError.
 */
export function windowsOf(node: DtNode): readonly Range[] {
  const words = isPciHost(node) ? cellsOf(node, 'ranges') : [];
  if (words.length === 0) return [];
  const child = cellsBelow(node);
  const parent = cellsBelow(node.parent);
  const step = child.address + parent.address + child.size;
  if (step === 0 || words.length % step !== 0)
    throw new TreeError(node, 'ranges', `${words.length} cells are no multiple of ${step}`);
  return Array.from({ length: words.length / step }, (_, index) => {
    const at = index * step + child.address;
    const bytes = numberIn(words.slice(at + parent.address, (index + 1) * step));
    return { address: physicalOf(node, words.slice(at, at + parent.address)), bytes };
  }).flatMap(({ address, bytes }) => (address === undefined ? [] : [{ address, bytes }]));
}

/** Translates an address on the bus of `node` up to the root; undefined if a bus does not pass it on. */
function physicalOf(node: DtNode, address: readonly number[]): bigint | undefined {
  let cells = address;
  for (let bus = node.parent; bus?.parent !== undefined; bus = bus.parent) {
    const handed = throughRanges(bus, cells);
    if (handed === undefined) return undefined;
    cells = handed;
  }
  return numberIn(cells);
}

/** Translates an address below a bus to the bus above it. */
function throughRanges(bus: DtNode, cells: readonly number[]): readonly number[] | undefined {
  const ranges = bus.properties.get('ranges');
  if (ranges === undefined) return undefined;
  // Empty: the same addresses.
  if (ranges.length === 0) return cells;
  const words = cellsOf(bus, 'ranges');
  const child = cellsBelow(bus);
  const parent = cellsBelow(bus.parent);
  const step = child.address + parent.address + child.size;
  if (step === 0 || words.length % step !== 0)
    throw new TreeError(bus, 'ranges', `${words.length} cells are no multiple of ${step}`);
  const plain = (address: readonly number[]) =>
    numberIn(
      child.address === PCI_CELLS && isPciBus(bus) ? [address[0]! & PCI_SPACE, ...address.slice(1)] : address,
    );
  const address = plain(cells);
  for (let at = 0; at < words.length; at += step) {
    const from = plain(words.slice(at, at + child.address));
    const length = numberIn(words.slice(at + child.address + parent.address, at + step));
    // By its start, as Linux does: a range that exceeds its window then covers more than is reached, never less.
    if (address < from || address >= from + length) continue;
    const to = numberIn(words.slice(at + child.address, at + child.address + parent.address));
    return cellsIn(to + address - from, parent.address);
  }
  return undefined;
}

/** Returns a number as cells, the highest first. */
function cellsIn(number: bigint, count: number): readonly number[] {
  if (count > CELLS_MAX) return [];
  return Array.from({ length: count }, (_, index) =>
    Number((number >> BigInt(32 * (count - 1 - index))) & 0xffff_ffffn),
  );
}
