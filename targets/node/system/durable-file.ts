/**
 * One small record in a file that outlives a power cut. Node's threads write it, so that the event loop never waits for
 * the disk.
 */

import { close, fsync, open, readFileSync, rename, write } from 'node:fs';
import { dirname } from 'node:path';
import type { DurableRecord } from '../../../src/ports/world.ts';
import { attempt } from './processes.ts';

/** Longest record that is read, in bytes. */
const RECORD_BYTES_MAX = 4_096;

/** Opens the record at `path`. Throws nothing: a missing or unreadable record counts as not found. */
export function durableFile(path: string): DurableRecord {
  const bytes = attempt(() => readFileSync(path));
  return {
    found: bytes && bytes.length <= RECORD_BYTES_MAX ? bytes : undefined,
    write: (record, done) =>
      replace(path, record, (error) => {
        done(error ? `${path} cannot be written: ${error.message}` : undefined);
      }),
  };
}

/** Writes a new file, makes it durable, renames it over the old one, and makes the name durable. */
function replace(path: string, record: Uint8Array, done: (error: Error | null) => void): void {
  const fresh = `${path}.new`;
  writeDurably(fresh, 'w', record, (failed) => {
    if (failed) return done(failed);
    rename(fresh, path, (unnamed) => {
      if (unnamed) return done(unnamed);
      writeDurably(dirname(path), 'r', undefined, done);
    });
  });
}

/** Opens a file or folder, writes `record` if given, and makes it durable. */
function writeDurably(
  path: string,
  flags: 'w' | 'r',
  record: Uint8Array | undefined,
  done: (error: Error | null) => void,
): void {
  open(path, flags, 0o600, (unopened, fd) => {
    if (unopened) return done(unopened);
    const end = (error: Error | null) => close(fd, (unclosed) => done(error ?? unclosed ?? null));
    const sync = () => fsync(fd, end);
    if (!record) return sync();
    write(fd, record, (failed, written) => {
      if (failed) return end(failed);
      if (written < record.length)
        return end(new Error(`only ${written} of ${record.length} bytes were written`));
      sync();
    });
  });
}
