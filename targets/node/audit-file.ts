/**
 * The audit log as a file. A line that a crash cut off is moved aside, so that the chain goes on from the last good
 * one, with an entry that says so; a log that is broken elsewhere is left for people to look at.
 */

import {
  appendFileSync,
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  writeSync,
} from 'node:fs';
import { AUDIT_START, auditLine, TORN_EVENT, verifyAudit } from '../../src/host/audit.ts';
import type { Log } from '../../src/ports.ts';

/** An audit log that is being written. */
export interface AuditFile {
  /** Appends whole lines; throws an Error when it cannot, and then none of them is in the file. */
  readonly append: (lines: string) => void;
  /** Hash of the last line; undefined when the chain starts anew. */
  readonly hash: string | undefined;
}

const NEWLINE = 0x0a;

/** Opens the audit log at `path`, or makes a new one. Throws an Error when it cannot be read or written. */
export function openAudit(path: string, nowMs: number, log: Log): AuditFile {
  const fd = openSync(path, 'a+', 0o600);
  try {
    const { good, torn } = split(readFileSync(path));
    const check = verifyAudit(good.toString('latin1'));
    if (torn.length > 0) {
      appendFileSync(`${path}.torn`, torn, { mode: 0o600 });
      ftruncateSync(fd, good.length);
      log(
        'warn',
        `${path}: its last line was cut off and is lost; the ${torn.length} bytes are in ${path}.torn`,
      );
    }
    if (!check.ok) log('error', `${path}:${check.line}: ${check.error}; the chain starts anew after it`);
    const last = check.ok && check.lines > 0 ? check.hash : undefined;
    const append = appender(path, fd);
    if (torn.length === 0) return { append, hash: last };
    const detail = `${torn.length} bytes of a line that was cut off are in ${path}.torn`;
    const entry = { atMs: Math.round(nowMs), bundle: '-', event: TORN_EVENT, epoch: 0, holder: null, detail };
    const { line, hash } = auditLine(last ?? AUDIT_START, entry);
    append(line);
    return { append, hash };
  } catch (error) {
    closeSync(fd);
    throw new Error(`${path}: the audit log cannot be used: ${(error as Error).message}`, { cause: error });
  }
}

/** Each line is written with its newline: what comes after the last one was cut off. */
function split(bytes: Buffer): { good: Buffer; torn: Buffer } {
  const end = bytes.lastIndexOf(NEWLINE) + 1;
  return { good: bytes.subarray(0, end), torn: bytes.subarray(end) };
}

function appender(path: string, fd: number): (lines: string) => void {
  /** Length of the file without what a failed write left behind. */
  let end = fstatSync(fd).size;
  let isDirty = false;
  /** Part of a line in the middle would break the chain for good. */
  const mend = () => {
    if (isDirty) ftruncateSync(fd, end);
    isDirty = false;
  };
  return (lines) => {
    const bytes = Buffer.from(lines, 'latin1');
    try {
      mend();
      isDirty = true;
      for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
    } catch (error) {
      try {
        mend();
      } catch {
        // It is tried again before the next line.
      }
      throw new Error(`${path} cannot be written: ${(error as Error).message}`, { cause: error });
    }
    isDirty = false;
    end += bytes.length;
  };
}
