/** `baton audit verify`: checks the chain of an audit log, without a daemon. */

import { AUDIT_LINE_MAX, AUDIT_START, AuditChecker } from '../../core/host/audit.ts';
import { parseWords } from '../arguments.ts';
import type { Verb } from '../verb.ts';
import { type CliWorld, EXIT, UsageError } from '../world.ts';

const HELP = `baton audit verify PATH

Checks the hash chain of an audit log and prints its last hash. Compare that hash with a copy kept elsewhere: the
chain alone does not show that its end was cut off. PATH is the state folder of a host, or the log in it (audit.jsonl):
then all files of the log are checked as one chain. Or PATH is one older file, which is checked alone.

  --json  one object: ok, files, lines, hash, begins, losses; or the first fault: file, line, error
`;

/** Access to a log on disk. */
export interface AuditLog {
  /** The files of a log, oldest first: of a folder, of the current file, or one older file alone. */
  readonly files: (path: string) => readonly string[];
  /** Reads a file of any length in chunks, one byte per character. Throws a ConfigError. */
  readonly readParts: (file: string) => Iterable<string>;
}

export function audit(world: CliWorld, log: AuditLog, args: readonly string[]): number {
  const { plain, flags } = parseWords(args, {});
  const [verb, path] = plain;
  if (verb !== 'verify')
    throw new UsageError(
      `audit has one command, verify${verb === undefined ? '' : `, and no ${JSON.stringify(verb)}`}`,
    );
  if (path === undefined) throw new UsageError('audit verify takes one PATH');
  const found = verify(log, path);
  if (flags.has('--json')) world.out(JSON.stringify(found));
  else if (!found.ok) world.out(`${found.file}${found.line === 0 ? '' : `:${found.line}`}: ${found.error}`);
  else {
    const words = found.files.length > 1 ? ` in ${found.files.length} files` : '';
    world.out(`${path}: ${found.lines} lines${words}, chain intact, last hash ${found.hash}`);
    if (found.begins !== AUDIT_START)
      world.out(`${path}: begins after hash ${found.begins}; earlier lines are not in this log`);
    for (const loss of found.losses)
      world.out(`${loss}: the host reports here that lines before this one were lost`);
  }
  return found.ok ? EXIT.ok : EXIT.failed;
}

type Found =
  | {
      readonly ok: true;
      readonly files: readonly string[];
      readonly lines: number;
      readonly hash: string;
      /** Hash of the line before the first one. */
      readonly begins: string;
      /** `FILE:LINE` of lines that report lost lines. */
      readonly losses: readonly string[];
    }
  | { readonly ok: false; readonly file: string; readonly line: number; readonly error: string };

/** An older file of a log, by its number. */
const NUMBER = /-(\d{8})\.jsonl$/;

function verify(log: AuditLog, path: string): Found {
  const files = log.files(path);
  const checker = new AuditChecker();
  const losses: string[] = [];
  for (const [index, file] of files.entries()) {
    const wrong = index > 0 ? missingBefore(files[index - 1]!, file) : undefined;
    if (wrong !== undefined) return { ok: false, file, line: 0, error: wrong };
    const before = checker.lines;
    const known = checker.losses.length;
    const error = checkFile(log, file, checker);
    const line = checker.lines - before;
    if (error !== undefined) return { ok: false, file, line, error };
    losses.push(...checker.losses.slice(known).map((number) => `${file}:${number - before}`));
  }
  const { lines, hash, begins = AUDIT_START } = checker;
  // Older files are deleted first, so a log that still has file 1 is complete.
  const isFirst = files.length > 1 ? Number(NUMBER.exec(files[0]!)?.[1]) === 1 : !NUMBER.test(files[0] ?? '');
  if (isFirst && begins !== AUDIT_START)
    return { ok: false, file: files[0]!, line: 1, error: 'lines before this one were removed' };
  return { ok: true, files, lines, hash, begins, losses };
}

/** Returns why `file` cannot follow `before` in a log; undefined when it can. */
function missingBefore(before: string, file: string): string | undefined {
  const number = Number(NUMBER.exec(before)?.[1]) + 1;
  const next = NUMBER.exec(file)?.[1];
  if (next === undefined || Number(next) === number) return undefined;
  return `the file before it is missing: after ${before} number ${number} is expected`;
}

/** Passes the lines of a file to the checker. */
function checkFile(log: AuditLog, file: string, checker: AuditChecker): string | undefined {
  let rest = '';
  for (const part of log.readParts(file)) {
    const lines = (rest + part).split('\n');
    rest = lines.pop()!;
    if (rest.length > AUDIT_LINE_MAX) lines.push(rest.slice(0, AUDIT_LINE_MAX + 1));
    for (const line of lines) {
      const error = checker.next(line);
      if (error !== undefined) return error;
    }
  }
  return rest === '' ? undefined : (checker.next(rest) ?? 'the line has no end');
}

/** The verb, over the files of this target. */
export function auditVerb(log: AuditLog): Verb {
  return { says: 'check an audit log', help: HELP, alone: (world, args) => audit(world, log, args) };
}
