/**
 * A log of lines in files of bounded size: the current one, as `audit.jsonl`, and older ones with rising numbers,
 * `audit-00000001.jsonl`. The oldest are deleted. Nothing waits for a disk.
 */

import {
  closeSync,
  existsSync,
  fstatSync,
  fsync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { unreadable } from '../config/files.ts';

/** How much of a log is kept. */
export interface LogLimits {
  /** Size at which a file is closed and the next begun, in bytes. */
  readonly fileBytes: number;
  /** Number of older files kept. */
  readonly files: number;
}

/** The files of a log, open at its end. */
export class RotatedFile {
  readonly path: string;
  readonly #limits: LogLimits;
  /** Numbers of older files, rising. */
  readonly #numbers: number[];
  #fd: number;
  /** Length of the file without what a failed write left behind. */
  #end: number;
  #isDirty = false;

  /** Opens the log, or creates it. Throws an Error when it cannot be read or written. */
  constructor(path: string, limits: LogLimits) {
    this.path = path;
    this.#limits = limits;
    this.#numbers = numbersOf(path);
    this.#fd = openSync(path, 'a+', 0o600);
    this.#end = fstatSync(this.#fd).size;
  }

  /** Descriptor of the current file. */
  get fd(): number {
    return this.#fd;
  }

  /** Length of the current file, in bytes. */
  get end(): number {
    return this.#end;
  }

  /** Path of the newest older file; undefined: there is none. */
  get newestOlder(): string | undefined {
    const newest = this.#numbers.at(-1);
    return newest === undefined ? undefined : numbered(this.path, newest);
  }

  /** Appends whole lines. Throws an Error on failure; then none of them is in the file. */
  append(lines: string): void {
    const bytes = Buffer.from(lines, 'latin1');
    try {
      this.#restore();
      if (this.#end > 0 && this.#end + bytes.length > this.#limits.fileBytes) this.rotate();
      this.#isDirty = true;
      for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done);
    } catch (error) {
      try {
        this.#restore();
      } catch {
        // Tried again before the next line.
      }
      throw new Error(`${this.path} cannot be written: ${(error as Error).message}`, { cause: error });
    }
    this.#isDirty = false;
    this.#end += bytes.length;
  }

  /** Cuts the current file to its first `bytes`. */
  cut(bytes: number): void {
    ftruncateSync(this.#fd, bytes);
    this.#end = bytes;
  }

  /** A partial line in the middle would damage the log permanently. */
  #restore(): void {
    if (this.#isDirty) ftruncateSync(this.#fd, this.#end);
    this.#isDirty = false;
  }

  /** Begins the next file, and deletes those that are too old. */
  rotate(): void {
    const number = (this.#numbers.at(-1) ?? 0) + 1;
    const older = numbered(this.path, number);
    // First the steps that may fail on a full disk: until both names are right, the log is unchanged.
    const fresh = openSync(`${this.path}.new`, 'a+', 0o600);
    try {
      renameSync(this.path, older);
      renameSync(`${this.path}.new`, this.path);
    } catch (error) {
      closeSync(fresh);
      if (!existsSync(this.path) && existsSync(older)) renameSync(older, this.path);
      throw error;
    }
    this.#numbers.push(number);
    // A numbered file must also be whole after a power cut. Nothing waits for this fsync, and the event loop must not.
    const full = this.#fd;
    fsync(full, () => closeSync(full));
    this.#fd = fresh;
    this.#end = 0;
    while (this.#numbers.length > this.#limits.files) {
      rmSync(numbered(this.path, this.#numbers[0]!), { force: true });
      this.#numbers.shift();
    }
  }
}

/**
 * Returns the files of a log, oldest first. `path`: its folder, in which the log is `name`, or its current file, for
 * all files; or one older file, for it alone.
 */
export function filesOfLog(path: string, name: string): string[] {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  const written = isFolder ? join(path, name) : path;
  if (/-\d{8}\.jsonl$/.test(path)) return [path];
  return [...numbersOf(written).map((number) => numbered(written, number)), written];
}

/** Returns the bytes `[from, to)` of a file, as far as it has them. */
export function readBytes(fd: number, from: number, to: number): Buffer {
  const bytes = Buffer.alloc(to - from);
  let done = 0;
  while (done < bytes.length) {
    const count = readSync(fd, bytes, done, bytes.length - done, from + done);
    if (count === 0) break;
    done += count;
  }
  return bytes.subarray(0, done);
}

const DIGITS = 8;

function numbered(path: string, number: number): string {
  return `${path.replace(/\.jsonl$/, '')}-${String(number).padStart(DIGITS, '0')}.jsonl`;
}

function numbersOf(path: string): number[] {
  const stem = `${basename(path).replace(/\.jsonl$/, '')}-`;
  const names = readdirSync(dirname(path)).filter(
    (name) => name.startsWith(stem) && /^\d{8}\.jsonl$/.test(name.slice(stem.length)),
  );
  return names.map((name) => Number(name.slice(stem.length, stem.length + DIGITS))).sort((a, b) => a - b);
}

/** Bytes per read of a file. */
const PART_BYTES = 64 * 1024;

/** Reads a file of a log in chunks, one byte per character. Throws a ConfigError. */
export function* readParts(path: string): Generator<string> {
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    const part = Buffer.alloc(PART_BYTES);
    for (let count = readSync(fd, part); count > 0; count = readSync(fd, part)) {
      yield part.toString('latin1', 0, count);
    }
  } catch (error) {
    throw unreadable(path, error as NodeJS.ErrnoException);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
