/**
 * Finds the one device tree of a board in the bytes of a file, or the reason why the file is something else. Pure.
 *
 * A plan of the wrong tree may say that a device can move when it cannot. So a file counts as a tree only if it is
 * nothing else: the first of several trees is not necessarily the board's, and an overlay or a boot image is a valid
 * blob that does not describe a board.
 */

import { BLOB_BYTES_MAX, BLOB_MAGIC, type Blob, DeviceTreeError, type DtNode, readBlob } from './blob.ts';
import { cutCommand, listed, numberOf, otherThanBlob, outputFor, shellWord, shown } from './containers.ts';
import { textOf, textsOf } from './tree.ts';

/**
 * Largest file, in bytes, that is read to list its contents: FIT images with kernel and file system, or the trees of
 * all revisions of a phone. One tree has at most BLOB_BYTES_MAX.
 */
export const TREE_FILE_BYTES_MAX = 64 << 20;
/** Most trees of one file that are counted. */
const TREES_MAX = 1_024;

/** A file that is not one board's device tree. `lines`: what it is and what to do, as text for people. */
export class NotOneTree extends Error {
  override readonly name = 'NotOneTree';
  readonly lines: readonly string[];
  constructor(...lines: readonly string[]) {
    super(lines.join('\n'));
    this.lines = lines;
  }
}

/** Place of a blob in a file, in bytes. */
interface Place {
  readonly offset: number;
  readonly bytes: number;
}

/** Whether a file begins as a blob, and must be read to its end. */
export function isBlob(bytes: Uint8Array): boolean {
  return magicAt(bytes, 0);
}

/**
 * Reads the blob of a file; zeros may follow it. `bytes`: the file, of what is no blob at least HEAD_BYTES from its
 * start. `name`: the file as commands in a message are to call it. Throws a DeviceTreeError when the blob is damaged,
 * and NotOneTree when the file is something else: several trees, a tree with other bytes behind it, an overlay, a FIT
 * image, source, or what src/planner/containers.ts knows.
 */
export function readTreeFile(bytes: Uint8Array, name: string): Blob {
  // Checked only if it is no blob: in a blob, later bytes may look like another kind of file.
  const other = isBlob(bytes) ? undefined : otherThanBlob(bytes, name);
  if (other !== undefined) throw new NotOneTree(...other);
  const { places, end } = blobsOf(bytes);
  const [first] = places;
  // Not a whole blob: reading it reports why.
  if (first === undefined) return readBlob(bytes, TREE_FILE_BYTES_MAX);
  const found = blobAt(bytes, first);
  // Its images are inside or behind it, and may be trees.
  if (!(found instanceof DeviceTreeError) && isFit(found.root))
    throw new NotOneTree(...fitLines(found.root, name));
  if (places.length > 1) throw new NotOneTree(...severalLines(bytes, places, end, name));
  if (found instanceof DeviceTreeError) throw found;
  if (first.bytes > BLOB_BYTES_MAX)
    throw new DeviceTreeError(4, `it has ${first.bytes} bytes; at most ${BLOB_BYTES_MAX}`);
  if (end < bytes.length)
    throw new NotOneTree(
      `${bytes.length - end} bytes behind the device tree, from byte ${end} on, are no padding (zeros); ` +
        `if the tree is the board's, cut it out: ${cutCommand(name, first.offset, first.bytes)}`,
    );
  if (isOverlay(found.root))
    throw new NotOneTree(
      'it is an overlay, which describes no board by itself: apply it first: ' +
        `fdtoverlay -i BASE.dtb -o ${outputFor(name)} ${shellWord(name)}`,
    );
  return found;
}

/** Finds consecutive blobs, possibly with zeros between them, by their sizes; `end`: the end of the last one. */
function blobsOf(bytes: Uint8Array): { readonly places: readonly Place[]; readonly end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const places: Place[] = [];
  let at = 0;
  while (places.length < TREES_MAX && magicAt(bytes, at) && at + 8 <= bytes.length) {
    const size = view.getUint32(at + 4);
    if (size < 8 || size > bytes.length - at) break;
    places.push({ offset: at, bytes: size });
    at += size;
    while (bytes[at] === 0) at++;
  }
  return { places, end: at };
}

