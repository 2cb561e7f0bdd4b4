/**
 * Locks without native code: a lock is the name of a listening UNIX socket in the kernel's abstract name space. Binding
 * is atomic, and the kernel frees the name when the last copy of the descriptor is closed, however its holders end: a
 * killed process leaves nothing behind.
 *
 * Processes in different network name spaces do not see each other's names, and any local process may bind one. So the
 * locks that a daemon needs for its start are in a folder instead (place-lock.ts).
 */

import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { basename, dirname } from 'node:path';
import { makeFolder } from './folder.ts';
import { type PlaceLock, takePlace } from './place-lock.ts';

/** Binds an abstract name; undefined when another process has it. Connections are closed at once. */
export function bindName(name: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    // A lock does not keep the process running.
    server.unref();
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen({ path: `\0${name}` }, () => resolve(server));
  });
}

/** Returns a name for `what` of the file or folder at `path`: the same for every spelling of the path. */
export function nameOfPath(what: string, path: string): string {
  return `baton-${what}-${createHash('sha256').update(path).digest('hex').slice(0, 16)}`;
}

/**
 * Creates `folder` if missing, and locks it until the process ends. Throws a FolderError when it cannot be created, and
 * an Error when another process has it: two processes would overwrite each other's table or journal.
 */
export async function lockState(folder: string): Promise<void> {
  makeFolder(folder);
  if (await takePlace(folder, 'state.lock')) return;
  throw new Error(`${folder}: another process uses this state folder; end it, or configure another folder`);
}

/** Locks the place of a socket file; undefined when another process has it. Rejects when its folder does not exist. */
export async function lockSocketPath(path: string): Promise<PlaceLock | undefined> {
  // A different form than that of state folders, since a socket may be called `state`; and of bounded length.
  const hash = createHash('sha256').update(basename(path)).digest('hex').slice(0, 16);
  return takePlace(dirname(path), `socket-${hash}.lock`);
}
