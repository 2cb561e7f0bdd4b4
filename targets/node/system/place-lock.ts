/**
 * A lock in a folder, without native code, that only processes with write access to the folder can take or block.
 *
 * Each contender creates its own listening UNIX socket in the folder, and then checks the sockets of all others: the
 * contender that finds no live one has the lock. The kernel closes a socket when its process ends in any way, so a
 * socket that refuses a connection is dead and may be removed; no name is used twice. Of two contenders that see each
 * other, the one with the higher name gives way. A socket gets the name that others look for only when it listens, so a
 * live one never refuses.
 *
 * Another user may not be allowed to connect, for example to a socket of root. Then the kernel's list of sockets
 * decides, if it is complete: a name begins with the network name space of its socket. Otherwise a person must decide.
 *
 * The lock works across network name spaces, and for every spelling of the folder's path.
 */

import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join, resolve } from 'node:path';

/** Interval of the checks of others that must give way, in ms. */
const LOOK_MS = 10;
/**
 * Number of checks after which another that does not give way counts as having the lock: its own check takes far less.
 */
const LOOKS_MAX = 20;
/** Longest wait for an answer, in ms. The kernel answers even for a hung process. */
const PROBE_MS = 1_000;
/**
 * Age, in ms, at which a socket that does not listen yet never will: only two system calls are between creation and
 * listening.
 */
const NEW_MS = 1_000;
/** Longest name of a lock, in bytes: with its additions it must fit into the path of a socket. */
const NAME_BYTES_MAX = 48;

/** A taken lock. It ends with the process. */
export interface PlaceLock {
  release(): void;
}

/** Locks of this process. */
const held = new Set<PlaceLock>();
// Removes the socket files: a remaining one is dead, but only a user who may connect to it can see that.
process.on('exit', () => {
  for (const lock of held) lock.release();
});

/**
 * Takes the lock `name` of `folder`; undefined when another process has it. Rejects when the folder cannot be used, or
 * when it is not known whether another process has it.
 */
export async function takePlace(folder: string, name: string): Promise<PlaceLock | undefined> {
  if (Buffer.byteLength(name) > NAME_BYTES_MAX) throw new RangeError(`${name}: too long for a lock`);
  const directory = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  const base = isLong(join(folder, `${name}${SUFFIX}`)) ? `/proc/self/fd/${directory}` : folder;
  const place: Place = { folder: resolve(folder), base, name };
  try {
    // The files of dead contenders are removed first, so that a daemon that died starts again even on a full disk.
    await clearUnborn(place);
    if ((await othersIn(place, '')).length > 0) return undefined;
    const own = `${name}.${networkSpace() ?? UNKNOWN_SPACE}${randomBytes(4).toString('hex')}`;
    const lock = lockOf(place, own, await listen(join(base, `${own}.new`)));
    let isOurs = false;
    try {
      renameSync(join(base, `${own}.new`), join(base, own));
      isOurs = await isAlone(place, own);
    } finally {
      if (!isOurs) lock.release();
    }
    return isOurs ? lock : undefined;
  } finally {
    closeSync(directory);
  }
}

/**
 * The files of one lock in its folder. `base`: a path of the folder that is short enough for sockets, valid while a
 * lock is being taken.
 */
interface Place {
  readonly folder: string;
  readonly base: string;
  readonly name: string;
}

function lockOf({ folder }: Place, own: string, server: Server): PlaceLock {
  const lock = {
    release: () => {
      held.delete(lock);
      remove(join(folder, own));
      remove(join(folder, `${own}.new`));
      server.close();
    },
  };
  held.add(lock);
  return lock;
}

/** The path of a socket has at most 108 bytes with its final zero; that of a folder may be longer. */
const isLong = (path: string) => Buffer.byteLength(path) > 107;

/** As long as what `takePlace` appends to a name. */
const SUFFIX = `.${'x'.repeat(16)}.new`;

