/**
 * The audit log as files (rotated-file.ts): `audit.jsonl` and older ones. The chain continues across them.
 *
 * A start reads only the end of the last file, so its duration does not grow with the log. Bytes after the last sound
 * line were left by a crash: they are moved aside, and an entry reports it. Earlier damage stays, for `baton audit
 * verify` to find.
 */

import { closeSync, fstatSync, ftruncateSync, openSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { AUDIT_START, auditLine, lastSoundLine, TORN_EVENT } from '../../../src/core/host/audit.ts';
import type { Log } from '../../../src/ports/world.ts';
import { filesOfLog, type LogLimits, RotatedFile, readBytes } from './rotated-file.ts';

/** An open audit log. */
export interface AuditFile {
  /** Appends whole lines. Throws an Error on failure; then none of them is in the file. */
  readonly append: (lines: string) => void;
  /** Hash of the last line; undefined when the chain starts anew. */
  readonly hash: string | undefined;
}

/** The log in a state folder. */
const NAME = 'audit.jsonl';
/** 36 MiB in all: at 7 lines of 250 bytes a handover, some 20,000 handovers. */
export const AUDIT_LIMITS: LogLimits = { fileBytes: 4 * 1024 * 1024, files: 8 };

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
    const file = new RotatedFile(path, limits);
    const append = (lines: string) => file.append(lines);
    const { hash, tornBytes } = new AuditTail(file, log).mend();
    if (tornBytes === 0) return { append, hash };
    const detail = `${tornBytes} bytes without a whole line were removed; see ${basename(path)}.torn`;
    const entry = { atMs: Math.round(nowMs), bundle: '-', event: TORN_EVENT, epoch: 0, holder: null, detail };
    const line = auditLine(hash ?? AUDIT_START, entry);
    file.append(line.line);
    return { append, hash: line.hash };
  } catch (error) {
    throw new Error(`${path}: the audit log cannot be used: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Returns the files of an audit log, oldest first. `path`: its folder or current file, for all files; or one older
 * file, for it alone.
 */
export function auditFiles(path: string): string[] {
  return filesOfLog(path, NAME);
}

class AuditTail {
  readonly #file: RotatedFile;
  readonly #log: Log;
  /** Torn tails that this start has kept for people, those of older files first. */
  readonly #torn: Buffer[] = [];

  constructor(file: RotatedFile, log: Log) {
    this.#file = file;
    this.#log = log;
  }

  /** Removes an incomplete line from the end of the log. Returns the hash of the last line, if there is one. */
  mend(): { hash: string | undefined; tornBytes: number } {
    const { fd, end, path } = this.#file;
    if (end === 0) return this.#mendOlder();
    const sound = lastSound(fd, end);
    const good = sound?.end ?? 0;
    const tornBytes = end - good;
    if (tornBytes === 0) return { hash: sound?.hash, tornBytes };
    this.#keepTorn(path, fd, good, end);
    // Before the file, which has no whole line, becomes an older one itself.
    const { hash, tornBytes: olderBytes } = sound ? { hash: sound.hash, tornBytes: 0 } : this.#mendOlder();
    if (!sound && end > TORN_BYTES_MAX) this.#file.rotate();
    else this.#file.cut(good);
    return { hash, tornBytes: tornBytes + olderBytes };
  }

  /** A crash may come just after a file was closed: then the end of the newest older file is repaired. */
  #mendOlder(): { hash: string | undefined; tornBytes: number } {
    const file = this.#file.newestOlder;
    if (file === undefined) return { hash: undefined, tornBytes: 0 };
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
    this.#torn.unshift(readBytes(fd, from, Math.min(to, from + TORN_BYTES_MAX)));
    writeFileSync(`${this.#file.path}.torn`, Buffer.concat(this.#torn), { mode: 0o600 });
    const words = from > 0 ? 'the part after its last whole line' : 'all of it, without a whole line,';
    this.#log('warn', `${file}: ${words} was removed, ${to - from} bytes; see ${this.#file.path}.torn`);
  }
}

/** The last sound line of a file of `size` bytes. */
function lastSound(fd: number, size: number): { hash: string; end: number } | undefined {
  for (let bytes = TAIL_BYTES; ; bytes *= 4) {
    const from = Math.max(0, size - bytes);
    const sound = lastSoundLine(readBytes(fd, from, size).toString('latin1'), from === 0);
    if (sound) return { hash: sound.hash, end: from + sound.end };
    if (from === 0 || bytes >= TAIL_BYTES_MAX) return undefined;
  }
}

/** The log in a folder. */
export function auditIn(folder: string): string {
  return join(folder, NAME);
}
