/** A lock that programs inherit: whom it takes for ours, and whom it ends. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { InheritedLock } from '../../targets/node/system/inherited-lock.ts';

let folder: string;
let note: string;
let children: ChildProcess[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-inherited-'));
  note = join(folder, 'lock');
  children = [];
});
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  await Promise.all(children.map(ended));
  rmSync(folder, { recursive: true });
});

const nameOf = () => `baton-test-${folder.split('-').at(-1)}`;
const lockOf = (name = nameOf()) => new InheritedLock(name, note);
const ended = (child: ChildProcess) =>
  child.exitCode !== null || child.signalCode !== null
    ? undefined
    : new Promise((resolve) => child.once('exit', resolve));

/** A process that has the descriptor, in a group of its own or in ours. */
function holder(fd: number, detached: boolean): ChildProcess {
  const child = spawn('sleep', ['60'], { detached, stdio: ['ignore', 'ignore', 'ignore', fd] });
  children.push(child);
  return child;
}

/** Another life of ours: the lock is taken, noted, inherited, and our copy given up. */
async function leave(detached: boolean): Promise<ChildProcess> {
  const held = (await lockOf().take())!;
  held.note();
  const child = holder(held.fd, detached);
  await new Promise((resolve) => child.once('spawn', resolve));
  held.release();
  return child;
}

it('is not taken while a program of an earlier run has it, and is once that was ended', async () => {
  const child = await leave(true);
  const lock = lockOf();
  expect(await lock.take()).toBeUndefined();
  expect(lock.evict()).toBe(1);
  await ended(child);
  expect(child.signalCode).toBe('SIGKILL');
  expect(await lock.take()).toBeDefined();
});

it('is found under another name, too', async () => {
  await leave(true);
  const lock = lockOf(`${nameOf()}-elsewhere`);
  expect(await lock.take()).toBeUndefined();
  expect(lock.evict()).toBe(1);
});

it('ends nobody in our own group', async () => {
  const child = await leave(false);
  expect(lockOf().evict()).toBe(0);
  expect(child.exitCode ?? child.signalCode).toBeNull();
});

it('ends nobody who has a socket of another name: inode numbers come again', async () => {
  const child = await leave(true);
  writeFileSync(note, readFileSync(note, 'utf8').replace('@baton-test', '@baton-other'));
  const lock = lockOf();
  expect(lock.evict()).toBe(0);
  expect(await lock.take()).toBeUndefined();
  expect(child.exitCode ?? child.signalCode).toBeNull();
});
