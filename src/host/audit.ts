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

/** A line with its newline, and the hash the next line is chained to. */
export interface AuditLine {
  readonly line: string;
  readonly hash: string;
}

/** Makes the line for `entry` after the line whose hash is `previous`. */
export function auditLine(previous: string, entry: AuditEntry): AuditLine {
  const body = asciiJson({ previous, ...entry });
  const hash = hex(sha256(asciiBytes(body)));
  return { line: `${body.slice(0, -1)},"hash":"${hash}"}\n`, hash };
}

/** What checking a log came to. */
export type AuditCheck =
  | {
      readonly ok: true;
      readonly lines: number;
      readonly hash: string;
      /** Numbers of the lines that say that lines before them were lost. */
      readonly losses: readonly number[];
    }
  | { readonly ok: false; readonly line: number; readonly error: string };

/** Checks a whole log. Line numbers start at 1. */
export function verifyAudit(log: string): AuditCheck {
  let previous = AUDIT_START;
  const losses: number[] = [];
  const lines = log.split('\n');
  if (lines.at(-1) === '') lines.pop();
  for (const [index, line] of lines.entries()) {
    const match = /^(.*),"hash":"([0-9a-f]{64})"\}$/.exec(line);
    const fail = (error: string): AuditCheck => ({ ok: false, line: index + 1, error });
    if (!match) return fail('not a line of an audit log');
    const body = `${match[1]}}`;
    if (/[^\x20-\x7e]/.test(line)) return fail('not ASCII');
    if (hex(sha256(asciiBytes(body))) !== match[2])
      return fail('the line was changed: its hash does not fit');
    if (!body.startsWith(`{"previous":"${previous}"`))
      return fail('the line before was changed, removed or put in');
    previous = match[2]!;
    if (LOSS.test(line)) losses.push(index + 1);
  }
  return { ok: true, lines: lines.length, hash: previous, losses };
}

/** What stands before `event` in a line is a name and a number: nobody puts quotes there. */
const LOSS = new RegExp(`^[^,]*,[^,]*,[^,]*,"event":"(${TORN_EVENT}|${SKIPPED_EVENT})"`);

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
