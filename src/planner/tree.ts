/**
 * Access to a device tree: nodes by path, alias and phandle, and typed properties. Pure.
 *
 * Standard properties: Devicetree Specification v0.4, chapter 2. An invalid property causes a TreeError with the node
 * and the property; others remain readable.
 */

import type { Blob, DtNode } from './blob.ts';

/** An invalid property of a node. */
export class TreeError extends Error {
  override readonly name = 'TreeError';
  constructor(node: DtNode, property: string, message: string) {
    super(`${node.path}, ${property}: ${message}`);
  }
}

/** Most cells of one number or specifier: PCI addresses have 3, interrupt specifiers up to 4. */
export const CELLS_MAX = 8;

/** A reference to another node with arguments: a phandle, and as many cells as its target declares. */
export interface Link {
  /** The node it points to; undefined when no node has that phandle. */
  readonly target: DtNode | undefined;
  readonly phandle: number;
  readonly cells: readonly number[];
}

/**
 * Nodes that describe no device, whatever the names of their properties are: aliases (Devicetree Specification v0.4,
 * 3.3), and what dtc adds for overlays: paths of labels, and references to be resolved (dtc,
 * Documentation/dt-object-internal.txt).
 */
const BOOKKEEPING = /^\/(aliases|__(symbols|fixups|local_fixups)__)(\/|$)/;

/** A tree with its indices. */
export class Tree {
  readonly root: DtNode;
  readonly reservations: Blob['reservations'];
  readonly #byPath = new Map<string, DtNode>();
  readonly #byPhandle = new Map<number, DtNode>();
  #nodes: readonly DtNode[] | undefined;

  constructor({ root, reservations }: Pick<Blob, 'root' | 'reservations'>) {
    this.root = root;
    this.reservations = reservations;
    for (const node of nodesBelow(root)) {
      this.#byPath.set(node.path, node);
      const phandle = node.properties.get('phandle') ?? node.properties.get('linux,phandle');
      if (phandle?.length === 4) this.#byPhandle.set(cellAt(phandle, 0), node);
    }
  }

  /** All nodes except those that describe no device, parents before children. */
  nodes(): readonly DtNode[] {
    this.#nodes ??= [...this.#byPath.values()].filter(({ path }) => !BOOKKEEPING.test(path));
    return this.#nodes;
  }