/** This process's network name space, 8 hexadecimal digits; undefined when unknown. */
function networkSpace(): string | undefined {
  try {
    const inode = /^net:\[(\d+)\]$/.exec(readlinkSync('/proc/self/ns/net'))?.[1];
    return inode && Number(inode).toString(16).padStart(8, '0').slice(-8);
  } catch {
    return undefined;
  }
}

/** Stands for an unknown name space: no name space has this number. */
const UNKNOWN_SPACE = '00000000';

async function isAlone(place: Place, own: string): Promise<boolean> {
  for (let looks = 0; looks < LOOKS_MAX; looks++) {
    const others = await othersIn(place, own);
    if (others.length === 0) return true;
    if (others.some((other) => other < own)) return false;
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
  return false;
}

/** Files of a lock: after the prefix their names have 16 hexadecimal digits, then `end`. */
function filesOf({ base, name }: Place, end: string): string[] {
  return readdirSync(base).filter(
    (file) =>
      file.startsWith(`${name}.`) &&
      file.endsWith(end) &&
      /^[0-9a-f]{16}$/.test(file.slice(name.length + 1, file.length - end.length)),
  );
}

/** Returns the live sockets of others, and removes dead ones. Rejects when it cannot be determined. */
async function othersIn({ folder, ...place }: Place, own: string): Promise<string[]> {
  const others = filesOf({ folder, ...place }, '').filter((file) => file !== own);
  const states = await Promise.all(others.map((file) => stateOf(place.base, file)));
  const doubtful = others.find((_, i) => states[i] === 'unknown');
  if (doubtful === undefined) return others.filter((_, i) => states[i] === 'alive');
  throw new Error(
    `${join(folder, doubtful)}: this user cannot see whether the process that made this lock is ` +
      `alive; if no Baton process uses ${folder}, remove the file`,
  );
}

/** Removes sockets of processes that ended before they renamed them. */
async function clearUnborn(place: Place): Promise<void> {
  const isOld = (file: string) => {
    const stat = statSync(join(place.base, file), { throwIfNoEntry: false });
    return stat !== undefined && Date.now() - stat.mtimeMs > NEW_MS;
  };
  await Promise.all(
    filesOf(place, '.new')
      .filter(isOld)
      .map((file) => stateOf(place.base, file)),
  );
}

type State = 'alive' | 'dead' | 'unknown';

/**
 * Returns whether a process has this socket; removes it when none has. Only a refusal or the kernel's list proves that
 * none has. In doubt the answer is yes, for example for a busy process (EAGAIN) or one that is just ending
 * (ECONNRESET).
 */
function stateOf(base: string, file: string): Promise<State> {
  const path = join(base, file);
  return new Promise((done) => {
    const probe = connect(path);
    const end = (state: State) => {
      probe.destroy();
      if (state === 'dead') remove(path);
      done(state);
    };
    probe.setTimeout(PROBE_MS, () => end('alive'));
    probe.once('connect', () => end('alive'));
    probe.once('error', ({ code }: NodeJS.ErrnoException) => {
      if (code === 'ECONNREFUSED' || code === 'ENOENT') end('dead');
      else end(code === 'EACCES' ? listedState(file) : 'alive');
    });
  });
}

/** The same by the kernel's list, which has the sockets of one network name space, under their first names. */
function listedState(file: string): State {
  const [, space, random] = /\.([0-9a-f]{8})([0-9a-f]{8})(?:\.new)?$/.exec(file) ?? [];
  if (space === undefined || space !== networkSpace()) return 'unknown';
  const isListed = () => readFileSync('/proc/net/unix', 'utf8').includes(`.${space}${random}.new`);
  try {
    // The list may skip a row while other sockets come and go.
    return isListed() || isListed() || isListed() ? 'alive' : 'dead';
  } catch {
    return 'unknown';
  }
}

function listen(path: string): Promise<Server> {
  return new Promise((done, reject) => {
    const server = createServer((socket) => socket.destroy());
    // A lock is no reason for the process to go on.
    server.unref();
    server.on('error', reject);
    server.listen(path, () => done(server));
  });
}

function remove(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // It is dead; leaving it does no harm.
  }
}
