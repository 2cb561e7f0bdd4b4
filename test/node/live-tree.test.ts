/** A folder in place of /proc/device-tree gives the same tree as the blob. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type DtNode, readBlob } from '../../src/planner/blob.ts';
import { nodesBelow } from '../../src/planner/tree.ts';
import { readTreeFolder } from '../../targets/node/config/live-tree.ts';
import { BOARD } from '../planner/board.ts';
import { blobOf } from '../planner/builder.ts';

const listed = (root: DtNode) =>
  Object.fromEntries(
    [...nodesBelow(root)].map(({ path, properties }) => [
      path,
      Object.fromEntries([...properties].map(([name, bytes]) => [name, Buffer.from(bytes).toString('hex')])),
    ]),
  );

it('has every node and property', () => {
  const folder = mkdtempSync(join(tmpdir(), 'baton-live-'));
  try {
    const { root } = readBlob(blobOf(BOARD));
    for (const { path, name, properties } of nodesBelow(root)) {
      mkdirSync(join(folder, path), { recursive: true });
      for (const [property, bytes] of properties) writeFileSync(join(folder, path, property), bytes);
      // As the kernel adds it.
      writeFileSync(join(folder, path, 'name'), `${name.split('@')[0]}\0`);
    }
    const live = readTreeFolder(folder);
    expect(listed(live.root)).toEqual(listed(root));
    expect(live.find('i2c0')!.path).toBe('/soc@0/i2c@1000');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
