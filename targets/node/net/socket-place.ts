/**
 * Prepares the path of a socket file: a socket whose process has ended is removed; one that answers, and a file that is
 * not a socket, stay. The listener keeps the lock while it listens.
 *
 * Another listener of Baton is detected by its lock, without a connection: a new connection would displace the one of
 * an agent.
 */

import { rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { lockSocketPath } from '../system/name-lock.ts';
import type { PlaceLock } from '../system/place-lock.ts';

/** Rejects when another process listens at `path`, or something else is there. */
export async function takeSocketPlace(path: string): Promise<PlaceLock> {
  const lock = await lockSocketPath(path);
  if (!lock) throw new Error('another process listens there');
  try {
    await clearAway(path);
  } catch (error) {
    lock.release();
    throw error;
  }
  return lock;
}

function clearAway(path: string): Promise<void> {
  if (!statSync(path, { throwIfNoEntry: false })?.isSocket()) return Promise.resolve();
  return new Promise((done, reject) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      reject(new Error('another process listens there'));
    });
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNREFUSED') return reject(error);
      rmSync(path, { force: true });
      done();
    });
  });
}
