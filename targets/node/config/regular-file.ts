/** Reads files that may be anything: never waits for a pipe or a device, and never reads more than asked. */

import { Buffer } from 'node:buffer';
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';

/** Bytes that are asked for at once behind the size that a file says it has. */
const CHUNK_BYTES = 64 << 10;

/** The start of a file. */
export interface FileStart {
  readonly bytes: Uint8Array;
  /** Whether that is all of it. */
  readonly isWhole: boolean;
}

/**
 * Reads at most `bytesMax` bytes from the start of a regular file. A link is followed only when `follow` says so.
 * Throws an Error of the system, or `expected` when there is something other than a regular file.
 */
export function readStart(
  path: string,
  bytesMax: number,
  { follow, expected }: { readonly follow: boolean; readonly expected: string },
): FileStart {
  // A device may act on being opened, so it is looked at first.
  if (follow && !statSync(path).isFile()) throw new Error(expected);
  // Between the two looks it may have become a pipe.
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
  const file = openSync(path, flags | (follow ? 0 : constants.O_NOFOLLOW));
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) throw new Error(expected);
    // Files of the kernel may say that they have no bytes.
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