  /**
   * The node at a path (`/soc@0/i2c@a90000`), of an alias (`i2c12`, `i2c12/touch@20`), or of a name that one node
   * alone has (`touchscreen@20`); undefined when there is none.
   */
  find(place: string): DtNode | undefined {
    if (place.startsWith('/')) return this.#byPath.get(place.length > 1 ? place.replace(/\/$/, '') : place);
    const [head = '', ...rest] = place.split('/');
    const alias = textOf(this.#byPath.get('/aliases'), head);
    if (alias !== undefined) return this.#byPath.get([alias, ...rest].join('/'));
    const named = [...this.#byPath.values()].filter(({ name }) => name !== '' && name === place);
    return named.length === 1 ? named[0] : undefined;
  }

  withPhandle(phandle: number): DtNode | undefined {
    return this.#byPhandle.get(phandle);
  }

  /**
   * Reads a list of references, each a phandle and as many cells as its target declares in `cellsProperty`, or `fixed`
   * cells. A phandle 0 is an empty entry. Throws a TreeError.
   */
  links(
    node: DtNode,
    property: string,
    cellsProperty: string | undefined,
    fixed = 0,
  ): readonly (Link | undefined)[] {
    const words = cellsOf(node, property);
    const found: (Link | undefined)[] = [];
    for (let at = 0; at < words.length; ) {
      const phandle = words[at++]!;
      if (phandle === 0) {
        found.push(undefined);
        continue;
      }
      const target = this.withPhandle(phandle);
      if (target === undefined && cellsProperty !== undefined)
        throw new TreeError(node, property, `no node has the phandle 0x${phandle.toString(16)}`);
      const count =
        target === undefined || cellsProperty === undefined ? fixed : sizeOf(target, cellsProperty);
      if (at + count > words.length)
        throw new TreeError(
          node,
          property,
          `${target?.path} takes ${count} cells; there are ${words.length - at}`,
        );
      found.push({ target, phandle, cells: words.slice(at, at + count) });
      at += count;
    }
    return found;
  }
}

/** Caches a function of a node, as long as the node: nodes never change. */
export function ofNode<T>(get: (node: DtNode) => T): (node: DtNode) => T {
  const known = new WeakMap<DtNode, { readonly value: T }>();
  return (node) => {
    let found = known.get(node);
    if (found === undefined) {
      found = { value: get(node) };
      known.set(node, found);
    }
    return found.value;
  };
}

/** A node and all below it, parents before children. */
export function* nodesBelow(node: DtNode): Iterable<DtNode> {
  // An explicit stack, which keeps the order of the children.
  const stack = [node];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    yield next;
    for (let i = next.children.length - 1; i >= 0; i--) stack.push(next.children[i]!);
  }
}

/** Cached: nodes never change, and planning asks often. */
const ENABLED = new WeakMap<DtNode, boolean>();

/** Whether a node is in use: `status` absent, `okay` or `ok`, and so for all above it. */
export function isEnabled(node: DtNode): boolean {
  const known = ENABLED.get(node);
  if (known !== undefined) return known;
  const status = textOf(node, 'status');
  // An unreadable status does not count as okay.
  const isOkay = status === undefined ? !node.properties.has('status') : status === 'okay' || status === 'ok';
  const enabled = isOkay && (node.parent === undefined || isEnabled(node.parent));
  ENABLED.set(node, enabled);
  return enabled;
}

/** `fail-needs-probe`: used once its driver finds it (Linux, drivers/i2c/i2c-core-of-prober.c). */
const USED_STATUS: readonly string[] = ['okay', 'ok', 'reserved', 'fail-needs-probe'];

/**
 * Whether a node is used, by this system or another one: enabled, or `reserved` as for firmware (Devicetree
 * Specification v0.4, 2.3.4), itself or a node above it.
 */
export function isInUse(node: DtNode): boolean {
  const known = IN_USE.get(node);
  if (known !== undefined) return known;
  const found = isUsed(node);
  IN_USE.set(node, found);
  return found;
}

/** Cached as above. */
const IN_USE = new WeakMap<DtNode, boolean>();

function isUsed(node: DtNode): boolean {
  for (let at: DtNode | undefined = node; at !== undefined; at = at.parent) {
    if (isEnabled(at)) return true;
    const status = textOf(at, 'status');
    if (status !== undefined && !USED_STATUS.includes(status)) return false;
  }
  return true;
}

/** Whether `node` is `above`, or somewhere below it. */
export function isWithin(node: DtNode, above: DtNode): boolean {
  for (let at: DtNode | undefined = node; at !== undefined; at = at.parent) if (at === above) return true;
  return false;
}

/**
 * Returns the texts of a property; empty when it is absent. Only printable ASCII counts as text, since it may be
 * printed on a terminal.
 */
export function textsOf(node: DtNode | undefined, property: string): readonly string[] {
  const bytes = node?.properties.get(property);
  if (bytes === undefined) return NO_TEXTS;
  const known = TEXTS.get(bytes);
  if (known) return known;
  const texts = readTexts(bytes);
  TEXTS.set(bytes, texts);
  return texts;
}

const NO_TEXTS: readonly string[] = [];
/** Cached: properties never change, and `compatible` is read often. */
const TEXTS = new WeakMap<Uint8Array, readonly string[]>();

function readTexts(bytes: Uint8Array): readonly string[] {
  if (bytes.length === 0 || bytes.at(-1) !== 0) return NO_TEXTS;
  const texts: string[] = [];
  let text = '';
  for (const byte of bytes) {
    if (byte === 0) {
      texts.push(text);
      text = '';
    } else {
      if (byte < 0x20 || byte > 0x7e) return [];
      text += String.fromCharCode(byte);
    }
  }
  return texts;
}

/** Returns the first text of a property. */
export function textOf(node: DtNode | undefined, property: string): string | undefined {
  return textsOf(node, property)[0];
}

/**
 * Returns the 32-bit cells of a property; empty when it is absent. Throws a TreeError when its length is not a multiple
 * of 4.
 */
export function cellsOf(node: DtNode, property: string): readonly number[] {
  const bytes = node.properties.get(property);
  if (bytes === undefined) return [];
  if (bytes.length % 4 !== 0) throw new TreeError(node, property, `${bytes.length} bytes are no whole cells`);
  const cells: number[] = [];
  for (let at = 0; at < bytes.length; at += 4) cells.push(cellAt(bytes, at));
  return cells;
}

/** Returns the single cell of a property, or `absent`. */
export function cellOf(node: DtNode, property: string, absent: number): number {
  const cells = cellsOf(node, property);
  if (cells.length === 0) return absent;
  if (cells.length > 1) throw new TreeError(node, property, `${cells.length} cells where one should stand`);
  return cells[0]!;
}

/**
 * Returns a number of cells that a node declares, such as `#address-cells`. Throws a TreeError when it is absent or too
 * large.
 */
export function sizeOf(node: DtNode, property: string, absent?: number): number {
  const size = cellOf(node, property, absent ?? -1);
  if (size < 0) throw new TreeError(node, property, 'it is missing');
  if (size > CELLS_MAX) throw new TreeError(node, property, `${size} cells; at most ${CELLS_MAX}`);
  return size;
}

/** Returns the number in some cells, the highest first. */
export function numberIn(cells: readonly number[]): bigint {
  return cells.reduce((number, cell) => (number << 32n) | BigInt(cell), 0n);
}

function cellAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
