/**
 * The audit log as files: `audit.jsonl`, and older ones with rising numbers, `audit-00000001.jsonl`. The chain
 * continues across them.
 *
 * A start reads only the end of the last file, so its duration does not grow with the log. Bytes after the last sound
 * line were left by a crash: they are moved aside, and an entry reports it. Earlier damage stays, for `baton audit
 * verify` to find.
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
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { AUDIT_START, auditLine, lastSoundLine, TORN_EVENT } from '../../../src/core/host/audit.ts';
import type { Log } from '../../../src/ports/world.ts';
import { unreadable } from '../config/files.ts';

/** An open audit log. */
export interface AuditFile {
  /** Appends whole lines. Throws an Error on failure; then none of them is in the file. */
  readonly append: (lines: string) => void;
  /** Hash of the last line; undefined when the chain starts anew. */
  readonly hash: string | undefined;
}

/** How much of the log is kept. */
export interface AuditLimits {
  /** Size at which a file is closed and the next begun, in bytes. */
  readonly fileBytes: number;
  /** Number of older files kept. */
  readonly files: number;
}

/** 36 MiB in all: at 7 lines of 250 bytes a handover, some 20,000 handovers. */
export const AUDIT_LIMITS: AuditLimits = { fileBytes: 4 * 1024 * 1024, files: 8 };

/**
 * Bytes at the end of the log that are searched for a sound line, at first and at most: a crash leaves less than the
 * kernel holds back before it writes.
 */
const TAIL_BYTES = 64 * 1024;
const TAIL_BYTES_MAX = 8 * 1024 * 1024;
/** Bytes of each torn tail that are kept for people. A start finds at most two. */
const TORN_BYTES_MAX = 64 * 1024;

