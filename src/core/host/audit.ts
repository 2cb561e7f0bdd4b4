/**
 * The audit log: append-only JSON lines, each chained to the one before by SHA-256.
 *
 * Pure: makes and checks lines; the driver writes them. A line that was changed, removed or put in breaks the
 * chain there. A tail that was cut off does not show in the chain alone: compare the last hash with a copy that
 * is kept elsewhere (`baton status` prints it).
 */

import { asciiBytes } from '../wire/bytes.ts';
import { sha256 } from '../wire/hash.ts';

/** What one line says. */
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

/** Event of a line that stands after one that a crash cut off. */
export const TORN_EVENT = 'tailLost';
/** Event of a line that stands for others, which could not be written and became too many to keep. */
export const SKIPPED_EVENT = 'linesLost';

/** Event of a line that stands for others, which a VM caused beyond its share. */
export const OVER_SHARE_EVENT = 'linesOverShare';
/**
 * Longest detail that is written whole, in characters: what is longer is a text of somebody who wants to fill the
 * log.
 */
const DETAIL_MAX = 512;
/** Longest line, in characters: a detail of which each character takes six, and 400 more. */
export const AUDIT_LINE_MAX = 4_096;
/** Losses whose line numbers are kept. */
const LOSSES_MAX = 100;

/** A line with its newline, and the hash the next line is chained to. */
export interface AuditLine {
  readonly line: string;
  readonly hash: string;
}

/** Makes the line for `entry` after the line whose hash is `previous`. */
export function auditLine(previous: string, entry: AuditEntry): AuditLine {
  const { detail } = entry;
  const clipped = detail && detail.length > DETAIL_MAX ? { detail: `${detail.slice(0, DETAIL_MAX)}…` } : {};
  const body = asciiJson({ previous, ...entry, ...clipped });
  const hash = hex(sha256(asciiBytes(body)));
  return { line: `${body.slice(0, -1)},"hash":"${hash}"}\n`, hash };
}

/** Checks lines of a log one by one, so that a log of any length takes no more memory than a line. */
export class AuditChecker {
  lines = 0;
  /** Hash of the last line. */
  hash = AUDIT_START;
  /** Hash of the line before the first one that was checked: AUDIT_START when the log begins here. */
  begins: string | undefined;
  /** Numbers of the lines that say that lines before them were lost. Only the first ones are kept. */
  readonly losses: number[] = [];

  /**
   * Takes the next line, without its newline. Returns what is wrong with it. Lines after a wrong one are not to be
   * given.
   */
  next(line: string): string | undefined {
    this.lines += 1;
    const link = linkOf(line);
    if (typeof link === 'string') return link;
    this.begins ??= link.previous;
    if (this.lines > 1 && link.previous !== this.hash)
      return 'the line before was changed, removed or put in';
    this.hash = link.hash;
    if (LOSS.test(line) && this.losses.length < LOSSES_MAX) this.losses.push(this.lines);
    return undefined;
  }
}

/**
 * Finds the last sound line in `tail`, the end of a log. `isWhole`: it starts with the first byte of a line. Returns
 * its hash and where what comes after it starts; undefined when no line in it is sound.
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

/**
 * What a line is chained to and by which hash the next one is chained to it; what is wrong with it when it is no
 * sound line.
 */
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

/** What stands before `event` in a line is a name and a number: nobody puts quotes there. */
const LOSS = new RegExp(`^[^,]*,[^,]*,[^,]*,"event":"(${TORN_EVENT}|${SKIPPED_EVENT}|${OVER_SHARE_EVENT})"`);

/** JSON in ASCII, so that the hash does not depend on a text encoding. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
