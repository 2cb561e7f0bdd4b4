/** `node:fs`: synchronous file functions. Errors are those of Node. */

import * as os from 'qjs:os';
import { checked, type SystemError, systemError } from '../errors.ts';
import { NATIVE } from '../native.ts';
import { Buffer } from './buffer.ts';
import { dirname } from './path.ts';

export const constants = {
  O_RDONLY: os.O_RDONLY,
  O_WRONLY: os.O_WRONLY,
  O_DIRECTORY: NATIVE.O_DIRECTORY,
  O_NOCTTY: NATIVE.O_NOCTTY,
  O_NOFOLLOW: NATIVE.O_NOFOLLOW,
  O_NONBLOCK: NATIVE.O_NONBLOCK,
  // Values of access(2).
  X_OK: 1,
  W_OK: 2,
} as const;

const FLAGS: Readonly<Record<string, number>> = {
  r: os.O_RDONLY,
  'r+': os.O_RDWR,
  w: os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
};
/** Bytes per read of a file of unknown size, such as those below /proc. */
const CHUNK_BYTES = 16 * 1024;

export function openSync(path: string, how: string | number, mode = 0o666): number {
  const flags = typeof how === 'number' ? how : FLAGS[how]!;
  return checked(NATIVE.open(path, flags, mode), `open '${path}'`);
}

export function closeSync(fd: number): void {
  NATIVE.close(fd);
}

export function writeSync(
  fd: number,
  what: Uint8Array | string,
  ...[offset = 0, count, at]: readonly (number | undefined)[]
): number {
  // For a text the next number is the position.
  if (typeof what === 'string') return writeAt(fd, new Uint8Array(NATIVE.bytesOf(what)), offset);
  return writeAt(fd, what.subarray(offset, offset + (count ?? what.length - offset)), at ?? 0);
}

function writeAt(fd: number, bytes: Uint8Array, at: number): number {
  return checked(NATIVE.writeAt(fd, bytes.buffer, bytes.byteOffset, bytes.length, at), 'write');
}

/** Continues where the last read ended. */
export function readSync(fd: number, bytes: Uint8Array): number {
  return checked(os.read(fd, bytes.buffer, bytes.byteOffset, bytes.length), 'read');
}

export function ftruncateSync(fd: number, size: number): void {
  checked(NATIVE.truncate(fd, size), 'ftruncate');
}

export function fsyncSync(fd: number): void {
  checked(NATIVE.sync(fd, false), 'fsync');
}

export function fdatasyncSync(fd: number): void {
  checked(NATIVE.sync(fd, true), 'fdatasync');
}

export function readFileSync(path: string): Buffer;
export function readFileSync(path: string, encoding: 'utf8' | 'latin1'): string;
export function readFileSync(path: string, encoding?: 'utf8' | 'latin1'): Buffer | string {
  const fd = openSync(path, 'r');
  try {
    const parts: Uint8Array[] = [];
    for (let at = 0; ; ) {
      const part = new Uint8Array(CHUNK_BYTES);
      const count = checked(NATIVE.readAt(fd, part.buffer, 0, part.length, at), `read '${path}'`);
      if (count === 0) break;
      parts.push(part.subarray(0, count));
      at += count;
    }
    const whole = Buffer.concat(parts);
    return encoding === undefined ? whole : whole.toString();
  } finally {
    closeSync(fd);
  }
}

export function writeFileSync(path: string, text: string, { mode = 0o666 } = {}): void {
  const bytes = new Uint8Array(NATIVE.bytesOf(text));
  const fd = openSync(path, 'w', mode);
  try {
    for (let done = 0; done < bytes.length; ) done += writeAt(fd, bytes.subarray(done), done);
  } finally {
    closeSync(fd);
  }
}

export function existsSync(path: string): boolean {
  return os.stat(path)[1] === 0;
}

export interface Stats {
  readonly mode: number;
  readonly size: number;
  readonly mtimeMs: number;
  isFile(): boolean;
  isDirectory(): boolean;
  isSocket(): boolean;
}

