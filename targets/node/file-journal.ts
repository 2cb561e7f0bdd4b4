/**
 * A journal in a file (journal/format.ts has the bytes). Appends are one write; durable ones add an fdatasync.
 *
 * A rewrite goes to a new file that replaces the old one, so a crash leaves the old or the new, never a mixture.
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
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { encodeRecord, JOURNAL_MAGIC, readJournal } from '../../src/journal/format.ts';
import type { Journal } from '../../src/ports.ts';

/** A journal that cannot be used, with what to do. */
export class JournalError extends Error {}

/** Opens the journal at `path`, or makes a new one. Throws a JournalError when the file is not a sound journal. */
export function openFileJournal(path: string): Journal {
  mkdirSync(dirname(path), { recursive: true });
  const isNew = !existsSync(path);
  const read = readJournal(isNew ? new Uint8Array(0) : readFileSync(path));
  if (!read.ok) {
    throw new JournalError(`${path}: ${read.error}; move the file away to start without it`);
  }
  let fd = openSync(path, isNew ? 'wx+' : 'r+', 0o600);
  let next = read.nextSequence;
  if (read.goodBytes < JOURNAL_MAGIC.length) {
    ftruncateSync(fd, 0);
    writeAt(fd, JOURNAL_MAGIC, 0);
    syncFolder(path);
  } else ftruncateSync(fd, read.goodBytes);
  let end = Math.max(read.goodBytes, JOURNAL_MAGIC.length);
  return {
    records: read.bodies,
    append: (body, sync) => {
      const record = encodeRecord(next, body);
      writeAt(fd, record, end);
      if (sync) fdatasyncSync(fd);
      next += 1;
      end += record.length;
    },
    rewrite: (bodies) => {
      const fresh = openSync(`${path}.new`, 'w', 0o600);
      const whole = Buffer.concat([JOURNAL_MAGIC, ...bodies.map((body, i) => encodeRecord(i, body))]);
      writeAt(fresh, whole, 0);
      fsyncSync(fresh);
      renameSync(`${path}.new`, path);
      syncFolder(path);
      closeSync(fd);
      fd = fresh;
      next = bodies.length;
      end = whole.length;
    },
    close: () => closeSync(fd),
  };
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
