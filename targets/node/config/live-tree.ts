/**
 * A device tree in the form of /proc/device-tree, of this machine or copied from another: one folder per node, one file
 * per property.
 */

import { type Dirent, lstatSync, opendirSync } from 'node:fs';
import { join } from 'node:path';
import {
  BLOB_BYTES_MAX,
  DEPTH_MAX,
  type DtNode,
  NAME_CHARS_MAX,
  NODES_MAX,
  PATH_CHARS_MAX,
  PROPERTIES_MAX,
} from '../../../src/planner/blob.ts';
import { Tree } from '../../../src/planner/tree.ts';
import { readStart } from './regular-file.ts';

/** The device tree of this machine, as Linux exports it. */
export const LIVE_TREE = '/proc/device-tree';

/**
 * Required properties of a root (Devicetree Specification v0.4, 3.2): one of them distinguishes a tree from any other
 * folder.
 */
const OF_A_ROOT = ['#address-cells', '#size-cells', 'compatible', 'model'];
/** Names of roots: Linux uses an empty name, old firmware `device-tree`. */
const ROOT_NAME = /^(device-tree|\/)?\0?$/;

/** Most nodes, and most properties together. */
const LIMITS = { nodes: NODES_MAX, properties: PROPERTIES_MAX };

/** Reads the tree of this machine. Throws an Error when it is missing, invalid, or beyond the limits of a blob. */
export function readLiveTree(): Tree {
  return new FolderReader().tree(LIVE_TREE);
}

/**
 * Reads a copy of /proc/device-tree, without the `name` properties that the kernel adds. `limits`: by default those of
 * a blob. Throws an Error when the folder is no tree, contains anything but files and folders, or exceeds a limit.
 */
export function readTreeFolder(folder: string, limits = LIMITS): Tree {
  const has = (name: string) => lstatSync(join(folder, name), { throwIfNoEntry: false })?.isFile();
  if (!OF_A_ROOT.some(has))
    throw new Error(
      `a folder that is no device tree: expected a blob, or a copy of ${LIVE_TREE} with ` +
        `${OF_A_ROOT.join(', ')} in it`,
    );
  const name = has('name') ? new FolderReader().property(folder, '/', 'name') : [];
  if (!ROOT_NAME.test(String.fromCharCode(...name.slice(0, NAME_CHARS_MAX))))
    throw new Error(`a node of a device tree, not its root: expected a copy of all of ${LIVE_TREE}`);
  return new FolderReader(limits).tree(folder);
}

/**
 * Reads folders and counts nodes, properties and bytes. `at`: a folder of this machine; `path`: its path in the tree.
 */
class FolderReader {
  readonly #limits: typeof LIMITS;
  #nodes = 1;
  #properties = 0;
  #bytes = 0;

  constructor(limits = LIMITS) {
    this.#limits = limits;
  }

  tree(folder: string): Tree {
    return new Tree({ root: this.#node(folder, '', '/', undefined), reservations: [] });
  }

  property(at: string, path: string, name: string): Uint8Array {
    const { bytes, isWhole } = readStart(join(at, name), BLOB_BYTES_MAX - this.#bytes, {
      follow: false,
      expected: `${below(path, name)}: no file any more`,
    });
    if (!isWhole) throw new Error(`${path}: more than ${BLOB_BYTES_MAX} bytes up to here`);
    this.#bytes += bytes.length;
    return bytes;
  }

  #node(at: string, name: string, path: string, parent: DtNode | undefined, depth = 1): DtNode {
    if (depth > DEPTH_MAX) throw new Error(`${path}: more than ${DEPTH_MAX} nodes within each other`);
    if (path.length > PATH_CHARS_MAX)
      throw new Error(`${path}: a path of ${path.length} characters; at most ${PATH_CHARS_MAX}`);
    const properties = new Map<string, Uint8Array>();
    const children: DtNode[] = [];
    const node: DtNode = { name, path, parent, properties, children };
    for (const entry of this.#entries(at, path)) {
      const inner = entry.name;
      if (entry.isDirectory())
        children.push(this.#node(join(at, inner), inner, below(path, inner), node, depth + 1));
      else if (inner !== 'name') properties.set(inner, this.property(at, path, inner));
    }
    return node;
  }

  /** Returns the entries of a folder, sorted by name, so that every copy has the same order. */
  #entries(at: string, path: string): readonly Dirent[] {
    const entries: Dirent[] = [];
    const open = opendirSync(at);
    try {
      for (let entry = open.readSync(); entry !== null; entry = open.readSync()) {
        this.#check(path, entry);
        entries.push(entry);
      }
    } finally {
      open.closeSync();
    }
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /**
   * A link is an error. Followed, it may lead out of the tree or form a loop; omitted, it may hide a shared resource.
   */
  #check(path: string, entry: Dirent): void {
    const what = entry.isSymbolicLink() ? 'a symbolic link' : 'neither file nor folder';
    if (!entry.isDirectory() && !entry.isFile())
      throw new Error(`${below(path, entry.name)}: ${what}: a device tree has only folders and files`);
    if (entry.name.length > NAME_CHARS_MAX || /[^\x21-\x7e]/.test(entry.name))
      throw new Error(`${below(path, entry.name)}: no name of a node or a property`);
    if (entry.isDirectory() && ++this.#nodes > this.#limits.nodes)
      throw new Error(`${path}: more than ${this.#limits.nodes} nodes up to here`);
    if (entry.isFile() && ++this.#properties > this.#limits.properties)
      throw new Error(`${path}: more than ${this.#limits.properties} properties up to here`);
  }
}

function below(path: string, name: string): string {
  return path === '/' ? `/${name}` : `${path}/${name}`;
}
