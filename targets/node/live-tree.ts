/** The device tree of the machine that runs, from /proc/device-tree: a folder a node, a file a property. */

import { type Dirent, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DEPTH_MAX, type DtNode, NODES_MAX, PROPERTIES_MAX } from '../../src/devicetree/blob.ts';
import { Tree } from '../../src/devicetree/tree.ts';

/** Where Linux shows it. */
export const LIVE_TREE = '/proc/device-tree';

/**
 * Reads a tree of folders. The kernel's own `name` is left out. Throws an Error when it is not there, or has no end.
 */
export function readLiveTree(folder = LIVE_TREE): Tree {
  let nodes = 0;
  let properties = 0;
  const read = (
    at: string,
    name: string,
    path: string,
    parent: DtNode | undefined,
    depth: number,
  ): DtNode => {
    if (depth > DEPTH_MAX) throw new Error(`${at}: more than ${DEPTH_MAX} nodes within each other`);
    if (++nodes > NODES_MAX) throw new Error(`${folder}: more than ${NODES_MAX} nodes`);
    const entries: Dirent[] = readdirSync(at, { withFileTypes: true });
    const found = new Map<string, Uint8Array>();
    const children: DtNode[] = [];
    const node: DtNode = { name, path, parent, properties: found, children };
    for (const entry of entries.filter((each) => each.isFile() && each.name !== 'name')) {
      if (++properties > PROPERTIES_MAX) throw new Error(`${folder}: more than ${PROPERTIES_MAX} properties`);
      found.set(entry.name, readFileSync(join(at, entry.name)));
    }
    for (const entry of entries.filter((each) => each.isDirectory())) {
      const below = `${parent === undefined ? '' : path}/${entry.name}`;
      children.push(read(join(at, entry.name), entry.name, below, node, depth + 1));
    }
    return node;
  };
  return new Tree({ root: read(folder, '', '/', undefined, 0), reservations: [] });
}