/** Opens the audit log at `path`, or creates it. Throws an Error when it cannot be read or written. */
export function openAudit(path: string, nowMs: number, log: Log, limits = AUDIT_LIMITS): AuditFile {
  try {
    const files = new AuditFiles(path, limits, log);
    const { hash, tornBytes } = files.mend();
    if (tornBytes === 0) return { append: (lines) => files.append(lines), hash };
    const detail = `${tornBytes} bytes without a whole line were removed; see ${basename(path)}.torn`;
    const entry = { atMs: Math.round(nowMs), bundle: '-', event: TORN_EVENT, epoch: 0, holder: null, detail };
    const line = auditLine(hash ?? AUDIT_START, entry);
    files.append(line.line);
    return { append: (lines) => files.append(lines), hash: line.hash };
  } catch (error) {
    throw new Error(`${path}: the audit log cannot be used: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Returns the files of a log, oldest first. `path`: its folder or current file, for all files; or one older file, for
 * it alone.
 */
export function auditFiles(path: string): string[] {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  const written = isFolder ? auditIn(path) : path;
  if (/-\d{8}\.jsonl$/.test(path)) return [path];
  return [...numbersOf(written).map((number) => numbered(written, number)), written];
}

class AuditFiles {
  readonly #path: string;
  readonly #limits: AuditLimits;
  readonly #log: Log;
  /** Numbers of older files, rising. */
  readonly #numbers: number[];
  #fd: number;
  /** Length of the file without what a failed write left behind. */
  #end: number;
  #isDirty = false;
  /** Torn tails that this start has kept for people, those of older files first. */
  readonly #torn: Buffer[] = [];

  constructor(path: string, limits: AuditLimits, log: Log) {
    this.#path = path;
    this.#limits = limits;
    this.#log = log;
    this.#numbers = numbersOf(path);
    this.#fd = openSync(path, 'a+', 0o600);
    this.#end = fstatSync(this.#fd).size;
  }

  /** Removes an incomplete line from the end of the log. Returns the hash of the last line, if there is one. */
  mend(): { hash: string | undefined; tornBytes: number } {
    if (this.#end === 0) return this.#mendOlder();
    const sound = lastSound(this.#fd, this.#end);
    const good = sound?.end ?? 0;
    const tornBytes = this.#end - good;
    if (tornBytes === 0) return { hash: sound?.hash, tornBytes };
    this.#keepTorn(this.#path, this.#fd, good, this.#end);
    // Before the file, which has no whole line, becomes an older one itself.
    const { hash, tornBytes: olderBytes } = sound ? { hash: sound.hash, tornBytes: 0 } : this.#mendOlder();
    if (!sound && this.#end > TORN_BYTES_MAX) this.#rotate();
    else {
      ftruncateSync(this.#fd, good);
      this.#end = good;
    }
    return { hash, tornBytes: tornBytes + olderBytes };
  }

  /** A crash may come just after a file was closed: then the end of the newest older file is repaired. */
  #mendOlder(): { hash: string | undefined; tornBytes: number } {
    const newest = this.#numbers.at(-1);
    if (newest === undefined) return { hash: undefined, tornBytes: 0 };
    const file = numbered(this.#path, newest);
    const fd = openSync(file, 'r+');
    try {
      const { size } = fstatSync(fd);
      const sound = lastSound(fd, size);
      const tornBytes = sound ? size - sound.end : 0;
      if (sound && tornBytes > 0) {
        this.#keepTorn(file, fd, sound.end, size);
        ftruncateSync(fd, sound.end);
      }
      return { hash: sound?.hash, tornBytes };
    } finally {
      closeSync(fd);
    }
  }

  /** Stores what is removed from a file, for people, together with what this start has removed from a later one. */
  #keepTorn(file: string, fd: number, from: number, to: number): void {
    this.#torn.unshift(read(fd, from, Math.min(to, from + TORN_BYTES_MAX)));
    writeFileSync(`${this.#path}.torn`, Buffer.concat(this.#torn), { mode: 0o600 });
    const words = from > 0 ? 'the part after its last whole line' : 'all of it, without a whole line,';
    this.#log('warn', `${file}: ${words} was removed, ${to - from} bytes; see ${this.#path}.torn`);
  }

  append(lines: string): void {
    const bytes = Buffer.from(lines, 'latin1');
    try {
      this.#restore();
      if (this.#end > 0 && this.#end + bytes.length > this.#limits.fileBytes) this.#rotate();
      this.#isDirty = true;
      for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done);
    } catch (error) {
      try {
        this.#restore();
      } catch {
        // Tried again before the next line.
      }
      throw new Error(`${this.#path} cannot be written: ${(error as Error).message}`, { cause: error });
    }
    this.#isDirty = false;
    this.#end += bytes.length;
  }

  /** A partial line in the middle would break the chain permanently. */
  #restore(): void {
    if (this.#isDirty) ftruncateSync(this.#fd, this.#end);
    this.#isDirty = false;
  }

  /** Begins the next file, and deletes those that are too old. */
  #rotate(): void {
    const number = (this.#numbers.at(-1) ?? 0) + 1;
    const older = numbered(this.#path, number);
    // First the steps that may fail on a full disk: until both names are right, the log is unchanged.
    const fresh = openSync(`${this.#path}.new`, 'a+', 0o600);
    try {
      renameSync(this.#path, older);
      renameSync(`${this.#path}.new`, this.#path);
    } catch (error) {
      closeSync(fresh);
      if (!existsSync(this.#path) && existsSync(older)) renameSync(older, this.#path);
      throw error;
    }
    this.#numbers.push(number);
    // A numbered file must also be whole after a power cut. Nothing waits for this fsync, and the event loop must not.
    const full = this.#fd;
    fsync(full, () => closeSync(full));
    this.#fd = fresh;
    this.#end = 0;
    while (this.#numbers.length > this.#limits.files) {
      rmSync(numbered(this.#path, this.#numbers[0]!), { force: true });
      this.#numbers.shift();
    }
  }
}

/** The last sound line of a file of `size` bytes. */
function lastSound(fd: number, size: number): { hash: string; end: number } | undefined {
  for (let bytes = TAIL_BYTES; ; bytes *= 4) {
    const from = Math.max(0, size - bytes);
    const sound = lastSoundLine(read(fd, from, size).toString('latin1'), from === 0);
    if (sound) return { hash: sound.hash, end: from + sound.end };
    if (from === 0 || bytes >= TAIL_BYTES_MAX) return undefined;
  }
}

function read(fd: number, from: number, to: number): Buffer {
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

/** The log in a folder. */
export function auditIn(folder: string): string {
  return join(folder, 'audit.jsonl');
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