function magicAt(bytes: Uint8Array, at: number): boolean {
  return [24, 16, 8, 0].every((shift, i) => bytes[at + i] === ((BLOB_MAGIC >>> shift) & 0xff));
}

function blobAt(bytes: Uint8Array, { offset, bytes: size }: Place): Blob | DeviceTreeError {
  try {
    return readBlob(bytes.subarray(offset, offset + size), TREE_FILE_BYTES_MAX);
  } catch (error) {
    if (error instanceof DeviceTreeError) return error;
    throw error;
  }
}

function severalLines(
  bytes: Uint8Array,
  places: readonly Place[],
  end: number,
  name: string,
): readonly string[] {
  const count = places.length === TREES_MAX ? `${TREES_MAX} or more` : places.length;
  const rest =
    end < bytes.length && places.length < TREES_MAX ? `, and ${bytes.length - end} other bytes` : '';
  return [
    `${count} device trees, one behind the other${rest}: cut out that of the board`,
    ...listed(places, (place, index) => {
      const { offset, bytes: size } = place;
      const where = `${size} bytes at ${offset}`;
      return `${index + 1}: ${titleOf(blobAt(bytes, place))}, ${where}: ${cutCommand(name, offset, size)}`;
    }),
  ];
}

/** Returns model and compatible of a tree, or what it is instead. */
function titleOf(found: Blob | DeviceTreeError): string {
  if (found instanceof DeviceTreeError) return `cannot be read (${shown(found.message)})`;
  const model = textOf(found.root, 'model') ?? 'no model';
  const compatible = textsOf(found.root, 'compatible').join(', ') || 'no compatible';
  const title = `${shown(model)} (${shown(compatible)})`;
  return isOverlay(found.root) ? `an overlay, ${title}` : title;
}

/**
 * Whether a tree is an overlay: fragments with `__overlay__` in them, as libfdt's fdt_overlay_apply expects them, or
 * references that only a base tree can resolve (dtc, Documentation/dt-object-internal.txt). A tree with CPUs is a base,
 * even with the nodes that dtc adds for overlays.
 */
function isOverlay(root: DtNode): boolean {
  if (root.children.some((child) => hasChild(child, '__overlay__'))) return true;
  return hasChild(root, '__fixups__') && !hasChild(root, 'cpus');
}

/** Whether a tree is a U-Boot image: Flat Image Tree specification, "Root node properties": images, configurations. */
function isFit(root: DtNode): boolean {
  return hasChild(root, 'images') && hasChild(root, 'configurations');
}

/** The trees of a FIT image are its images of type `flat_dt`. dumpimage counts all images, in their order, from 0. */
function fitLines(root: DtNode, name: string): readonly string[] {
  const images = root.children.find((child) => child.name === 'images')?.children ?? [];
  const trees = images
    .map((image, index) => ({ image, index }))
    .filter(({ image }) => textOf(image, 'type') === 'flat_dt');
  const what = `a FIT image of U-Boot with ${numberOf(images.length, 'image', 'images')}, no device tree of a board`;
  if (trees.length === 0) return [`${what}: none of its images is one (of type flat_dt)`];
  return [
    `${what}: take out that of the board`,
    ...listed(trees, ({ image, index }) => {
      const packing = textOf(image, 'compression') ?? 'none';
      const how = packing === 'none' ? '' : ` (compressed with ${shown(packing)})`;
      const title = `${shown(image.name)}, ${shown(textOf(image, 'description') ?? 'no description')}${how}`;
      return `${title}: dumpimage -T flat_dt -p ${index} -o ${outputFor(name)} ${shellWord(name)}`;
    }),
  ];
}

function hasChild({ children }: DtNode, name: string): boolean {
  return children.some((child) => child.name === name);
}
