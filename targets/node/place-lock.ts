/**
 * A lock in a folder, without native code, that only those can take or keep who may write to that folder.
 *
 * Each contender makes a listening UNIX socket of its own in the folder, and then looks at those of all others: the
 * lock is taken by who finds no other that is alive. The kernel ends a socket with its process, however that ends, so
 * what refuses a connection is dead and may be removed; no name is used twice. Of two that see each other the one with
 * the higher name gives way. A socket gets the name that others look for only when it listens, so none that is alive
 * ever refuses.
 *
 * It works across network name spaces, and for every spelling of the folder.
 */

import { randomBytes } from 'node:crypto';
import { closeSync, constants, openSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';

/** Between two looks, in ms, at others that have to give way to us. */
const LOOK_MS = 10;
/** Looks until one that does not give way counts as having the lock: its own look takes far less. */
const LOOKS_MAX = 20;
/** Longest wait for an answer, in ms. The kernel answers for a process that does not; more is a broken kernel. */
const PROBE_MS = 1_000;

/** A lock that we have. It ends with the process. */
export interface PlaceLock {
  release(): void;
}

/** Takes the lock `name` of `folder`; undefined when another has it. Rejects when the folder cannot be used. */
export async function takePlace(folder: string, name: string): Promise<PlaceLock | undefined> {
  const directory = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  const base = isLong(join(folder, `${name}${SUFFIX}`)) ? `/proc/self/fd/${directory}` : folder;
  try {
    // What a dead one leaves is given back first: so a daemon that died starts again also on a full disk.
    if ((await othersIn(base, name, '')).length > 0) return undefined;
    const own = `${name}.${randomBytes(8).toString('hex')}`;
    const server = await listen(join(base, `${own}.new`));
    renameSync(join(base, `${own}.new`), join(base, own));
    const release = () => {
      remove(join(folder, own));
      server.close();
    };
    if (await isAlone(base, name, own)) return { release };
    release();
    return undefined;
  } finally {
    closeSync(directory);
  }
}

/** A socket's path may have 108 bytes with the zero at its end, a folder's many more. */
const isLong = (path: string) => Buffer.byteLength(path) > 107;

/** As long as what `takePlace` appends to a name. */
const SUFFIX = `.${'x'.repeat(16)}.new`;

async function isAlone(base: string, name: string, own: string): Promise<boolean> {
  for (let looks = 0; looks < LOOKS_MAX; looks++) {
    const others = await othersIn(base, name, own);
    if (others.length === 0) return true;
    if (others.some((other) => other < own)) return false;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return false;
}

/** Returns the sockets of others that are alive, and removes those that are dead. */
async function othersIn(base: string, name: string, own: string): Promise<string[]> {
  const isPlace = (file: string) =>
    file.startsWith(`${name}.`) && /^[0-9a-f]{16}$/.test(file.slice(name.length + 1));
  const others = readdirSync(base).filter((file) => isPlace(file) && file !== own);
  const alive = await Promise.all(others.map((file) => isAlive(join(base, file))));
  return others.filter((_, i) => alive[i]);
}

/** Whether a process has this socket. Only a refusal proves that none has: in doubt one has. */
function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    const end = (alive: boolean) => {
      probe.destroy();
      resolve(alive);
    };
    probe.setTimeout(PROBE_MS, () => end(true));
    probe.once('connect', () => end(true));
    probe.once('error', ({ code }: NodeJS.ErrnoException) => {
      if (code === 'ECONNREFUSED') remove(path);
      end(code !== 'ECONNREFUSED' && code !== 'ENOENT');
    });
  });
}

function listen(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    // A lock is no reason for the process to go on.
    server.unref();
    server.on('error', reject);
    server.listen(path, () => resolve(server));
  });
}

function remove(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // It is dead, and may lie there.
  }
}
