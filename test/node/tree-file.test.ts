/** Whatever a TREE may be on disk: blobs, folders, and what must not be opened. */

import { execFileSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BLOB_BYTES_MAX, DEPTH_MAX } from '../../src/planner/blob.ts';
import { TREE_FILE_BYTES_MAX } from '../../src/planner/tree-file.ts';
import { readTreeFolder } from '../../targets/node/config/live-tree.ts';
import { readTree } from '../../targets/node/config/tree-file.ts';
import { BOARD } from '../planner/board.ts';
import { blobOf } from '../planner/builder.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-tree-'));
});
afterEach(() => rmSync(folder, { recursive: true }));
const at = (...names: string[]) => join(folder, ...names);
const write = (name: string, bytes: Uint8Array | string) => {
  writeFileSync(at(name), bytes);
  return at(name);
};
/** A file of zeros behind `start`, which takes no place on the disk. */
const sparse = (name: string, start: Uint8Array, bytes: number) => {
  write(name, start);
  const file = openSync(at(name), 'r+');
  ftruncateSync(file, bytes);
  closeSync(file);
  return at(name);
};

describe('a file', () => {
  it('that is a blob is read, through a link as well, with the padding of a partition', () => {
    const file = sparse('board.dtb', blobOf(BOARD), 8 << 20);
    symlinkSync(file, at('link'));
    expect(readTree(at('link')).find('i2c0')!.path).toBe('/soc@0/i2c@1000');
  });

  it('of several trees is told a line each, after its name', () => {
    const blob = blobOf({ model: 'A' });
    const file = write('both', new Uint8Array([...blob, ...blob]));
    expect(() => readTree(file)).toThrow(
      `${file}: 2 device trees, one behind the other: cut out that of the board\n  1: A (no compatible)`,
    );
  });

  it('is told by its start, however long it is', () => {
    const file = sparse('image', new Uint8Array([0x1f, 0x8b]), TREE_FILE_BYTES_MAX * 100);
    expect(() => readTree(file)).toThrow('compressed with gzip');
    expect(() => readTree(sparse('huge', blobOf(BOARD), TREE_FILE_BYTES_MAX + 1))).toThrow(
      `more than ${TREE_FILE_BYTES_MAX} bytes: too large for a device tree`,
    );
  });

  it('with a harmful name is told in one line', () => {
    expect(() => readTree(write('a\nb', ''))).toThrow(/^\S+a\\u000ab: an empty file/);
  });

  it('that is a pipe, a socket or a device is not opened', async () => {
    const words = 'no file: expected a device tree blob, a folder, or "live"';
    execFileSync('mkfifo', [at('pipe')]);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(at('socket'), resolve));
    for (const path of [at('pipe'), at('socket'), '/dev/zero'])
      expect(() => readTree(path)).toThrow(`${path}: ${words}`);
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('a folder', () => {
  beforeEach(() => {
    write('compatible', 'test,board\0');
    write('name', '\0');
    mkdirSync(at('soc@0'));
    write('soc@0/name', 'soc\0');
    write('soc@0/reg', new Uint8Array(8));
  });

  it('that is a copy of /proc/device-tree is a tree, without the names that the kernel adds', () => {
    const { root } = readTree(folder);
    expect([...root.properties.keys()]).toEqual(['compatible']);
    expect(root.children.map(({ path, properties }) => [path, [...properties.keys()]])).toEqual([
      ['/soc@0', ['reg']],
    ]);
  });

  it('has its nodes in the order of their names, in whatever order they were copied', () => {
    for (const name of ['z@3', 'a@9', 'm@1']) mkdirSync(at(name));
    expect(readTree(folder).root.children.map(({ name }) => name)).toEqual(['a@9', 'm@1', 'soc@0', 'z@3']);
  });

  it('that is none is told from one, with whatever is in it', () => {
    rmSync(at('compatible'));
    symlinkSync('/', at('link'));
    expect(() => readTree(folder)).toThrow(`${folder}: a folder that is no device tree: expected a blob, or`);
  });

  it('of a node within a tree is no tree', () => {
    write('soc@0/compatible', 'simple-bus\0');
    expect(() => readTree(at('soc@0'))).toThrow('soc@0: a node of a device tree, not its root');
  });

  it('with a link in it is refused, not followed: also in place of a property', () => {
    symlinkSync('..', at('soc@0/up'));
    expect(() => readTree(folder)).toThrow(`${folder}: /soc@0/up: a symbolic link`);
  });

  it('with a pipe or a socket in it is refused without opening it', async () => {
    execFileSync('mkfifo', [at('soc@0/pipe')]);
    expect(() => readTree(folder)).toThrow(`${folder}: /soc@0/pipe: neither file nor folder`);
    rmSync(at('soc@0/pipe'));
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(at('s'), resolve));
    expect(() => readTree(folder)).toThrow(`${folder}: /s: neither file nor folder`);
    await new Promise((resolve) => server.close(resolve));
  });

  it.each([
    ['a name with a space', 'a b', '/a b: no name of a node or a property'],
    ['a name that moves the cursor', '\u001b[2J', '/\\u001b[2J: no name of a node or a property'],
  ])('with %s is refused', (_, name, words) => {
    write(name, '');
    expect(() => readTree(folder)).toThrow(words);
  });

  it('has the limits of a blob: bytes, depth, things in one folder, length of paths', () => {
    sparse('soc@0/data', new Uint8Array(0), BLOB_BYTES_MAX * 1_000);
    expect(() => readTree(folder)).toThrow(`/soc@0: more than ${BLOB_BYTES_MAX} bytes up to here`);
    rmSync(at('soc@0/data'));
    const deep = (levels: number, name: string) => {
      mkdirSync(at(...new Array<string>(levels).fill(name)), { recursive: true });
      return () => rmSync(at(name), { recursive: true });
    };
    const undo = deep(DEPTH_MAX - 1, 'n');
    expect(readTree(folder).nodes()).toHaveLength(DEPTH_MAX + 1);
    undo();
    const again = deep(DEPTH_MAX, 'n');
    expect(() => readTree(folder)).toThrow(`more than ${DEPTH_MAX} nodes within each other`);
    again();
    deep(5, 'n'.repeat(250));
    expect(() => readTree(folder)).toThrow('a path of 1255 characters; at most 1024');
  });

  it('has at most so many nodes and properties', () => {
    expect(readTreeFolder(folder, { nodes: 2, properties: 4 }).nodes()).toHaveLength(2);
    const few = (nodes: number, properties: number) => () => readTreeFolder(folder, { nodes, properties });
    expect(few(1, 4)).toThrow('/: more than 1 nodes up to here');
    expect(few(2, 3)).toThrow('/soc@0: more than 3 properties up to here');
  });

  it('that is not there is an error that names it', () => {
    expect(() => readTree(at('nowhere'))).toThrow(`${at('nowhere')}: no such file`);
  });
});
