/** Reads a TREE of a command or a configuration: a blob, a folder, or `live`. */

import { statSync } from 'node:fs';
import { LIVE } from '../../../src/config/own-tree.ts';
import { ConfigError } from '../../../src/config/read.ts';
import { HEAD_BYTES } from '../../../src/planner/containers.ts';
import { Tree } from '../../../src/planner/tree.ts';
import { isBlob, NotOneTree, readTreeFile, TREE_FILE_BYTES_MAX } from '../../../src/planner/tree-file.ts';
import { unreadable } from './files.ts';
import { LIVE_TREE, readLiveTree, readTreeFolder } from './live-tree.ts';
import { readStart } from './regular-file.ts';

/**
 * Reads a device tree: a blob, a folder that is a copy of /proc/device-tree, or `live`, the tree of this machine.
 * Throws a ConfigError of one or more lines: what was found instead, and what to do.
 */
export function readTree(path: string): Tree {
  try {
    if (path === LIVE) return readLiveTree();
    if (statSync(path).isDirectory()) return readTreeFolder(path);
    return new Tree(readTreeFile(startOf(path), path));
  } catch (error) {
    const { code, path: within = path } = error as NodeJS.ErrnoException;
    if (path === LIVE && code === 'ENOENT')
      throw new ConfigError(
        `${LIVE}: this machine has no device tree (${LIVE_TREE}): expected the path of a blob`,
      );
    if (code !== undefined) throw unreadable(within, error as NodeJS.ErrnoException);
    const [first = '', ...more] = error instanceof NotOneTree ? error.lines : [(error as Error).message];
    throw new ConfigError(`${path}: ${first}`, ...more);
  }
}

/** Reads all of a file that may be a tree; of any other file, the start that identifies it. */
function startOf(path: string): Uint8Array {
  const how = { follow: true, expected: `no file: expected a device tree blob, a folder, or "${LIVE}"` };
  const head = readStart(path, HEAD_BYTES, how);
  if (head.isWhole || !isBlob(head.bytes)) return head.bytes;
  const { bytes, isWhole } = readStart(path, TREE_FILE_BYTES_MAX, how);
  if (!isWhole) throw new Error(`more than ${TREE_FILE_BYTES_MAX} bytes: too large for a device tree`);
  return bytes;
}
