/**
 * Reads regular files at paths from outside: never waits for a pipe or a device, and never reads more than requested.
 */

import { Buffer } from 'node:buffer';
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';

/** Bytes per read beyond the reported size of a file. */
const CHUNK_BYTES = 64 << 10;

/** The start of a file. */
export interface FileStart {
  readonly bytes: Uint8Array;
  /** Whether these are all bytes of the file. */
  readonly isWhole: boolean;
}

/**
 * Reads at most `bytesMax` bytes from the start of a regular file. Follows a link only with `follow`. Throws a system
 * error, or `expected` if the path is not a regular file.
 */
export function readStart(
  path: string,
  bytesMax: number,
  { follow, expected }: { readonly follow: boolean; readonly expected: string },
): FileStart {
  // Checked before it is opened: opening a device may have an effect.
  if (follow && !statSync(path).isFile()) throw new Error(expected);
  // It may have been replaced by a pipe since the first check.
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
  const file = openSync(path, flags | (follow ? 0 : constants.O_NOFOLLOW));
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) throw new Error(expected);
    // Files of the kernel may report a size of 0.
    const parts: Buffer[] = [];
    let total = 0;
    for (let wanted = stat.size + 1; ; wanted = CHUNK_BYTES) {
      const part = Buffer.alloc(Math.min(wanted, bytesMax + 1 - total));
      const read = readSync(file, part, 0, part.length, null);
      if (read > 0) parts.push(part.subarray(0, read));
      total += read;
      if (read === 0 || total > bytesMax) break;
    }
    const all = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    return { bytes: all.subarray(0, bytesMax), isWhole: total <= bytesMax };
  } finally {
    closeSync(file);
  }
}
