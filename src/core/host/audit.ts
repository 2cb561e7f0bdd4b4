/**
 * The audit log: append-only JSON lines, each chained to the one before by SHA-256.
 *
 * Pure: makes and checks lines; the driver writes them. A changed, removed or inserted line breaks the chain there.
 * The chain alone does not reveal a tail that was cut off: compare the last hash (printed by `baton status`) with a
 * copy kept elsewhere.
 */

import { asciiBytes, hex } from '../wire/bytes.ts';
import { sha256 } from '../wire/hash.ts';

/** The content of one line. */
export interface AuditEntry {
  /** Milliseconds of the host's monotonic clock. */
  readonly atMs: number;
  readonly bundle: string;
  readonly event: string;
  readonly epoch: number;
  readonly holder: string | null;
  readonly detail?: string | undefined;
}

/** Hash before the first line. */
export const AUDIT_START = '0'.repeat(64);

/** Event of the line after one that a crash truncated. */
export const TORN_EVENT = 'tailLost';
/** Event of a line that replaces lines which could not be written and exceeded the buffer. */
export const SKIPPED_EVENT = 'linesLost';

/** Event of a line that replaces lines beyond a VM's share. */
export const OVER_SHARE_EVENT = 'linesOverShare';
/** Longest detail written in full, in characters. It bounds how much of the log one text can fill. */
const DETAIL_MAX = 512;
/** Longest line, in characters: a detail with six characters for each one, and 400 more. */
export const AUDIT_LINE_MAX = 4_096;
/** Number of losses whose line numbers are kept. */
const LOSSES_MAX = 100;

/** A line with its newline, and its hash, which the next line contains. */
export interface AuditLine {
  readonly line: string;
  readonly hash: string;
}

/** Returns the line for `entry` after the line with hash `previous`. */
export function auditLine(previous: string, entry: AuditEntry): AuditLine {
  const { detail } = entry;
  const clipped = detail && detail.length > DETAIL_MAX ? { detail: `${detail.slice(0, DETAIL_MAX)}…` } : {};
  const body = asciiJson({ previous, ...entry, ...clipped });
  const hash = hex(sha256(asciiBytes(body)));
  return { line: `${body.slice(0, -1)},"hash":"${hash}"}\n`, hash };
}

/** Checks a log line by line, in constant memory. */
export class AuditChecker {
  lines = 0;
  /** Hash of the last line. */
  hash = AUDIT_START;
  /** `previous` of the first checked line: AUDIT_START when the log begins here. */
  begins: string | undefined;
  /** Numbers of the lines that report a loss. Only the first LOSSES_MAX are kept. */
  readonly losses: number[] = [];

  /** Takes the next line, without its newline. Returns what is wrong with it; then give it no further lines. */
  next(line: string): string | undefined {
    this.lines += 1;
    const link = linkOf(line);
    if (typeof link === 'string') return link;
    this.begins ??= link.previous;
    if (this.lines > 1 && link.previous !== this.hash)
      return 'the line before was changed, removed or inserted';
    this.hash = link.hash;
    if (LOSS.test(line) && this.losses.length < LOSSES_MAX) this.losses.push(this.lines);
    return undefined;
  }
}

/**
 * Finds the last valid line in `tail`, the end of a log. `isWhole`: `tail` starts with the first byte of a line.
 * Returns the line's hash and the offset behind the line; undefined when no line is valid.
 */
export function lastSoundLine(tail: string, isWhole: boolean): { hash: string; end: number } | undefined {
  let end = tail.lastIndexOf('\n');
  while (end > 0) {
    const start = tail.lastIndexOf('\n', end - 1) + 1;
    if (start === 0 && !isWhole) return undefined;
    const link = linkOf(tail.slice(start, end));
    if (typeof link !== 'string') return { hash: link.hash, end: end + 1 };
    end = start - 1;
  }
  return undefined;
}

/** Returns the hash of the previous line and the line's own hash, or what is wrong with the line. */
function linkOf(line: string): { previous: string; hash: string } | string {
  if (line.length > AUDIT_LINE_MAX) return `longer than ${AUDIT_LINE_MAX} characters`;
  const match = LINE.exec(line);
  if (!match) return 'not a line of an audit log';
  const [, body, previous, hash] = match as unknown as [string, string, string, string];
  if (/[^\x20-\x7e]/.test(line)) return 'not ASCII';
  if (hex(sha256(asciiBytes(`${body}}`))) !== hash) return 'the line was changed: its hash does not fit';
  return { previous, hash };
}

const LINE = /^(\{"previous":"([0-9a-f]{64})".*),"hash":"([0-9a-f]{64})"\}$/;

/** The fields before `event` are names and numbers, which contain no quotes or commas. */
const LOSS = new RegExp(`^[^,]*,[^,]*,[^,]*,"event":"(${TORN_EVENT}|${SKIPPED_EVENT}|${OVER_SHARE_EVENT})"`);

/** Returns JSON in ASCII: a hash does not depend on a text encoding, and no character misleads a reader. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
