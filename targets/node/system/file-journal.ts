/**
 * A journal in a file (drivers/journal/format.ts has the bytes). Appends are one write; durable ones add an fdatasync.
 *
 * A rewrite goes to a new file that replaces the old one, so that a crash leaves either the old or the new one.
 */

import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import {
  encodeJournal,
  encodeRecord,
  JOURNAL_ID_BYTES,
  type JournalRead,
  readJournal,
} from '../../../src/drivers/journal/format.ts';
import type { Journal, Log } from '../../../src/ports/world.ts';
import { ENTROPY } from './entropy.ts';
import { attempt } from './processes.ts';

/** An unusable journal. The message says what to do. */
export class JournalError extends Error {}

/**
 * Opens the journal at `path`, or begins a new one, whose file the first record creates. A torn tail is dropped: the
 * first record then writes a new file. Throws a JournalError when the file is not a sound journal.
 */
export function openFileJournal(path: string): Journal {
  mkdirSync(dirname(path), { recursive: true });
  const read = existsSync(path) ? readJournal(readFileSync(path)) : undefined;
  if (read?.ok === false) {
    throw new JournalError(`${path}: ${read.error}; move the file away to start without it`);
  }
  return fileJournal(path, read);
}

/** `read`: contents of an existing file; undefined for a new one. */
function fileJournal(path: string, read: Extract<JournalRead, { ok: true }> | undefined): Journal {
  const records = read?.bodies ?? [];
  let id = read?.id;
  let fd = read?.tornBytes === 0 ? openSync(path, 'r+', 0o600) : undefined;
  let next = read?.nextSequence ?? 0;
  let end = read?.goodBytes ?? 0;
  /**
   * Length of the file that is known to be durable. Once synced, this includes the records of earlier runs; otherwise
   * damage to them would count as a torn tail until this run has written a second record.
   */
  let durableBytes = fd === undefined || attempt(() => fdatasyncSync(fd!) ?? true) === undefined ? 0 : end;
  /** Set while there may be bytes behind `end`: all or part of a record whose write failed. */
  let isDirty = false;
  const append = (body: Uint8Array, sync: boolean) => {
    if (fd === undefined || id === undefined) return rewrite([...records, body], sync);
    const record = encodeRecord(id, next, durableBytes, body);
    // A longer record that failed would extend beyond this one.
    if (isDirty) ftruncateSync(fd, end);
    isDirty = true;
    writeAt(fd, record, end);
    if (sync) fdatasyncSync(fd);
    isDirty = false;
    next += 1;
    end += record.length;
    if (sync) durableBytes = end;
  };
  const rewrite = (bodies: readonly Uint8Array[], sync: boolean) => {
    const freshId = ENTROPY.random(JOURNAL_ID_BYTES);
    const whole = encodeJournal(freshId, bodies);
    const fresh = replace(path, whole, sync);
    id = freshId;
    if (fd !== undefined) closeSync(fd);
    fd = fresh;
    isDirty = false;
    next = bodies.length + 1;
    end = whole.length;
    durableBytes = sync ? end : 0;
    // From here on the new file is the journal, even if its name may not be durable yet.
    if (sync) syncFolder(path);
  };
  return {
    records,
    append: (body, sync) => told(path, () => append(body, sync)),
    rewrite: (bodies, sync = true) => told(path, () => rewrite(bodies, sync)),
    close: () => {
      if (fd !== undefined) closeSync(fd);
    },
  };
}

/**
 * Opens a journal that is only for people. A damaged or unreadable one is moved aside, replacing the one moved before,
 * and a new one begins. Throws nothing.
 */
export function openSpareJournal(path: string, log: Log): Journal {
  try {
    return openFileJournal(path);
  } catch (error) {
    const aside = `${path}.broken`;
    const words =
      attempt(() => renameSync(path, aside) ?? `it was renamed to ${aside}`) ?? 'it was not renamed';
    log('error', `${(error as Error).message.replace(/; move.*/, '')}; ${words}, and a new journal begins`);
    return fileJournal(path, undefined);
  }
}

/** Replaces the file at `path` by a new one; returns its descriptor. On an error the old one stays. */
function replace(path: string, whole: Uint8Array, sync: boolean): number {
  const fresh = openSync(`${path}.new`, 'w', 0o600);
  try {
    writeAt(fresh, whole, 0);
    if (sync) fsyncSync(fresh);
    renameSync(`${path}.new`, path);
    return fresh;
  } catch (error) {
    closeSync(fresh);
    // Frees the space that it took on a full disk.
    rmSync(`${path}.new`, { force: true });
    throw error;
  }
}

/** Turns a system error into a JournalError that names the file. */
function told(path: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    throw new JournalError(`${path} cannot be written: ${(error as Error).message}`, { cause: error });
  }
}

function writeAt(fd: number, bytes: Uint8Array, at: number): void {
  for (let done = 0; done < bytes.length; )
    done += writeSync(fd, bytes, done, bytes.length - done, at + done);
}

/** Makes the name of a new file durable, by an fsync of its folder. */
function syncFolder(path: string): void {
  const folder = openSync(dirname(path), 'r');
  fsyncSync(folder);
  closeSync(folder);
}
