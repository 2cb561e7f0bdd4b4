/**
 * A journal in a file (journal/format.ts has the bytes). Appends are one write; durable ones add an fdatasync.
 *
 * A rewrite goes to a new file that replaces the old one, so a crash leaves the old or the new, never a mixture.
 */

import { Buffer } from 'node:buffer';
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
import { encodeRecord, JOURNAL_MAGIC, readJournal } from '../../src/journal/format.ts';
import type { Journal } from '../../src/ports.ts';

/** A journal that cannot be used, with what to do. */
export class JournalError extends Error {}

/**
 * Opens the journal at `path`, or makes a new one. `whole`: only with its first records, so that a file without any was
 * damaged. Throws a JournalError when the file is not a sound journal.
 */
export function openFileJournal(path: string, how: 'empty' | 'whole' = 'empty'): Journal {
  mkdirSync(dirname(path), { recursive: true });
  const isThere = existsSync(path);
  const read = readJournal(isThere ? readFileSync(path) : new Uint8Array(0));
  if (!read.ok) {
    throw new JournalError(`${path}: ${read.error}; move the file away to start without it`);
  }
  let fd = isThere || how === 'empty' ? openSync(path, isThere ? 'r+' : 'wx+', 0o600) : undefined;
  let next = read.nextSequence;
  if (fd !== undefined && read.goodBytes < JOURNAL_MAGIC.length) {
    ftruncateSync(fd, 0);
    writeAt(fd, JOURNAL_MAGIC, 0);
    syncFolder(path);
  } else if (fd !== undefined) ftruncateSync(fd, read.goodBytes);
  let end = Math.max(read.goodBytes, JOURNAL_MAGIC.length);
  /** Set while there may be something behind `end`: part of a record that could not be written, or all of one. */
  let isDirty = false;
  const append = (body: Uint8Array, sync: boolean) => {
    if (fd === undefined) return rewrite([body]);
    const record = encodeRecord(next, body);
    // A longer record that failed would stick out behind this one, and the file would be refused for it.
    if (isDirty) ftruncateSync(fd, end);
    isDirty = true;
    writeAt(fd, record, end);
    if (sync) fdatasyncSync(fd);
    isDirty = false;
    next += 1;
    end += record.length;
  };
  const rewrite = (bodies: readonly Uint8Array[]) => {
    const whole = Buffer.concat([JOURNAL_MAGIC, ...bodies.map((body, i) => encodeRecord(i, body))]);
    const fresh = replace(path, whole);
    if (fd !== undefined) closeSync(fd);
    fd = fresh;
    isDirty = false;
    next = bodies.length;
    end = whole.length;
    // From here on the new file is the journal, even if its name is not known to be durable.
    syncFolder(path);
  };
  return {
    records: read.bodies,
    append: (body, sync) => told(path, () => append(body, sync)),
    rewrite: (bodies) => told(path, () => rewrite(bodies)),
    close: () => {
      if (fd !== undefined) closeSync(fd);
    },
  };
}

/** Writes a new file in place of the one at `path`; returns its descriptor. On an error the old one stays. */
function replace(path: string, whole: Uint8Array): number {
  const fresh = openSync(`${path}.new`, 'w', 0o600);
  try {
    writeAt(fresh, whole, 0);
    fsyncSync(fresh);
    renameSync(`${path}.new`, path);
    return fresh;
  } catch (error) {
    closeSync(fresh);
    // What it took of a full disk is given back.
    rmSync(`${path}.new`, { force: true });
    throw error;
  }
}

/** An error of the system becomes a JournalError that names the file. */
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

/** Makes the name of a new file durable. */
function syncFolder(path: string): void {
  const folder = openSync(dirname(path), 'r');
  fsyncSync(folder);
  closeSync(folder);
}
