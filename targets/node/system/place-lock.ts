/**
 * A lock in a folder, without native code, that only those can take or keep who may write to that folder.
 *
 * Each contender makes a listening UNIX socket of its own in the folder, and then looks at those of all others: the
 * lock is taken by who finds no other that is alive. The kernel ends a socket with its process, however that ends, so
 * what refuses a connection is dead and may be removed; no name is used twice. Of two that see each other the one with
 * the higher name gives way. A socket gets the name that others look for only when it listens, so none that is alive
 * ever refuses.
 *
 * Another user may not connect, as to what root left. Then the kernel's list of sockets tells, where it is complete:
 * a name begins with the network name space that its socket is in. Elsewhere a person has to look.
 *
 * It works across network name spaces, and for every spelling of the folder.
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

/** Between two looks, in ms, at others that have to give way to us. */
const LOOK_MS = 10;
/** Looks until one that does not give way counts as having the lock: its own look takes far less. */
const LOOKS_MAX = 20;
/** Longest wait for an answer, in ms. The kernel answers for a process that does not; more is a broken kernel. */
const PROBE_MS = 1_000;
/** Age, in ms, from which a socket that does not listen yet never will: between the two are two calls of the kernel. */
const NEW_MS = 1_000;
/** Longest name of a lock, in bytes: with what is put around it, it must fit into the path of a socket. */
const NAME_BYTES_MAX = 48;

/** A lock that we have. It ends with the process. */
export interface PlaceLock {
  release(): void;
}

/** Locks that this process has. */
const held = new Set<PlaceLock>();
// A socket file that nobody removed is dead, but only who may connect to it can see that.
process.on('exit', () => {
  for (const lock of held) lock.release();
});

/**
 * Takes the lock `name` of `folder`; undefined when another has it. Rejects when the folder cannot be used, or when
 * nobody can tell whether another has it.
 */
export async function takePlace(folder: string, name: string): Promise<PlaceLock | undefined> {
  if (Buffer.byteLength(name) > NAME_BYTES_MAX) throw new RangeError(`${name}: too long for a lock`);
  const directory = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  const base = isLong(join(folder, `${name}${SUFFIX}`)) ? `/proc/self/fd/${directory}` : folder;
  const place: Place = { folder: resolve(folder), base, name };
  try {
    // What dead ones leave is given back first: so a daemon that died starts again also on a full disk.
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
 * Where contenders meet. `base`: the folder by a path that is short enough for sockets, while a lock is being taken.
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

/** A socket's path may have 108 bytes with the zero at its end, a folder's many more. */
const isLong = (path: string) => Buffer.byteLength(path) > 107;

/** As long as what `takePlace` appends to a name. */
const SUFFIX = `.${'x'.repeat(16)}.new`;

/** The network name space that we are in, 8 hexadecimal digits; undefined when the kernel does not tell. */
function networkSpace(): string | undefined {
  try {
    const inode = /^net:\[(\d+)\]$/.exec(readlinkSync('/proc/self/ns/net'))?.[1];
    return inode && Number(inode).toString(16).padStart(8, '0').slice(-8);
  } catch {
    return undefined;
  }
}

/** No name space has this number. */
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

/** Files of a lock: their names go on with 16 hexadecimal digits, then with `end`. */
function filesOf({ base, name }: Place, end: string): string[] {
  return readdirSync(base).filter(
    (file) =>
      file.startsWith(`${name}.`) &&
      file.endsWith(end) &&
      /^[0-9a-f]{16}$/.test(file.slice(name.length + 1, file.length - end.length)),
  );
}

/** Returns the sockets of others that are alive, and removes those that are dead. Rejects when it cannot tell. */
async function othersIn({ folder, ...place }: Place, own: string): Promise<string[]> {
  const others = filesOf({ folder, ...place }, '').filter((file) => file !== own);
  const states = await Promise.all(others.map((file) => stateOf(place.base, file)));
  const doubtful = others.find((_, i) => states[i] === 'unknown');
  if (doubtful === undefined) return others.filter((_, i) => states[i] === 'alive');
  throw new Error(
    `${join(folder, doubtful)}: this user cannot tell whether the process that made this lock is ` +
      `alive; if no Baton process uses ${folder}, remove the file`,
  );
}

/** Removes sockets of processes that were ended before they had their name. */
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
 * Whether a process has this socket; it is removed when none has. Only a refusal, or the kernel's list, proves that: in
 * doubt one has, as one that has no time for us (EAGAIN) or just ends (ECONNRESET).
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

/** The same by the kernel's list, which has the sockets of one network name space, by the names that they had first. */
function listedState(file: string): State {
  const [, space, random] = /\.([0-9a-f]{8})([0-9a-f]{8})(?:\.new)?$/.exec(file) ?? [];
  if (space === undefined || space !== networkSpace()) return 'unknown';
  const isListed = () => readFileSync('/proc/net/unix', 'utf8').includes(`.${space}${random}.new`);
  try {
    // A row may be skipped while others come and go.
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
    // It is dead, and may lie there.
  }
}
