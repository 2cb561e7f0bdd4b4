/**
 * Reads a flattened device tree: a blob of bytes becomes nodes and properties. Pure.
 *
 * Layout and tokens: Devicetree Specification v0.4, chapter 5. Every offset and size is checked before it is used, and
 * every count has a limit: arbitrary bytes give a tree, or a DeviceTreeError with the offset.
 */

/** Largest blob in bytes: the largest of mainline's arm64 boards has 250 KiB. */
export const BLOB_BYTES_MAX = 4 << 20;
/** Most nodes, most properties together, deepest nesting: several times what the largest boards have. */
export const NODES_MAX = 65_536;
export const PROPERTIES_MAX = 524_288;
export const DEPTH_MAX = 64;
/** Most memory reservations. */
const RESERVATIONS_MAX = 1_024;
/** Longest name of a node or property, in characters. The specification has 31; boards exceed it. */
export const NAME_CHARS_MAX = 255;

/**
 * Longest path, in characters: several times that of real boards. Without this limit the paths could take a thousand
 * times the size of the blob.
 */
export const PATH_CHARS_MAX = 1_024;

/** A blob that is not a valid device tree. `offset`: place of the fault in the blob. */
export class DeviceTreeError extends Error {
  override readonly name = 'DeviceTreeError';
  readonly offset: number;
  constructor(offset: number, message: string) {
    super(`device tree, byte 0x${offset.toString(16)}: ${message}`);
    this.offset = offset;
  }
}

export interface DtNode {
  /** With its unit address; empty at the root. */
  readonly name: string;
  /** `/soc@0/i2c@a90000`; `/` at the root. */
  readonly path: string;
  readonly parent: DtNode | undefined;
  readonly properties: ReadonlyMap<string, Uint8Array>;
  readonly children: readonly DtNode[];
}

/** Reserved memory, in bytes. */
export interface Reservation {
  readonly address: bigint;
  readonly bytes: bigint;
}

export interface Blob {
  readonly version: number;
  readonly bootCpu: number;
  readonly reservations: readonly Reservation[];
  readonly root: DtNode;
}

/** First word of a blob. */
export const BLOB_MAGIC = 0xd00d_feed;
/** Header of version 16 and 17, in bytes. */
const HEADER_BYTES = { 16: 36, 17: 40 } as const;
const BEGIN_NODE = 1;
const END_NODE = 2;
const PROPERTY = 3;
const NOP = 4;
const END = 9;

/**
 * Reads a blob of version 17, or one that is compatible with version 16 or 17, of at most `bytesMax` bytes. Ignores
 * bytes behind it, which `readTreeFile` checks. Throws a DeviceTreeError.
 */
export function readBlob(bytes: Uint8Array, bytesMax = BLOB_BYTES_MAX): Blob {
  if (bytes.length > bytesMax) throw new DeviceTreeError(0, `${bytes.length} bytes; at most ${bytesMax}`);
  return new BlobReader(bytes).read();
}

/** A node while its children are read. */
interface OpenNode extends DtNode {
  readonly properties: Map<string, Uint8Array>;
  readonly children: DtNode[];
  readonly names: Set<string>;
}

class BlobReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  #structEnd = 0;
  #strings: { readonly start: number; readonly end: number } = { start: 0, end: 0 };
  #nodes = 0;
  #properties = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  read(): Blob {
    const { length } = this.#bytes;
    if (length < HEADER_BYTES[16]) this.#fail(0, `${length} bytes are no header`);
    if (this.#word(0) !== BLOB_MAGIC)
      this.#fail(
        0,
        'no device tree blob: it does not begin with d00dfeed (dtc -I dts -O dtb makes one of a source)',
      );
    const total = this.#word(4);
    const version = this.#word(20);
    if (total > length) this.#fail(4, `it says it has ${total} bytes, and ends after ${length}`);
    if (version < 16 || this.#word(24) > 17)
      this.#fail(20, `version ${version}, readable from ${this.#word(24)}; this reads 16 and 17`);
    if (version >= 17 && total < HEADER_BYTES[17]) this.#fail(4, `${total} bytes are no header`);
    const structStart = this.#word(8);
    // Version 16 has no size of the structure, which ends with its END token.
    const structBytes = version >= 17 ? this.#word(36) : total - Math.min(structStart, total);
    this.#at = this.#block(8, 'structure', structStart, structBytes, total, 4);
    this.#structEnd = this.#at + structBytes;
    const strings = this.#block(12, 'strings', this.#word(12), this.#word(32), total, 1);
    this.#strings = { start: strings, end: strings + this.#word(32) };
    const reservations = this.#reservations(
      this.#block(16, 'reservations', this.#word(16), 16, total, 8),
      total,
    );
    return { version, bootCpu: this.#word(28), reservations, root: this.#structure() };
  }

  #block(field: number, what: string, start: number, bytes: number, total: number, aligned: number): number {
    if (start % aligned !== 0)
      this.#fail(field, `${what} at 0x${start.toString(16)}, not a multiple of ${aligned}`);
    if (start < HEADER_BYTES[16] || start + bytes > total)
      this.#fail(
        field,
        `${what} from 0x${start.toString(16)}, ${bytes} bytes, are not within its ${total} bytes`,
      );
    return start;
  }

  #reservations(start: number, total: number): Reservation[] {
    const found: Reservation[] = [];
    for (let at = start; ; at += 16) {
      if (at + 16 > total) this.#fail(at, 'memory reservations without an end');
      const [address, bytes] = [this.#view.getBigUint64(at), this.#view.getBigUint64(at + 8)];
      if (address === 0n && bytes === 0n) return found;
      if (found.length === RESERVATIONS_MAX)
        this.#fail(at, `more than ${RESERVATIONS_MAX} memory reservations`);
      found.push({ address, bytes });
    }
  }

  /** Reads the root and all nodes below it. Uses its own stack, since the depth comes from the blob. */
  #structure(): DtNode {
    const stack: OpenNode[] = [];
    for (;;) {
      const at = this.#at;
      const token = this.#next('a token');
      const top = stack.at(-1);
      if (token === BEGIN_NODE) {
        if (top === undefined && this.#nodes > 0) this.#fail(at, 'a second root');
        stack.push(this.#begin(at, top, stack.length));
      } else if (token === PROPERTY) {
        if (top === undefined) this.#fail(at, 'a property outside of any node');
        this.#property(at, top!);
      } else if (token === END_NODE) {
        const node = stack.pop() ?? this.#fail(at, 'a node ends that never began');
        if (stack.length === 0) return this.#finish(node);
        stack.at(-1)!.children.push(node);
      } else if (token !== NOP) {
        this.#fail(at, token === END ? 'it ends within a node' : `unknown token 0x${token.toString(16)}`);
      }
    }
  }

  #finish(root: DtNode): DtNode {
    let token = NOP;
    while (token === NOP) token = this.#next('the end token');
    if (token !== END)
      this.#fail(this.#at - 4, `0x${token.toString(16)} after the root; expected the end token`);
    return root;
  }

  #begin(at: number, parent: OpenNode | undefined, depth: number): OpenNode {
    if (depth === DEPTH_MAX) this.#fail(at, `more than ${DEPTH_MAX} nodes within each other`);
    if (++this.#nodes > NODES_MAX) this.#fail(at, `more than ${NODES_MAX} nodes`);
    const name = this.#name(this.#at, this.#structEnd, 'a node name');
    this.#at += (name.length + 1 + 3) & ~3;
    if (parent === undefined ? name !== '' : name === '' || name.includes('/'))
      this.#fail(at, `a node cannot be called ${JSON.stringify(name)} here`);
    if (parent?.names.has(name)) this.#fail(at, `${parent.path} has two nodes ${name}`);
    parent?.names.add(name);
    const path = parent === undefined ? '/' : `${parent.parent === undefined ? '' : parent.path}/${name}`;
    if (path.length > PATH_CHARS_MAX)
      this.#fail(at, `a path of ${path.length} characters; at most ${PATH_CHARS_MAX}`);
    return { name, path, parent, properties: new Map(), children: [], names: new Set() };
  }

  #property(at: number, node: OpenNode): void {
    if (++this.#properties > PROPERTIES_MAX) this.#fail(at, `more than ${PROPERTIES_MAX} properties`);
    const bytes = this.#next('the length of a property');
    const nameAt = this.#next('the name of a property');
    const { start, end } = this.#strings;
    if (nameAt >= end - start) this.#fail(at, `the name of a property at ${nameAt}, behind all strings`);
    const name = this.#name(start + nameAt, end, 'the name of a property');
    if (name === '') this.#fail(at, 'a property without a name');
    if (bytes > this.#structEnd - this.#at)
      this.#fail(at, `${node.path}, ${name}: ${bytes} bytes are more than there are left`);
    if (node.children.length > 0) this.#fail(at, `${node.path}: the property ${name} after a child`);
    if (node.properties.has(name)) this.#fail(at, `${node.path} has two properties ${name}`);
    node.properties.set(name, this.#bytes.subarray(this.#at, this.#at + bytes));
    this.#at += (bytes + 3) & ~3;
  }

  /** Reads a zero-terminated text before `end`: printable ASCII. */
  #name(start: number, end: number, what: string): string {
    let name = '';
    for (let at = start; at < end; at++) {
      const code = this.#bytes[at]!;
      if (code === 0) return name;
      if (code <= 0x20 || code > 0x7e) this.#fail(at, `${what} has a byte 0x${code.toString(16)}`);
      if (name.length === NAME_CHARS_MAX) break;
      name += String.fromCharCode(code);
    }
    return this.#fail(start, `${what} has no end, or more than ${NAME_CHARS_MAX} characters`);
  }

  #next(what: string): number {
    if (this.#at + 4 > this.#structEnd) this.#fail(this.#at, `the structure ends where ${what} should stand`);
    this.#at += 4;
    return this.#word(this.#at - 4);
  }

  #word(at: number): number {
    return this.#view.getUint32(at);
  }

  #fail(offset: number, message: string): never {
    throw new DeviceTreeError(offset, message);
  }
}
