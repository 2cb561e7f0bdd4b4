/** Locks in a folder: one wins, the dead do not count, and nobody outside the folder can keep it from being taken. */

import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { bindName, lockSocketPath, lockState, nameOfPath } from '../../targets/node/system/name-lock.ts';
import { type PlaceLock, takePlace } from '../../targets/node/system/place-lock.ts';

/** Whether the disk refuses to rename what is to become a lock. */
let refusesNames = false;
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  const rename: typeof fs.renameSync = (from, to) => {
    if (refusesNames && String(from).endsWith('.new')) throw new Error('EIO');
    fs.renameSync(from, to);
  };
  return { ...fs, renameSync: rename };
});

let folder: string;
let open: Server[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-place-'));
  open = [];
});
afterEach(() => {
  refusesNames = false;
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

describe('the lock of a socket', () => {
  it('is not that of a state folder, whatever the socket is called', async () => {
    await lockState(folder);
    expect(await lockSocketPath(at('state'))).toBeDefined();
    expect(await lockSocketPath(at('state'))).toBeUndefined();
  });

  it('is to be had for every name that a socket may have', async () => {
    const longest = at('a'.repeat(107 - at('').length));
    expect(await lockSocketPath(longest)).toBeDefined();
    expect(await lockSocketPath(longest)).toBeUndefined();
    expect(await lockSocketPath(longest.slice(0, -1))).toBeDefined();
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

  it('is kept by what nobody can say to be dead', async () => {
    // Connecting to a link to itself is an error, and no refusal.
    symlinkSync('x.0000000000000000', at('x.0000000000000000'));
    expect(await takePlace(folder, 'x')).toBeUndefined();
    expect(readdirSync(folder)).toEqual(['x.0000000000000000']);
  });

  it('frees what a process left that was ended while it took it, once that is no longer young', async () => {
    const old = Date.now() / 1_000 - 5;
    for (const name of ['x.0000000000000000.new', 'x.1111111111111111.new', 'x.2222222222222222.new']) {
      const end = await socketAt(at(name));
      if (!name.startsWith('x.2')) await end();
      if (!name.startsWith('x.1')) utimesSync(at(name), old, old);
    }
    (await takePlace(folder, 'x'))!.release();
    expect(readdirSync(folder).sort()).toEqual(['x.1111111111111111.new', 'x.2222222222222222.new']);
  });

  it('that could not be taken leaves nothing', async () => {
    refusesNames = true;
    await expect(takePlace(folder, 'x')).rejects.toThrow('EIO');
    expect(readdirSync(folder)).toEqual([]);
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
