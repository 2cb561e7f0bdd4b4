/** Locks in a folder: one wins, the dead do not count, and nobody outside the folder can keep it from being taken. */

import { mkdirSync, mkdtempSync, readdirSync, realpathSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bindName, lockSocketPath, lockState, nameOfPath } from '../../targets/node/name-lock.ts';
import { type PlaceLock, takePlace } from '../../targets/node/place-lock.ts';

let folder: string;
let open: Server[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-place-'));
  open = [];
});
afterEach(() => {
  for (const server of open) server.close();
  rmSync(folder, { recursive: true });
});

const at = (name: string) => join(folder, name);

/** Makes a socket file, and returns what ends it and leaves the file, as the end of a process does. */
async function socketAt(path: string): Promise<() => Promise<void>> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(`${path}-first`, resolve));
  renameSync(`${path}-first`, path);
  return () => new Promise((resolve) => server.close(() => resolve()));
}

describe('the lock of a state folder', () => {
  it('is one however the folder is spelt', async () => {
    symlinkSync(folder, `${folder}-link`);
    try {
      await lockState(folder);
      await expect(lockState(`${folder}-link`)).rejects.toThrow('another process uses this state folder');
      await expect(lockState(`${folder}/../${folder.split('/').at(-1)}`)).rejects.toThrow('another process');
    } finally {
      rmSync(`${folder}-link`);
    }
  });

  it('is not to be had by somebody who may not write to the folder', async () => {
    const path = realpathSync(folder);
    for (const what of ['state', 'socket']) open.push((await bindName(nameOfPath(what, path)))!);
    open.push((await bindName(nameOfPath('socket', join(path, 'host.sock'))))!);
    await lockState(folder);
    expect(await lockSocketPath(at('host.sock'))).toBeDefined();
  });
});

describe('a place', () => {
  it('is had by exactly one of many that come at once, and by the next when that lets go', async () => {
    for (let round = 0; round < 5; round++) {
      const all = await Promise.all(Array.from({ length: 12 }, () => takePlace(folder, 'x')));
      const [first, ...others] = all.filter((lock): lock is PlaceLock => lock !== undefined);
      expect(first).toBeDefined();
      expect(others).toEqual([]);
      expect(await takePlace(folder, 'x')).toBeUndefined();
      expect(readdirSync(folder)).toHaveLength(1);
      first!.release();
    }
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is not kept by what dead ones left, which is removed', async () => {
    await (await socketAt(at('x.0000000000000000')))();
    await (await socketAt(at('x.ffffffffffffffff')))();
    expect(readdirSync(folder)).toHaveLength(2);
    expect(await takePlace(folder, 'x')).toBeDefined();
    expect(readdirSync(folder)).toHaveLength(1);
  });

  it.each(['x.0000000000000000', 'x.ffffffffffffffff'])('is kept by %s while that is alive', async (name) => {
    const end = await socketAt(at(name));
    expect(await takePlace(folder, 'x')).toBeUndefined();
    expect(readdirSync(folder)).toEqual([name]);
    await end();
    expect(await takePlace(folder, 'x')).toBeDefined();
  });

  it('is told apart from one whose name begins alike', async () => {
    expect(await takePlace(folder, 'x')).toBeDefined();
    expect(await takePlace(folder, 'x.y')).toBeDefined();
    expect(await takePlace(folder, 'x')).toBeUndefined();
  });

  it('may lie in a folder whose path is longer than that of a socket may be', async () => {
    const deep = at('d'.repeat(120));
    mkdirSync(deep);
    expect(await takePlace(deep, 'x')).toBeDefined();
    expect(await takePlace(deep, 'x')).toBeUndefined();
  });

  it('in a folder that is not there is an error', async () => {
    await expect(takePlace(at('nothing'), 'x')).rejects.toThrow('ENOENT');
  });
});
