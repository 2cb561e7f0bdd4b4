/**
 * The one device tree of a board in the bytes of a file, or what the file is instead. Pure.
 *
 * A plan of the wrong tree says that devices can move which cannot. So a file is a tree only if it is nothing else
 * too: of several trees the first is not the board's by being first, and an overlay or an image for a boot loader is a
 * sound blob that describes no board.
 */

import { BLOB_BYTES_MAX, BLOB_MAGIC, type Blob, DeviceTreeError, type DtNode, readBlob } from './blob.ts';
import { cutCommand, listed, numberOf, otherThanBlob, outputFor, shellWord, shown } from './containers.ts';
import { textOf, textsOf } from './tree.ts';

/**
 * Largest file in bytes that is read to say what is in it: FIT images with kernel and file system in them, or the
 * trees of a phone's every revision. One tree has at most BLOB_BYTES_MAX.
 */
export const TREE_FILE_BYTES_MAX = 64 << 20;
/** Trees of one file that are counted. */
const TREES_MAX = 1_024;

/** A file that is not one board's device tree. `lines`: what it is and what to do, for people. */
export class NotOneTree extends Error {
  override readonly name = 'NotOneTree';
  readonly lines: readonly string[];
  constructor(...lines: readonly string[]) {
    super(lines.join('\n'));
    this.lines = lines;
  }
}

/** Where a blob is in a file, in bytes. */
interface Place {
  readonly offset: number;
  readonly bytes: number;
}

/** Whether a file begins as a blob, and has to be read to its end. */
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
  // Of a blob any byte but the first ones may be what something else has there.
  const other = isBlob(bytes) ? undefined : otherThanBlob(bytes, name);
  if (other !== undefined) throw new NotOneTree(...other);
  const { places, end } = blobsOf(bytes);
  const [first] = places;
  // What is no whole blob: reading it says why.
  if (first === undefined) return readBlob(bytes, TREE_FILE_BYTES_MAX);
  const found = blobAt(bytes, first);
  // It has its images behind it, or within it, and those may be trees.
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

/** Blobs one behind the other, zeros between them, by what each says of its size; `end`: where that stops. */
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

/** Model and compatible of a tree, or what it is instead. */
function titleOf(found: Blob | DeviceTreeError): string {
  if (found instanceof DeviceTreeError) return `cannot be read (${shown(found.message)})`;
  const model = textOf(found.root, 'model') ?? 'no model';
  const compatible = textsOf(found.root, 'compatible').join(', ') || 'no compatible';
  const title = `${shown(model)} (${shown(compatible)})`;
  return isOverlay(found.root) ? `an overlay, ${title}` : title;
}

/**
 * Whether a tree is an overlay: fragments with `__overlay__` in them, as libfdt's fdt_overlay_apply looks for them, or
 * references that only a base tree can fill in (dtc, Documentation/dt-object-internal.txt). A tree with CPUs is a base,
 * also with what dtc keeps for overlays in it.
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