export function statSync(path: string): Stats;
export function statSync(path: string, how: { throwIfNoEntry: false }): Stats | undefined;
export function statSync(path: string, how = {}): Stats | undefined {
  return statsOf(os.stat(path), `stat '${path}'`, how);
}

/** As statSync, for a link itself. */
export function lstatSync(path: string, how: { throwIfNoEntry?: boolean } = {}): Stats | undefined {
  return statsOf(os.lstat(path), `lstat '${path}'`, how);
}

/** For an open file: QuickJS has no fstat, but /proc has a name for the descriptor. */
export function fstatSync(fd: number): Stats {
  return statSync(`/proc/self/fd/${fd}`);
}

function statsOf(
  [stat, error]: ReturnType<typeof os.stat>,
  what: string,
  { throwIfNoEntry = true }: { throwIfNoEntry?: boolean },
): Stats | undefined {
  if (error !== 0) {
    const failure = systemError(-error, what);
    if (!throwIfNoEntry && (failure.code === 'ENOENT' || failure.code === 'ENOTDIR')) return undefined;
    throw failure;
  }
  const kind = stat.mode & os.S_IFMT;
  return {
    mode: stat.mode,
    size: stat.size,
    mtimeMs: stat.mtime,
    isFile: () => kind === os.S_IFREG,
    isDirectory: () => kind === os.S_IFDIR,
    isSocket: () => kind === os.S_IFSOCK,
  };
}

export function accessSync(path: string, mode = 0): void {
  checked(NATIVE.access(path, mode), `access '${path}'`);
}

export interface Dirent {
  readonly name: string;
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
}

/** Returns the entries of a folder one by one. */
export function opendirSync(path: string): { readSync(): Dirent | null; closeSync(): void } {
  const entries = readdirSync(path, { withFileTypes: true });
  return { readSync: () => entries.shift() ?? null, closeSync: () => {} };
}

export function readdirSync(path: string): string[];
export function readdirSync(path: string, how: { withFileTypes: true }): Dirent[];
export function readdirSync(path: string, { withFileTypes = false } = {}): string[] | Dirent[] {
  const [all, error] = os.readdir(path);
  if (error !== 0) throw systemError(-error, `scandir '${path}'`);
  const names = all.filter((name) => name !== '.' && name !== '..');
  return withFileTypes ? names.map((name) => direntOf(path, name)) : names;
}

function direntOf(folder: string, name: string): Dirent {
  const [stat, error] = os.lstat(`${folder}/${name}`);
  // An entry that is gone meanwhile is neither.
  const kind = error === 0 ? stat.mode & os.S_IFMT : 0;
  return {
    name,
    isFile: () => kind === os.S_IFREG,
    isDirectory: () => kind === os.S_IFDIR,
    isSymbolicLink: () => kind === os.S_IFLNK,
  };
}

export function readlinkSync(path: string): string {
  const [target, error] = os.readlink(path);
  if (error !== 0) throw systemError(-error, `readlink '${path}'`);
  return target;
}

export function realpathSync(path: string): string {
  const [real, error] = os.realpath(path);
  if (error !== 0) throw systemError(-error, `realpath '${path}'`);
  return real;
}

export function renameSync(from: string, to: string): void {
  checked(os.rename(from, to), `rename '${from}' -> '${to}'`);
}

export function rmSync(path: string, { force = false } = {}): void {
  const result = os.remove(path);
  if (result >= 0) return;
  const failure = systemError(result, `rm '${path}'`);
  if (!force || failure.code !== 'ENOENT') throw failure;
}

export function mkdirSync(path: string, { recursive = false, mode = 0o777 } = {}): void {
  const result = os.mkdir(path, mode);
  if (result >= 0) return;
  const failure: SystemError = systemError(result, `mkdir '${path}'`);
  if (!recursive) throw failure;
  if (failure.code === 'ENOENT' && dirname(path) !== path) {
    mkdirSync(dirname(path), { recursive, mode });
    mkdirSync(path, { recursive: false, mode });
    return;
  }
  const [stat, error] = os.stat(path);
  if (failure.code !== 'EEXIST' || error !== 0 || (stat.mode & os.S_IFMT) !== os.S_IFDIR) throw failure;
}
