/**
 * What the command line needs of its runtime, and the words that all commands share. No runtime API here.
 */

import type { ConfigFiles } from '../config/follow.ts';
import type { Json } from '../control/lines.ts';
import { plainText } from '../plain-text.ts';

/** A connection to a control socket. */
export interface ControlClient {
  /** Sends a request; resolves with its answer, whatever it is. Rejects when the connection ends first. */
  request(request: Json): Promise<Json>;
  /** Sets the one listener for events. */
  onEvent(listener: (event: Json) => void): void;
  /** Resolves when the connection has ended. */
  readonly ended: Promise<string>;
  close(): void;
}

/** A child process. */
export interface Child {
  /** Exit status, or 128 + signal number. */
  readonly ended: Promise<number>;
  /** Signals it, and what it started, where it has no terminal. */
  signal(name: 'SIGTERM' | 'SIGKILL' | 'SIGINT'): void;
}

/** What a target gives the commands. */
export interface CliWorld extends ConfigFiles {
  readonly env: Readonly<Record<string, string | undefined>>;
  connect(path: string): Promise<ControlClient>;
  spawn(command: readonly string[], env: Readonly<Record<string, string>>): Child;
  /** Calls back when somebody wants this process to end; the returned function stops that. */
  onSignal(listener: (name: 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'SIGQUIT') => void): () => void;
  /** Reads a file of any length in parts, a byte a character. Throws a ConfigError. */
  readParts(path: string): Iterable<string>;
  /** The files of an audit log, oldest first: of a folder, of the file that is written, or one older file. */
  auditFiles(path: string): readonly string[];
  /** Milliseconds of a monotonic clock. */
  nowMs(): number;
  /** The time of day, for people: `15:04:05.678`. */
  timeOfDay(): string;
  after(ms: number, fire: () => void): () => void;
  /** Writes one line, harmless whatever is in it: a text of several has to be taken apart. */
  out(line: string): void;
  err(line: string): void;
}

/** Exit statuses, with the sentences that `baton --help` prints. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 64,
  noInput: 66,
  unavailable: 69,
  declined: 75,
  configuration: 78,
  lost: 79,
  evidence: 80,
  amiss: 81,
  waited: 124,
  notRunnable: 126,
  notFound: 127,
} as const;

export const EXIT_WORDS: readonly (readonly [number, string])[] = [
  [EXIT.ok, 'done'],
  [EXIT.failed, 'the request failed, or a check did not hold'],
  [EXIT.usage, 'wrong command line'],
  [EXIT.noInput, 'a device tree cannot be read'],
  [EXIT.unavailable, 'no daemon answers on the control socket'],
  [EXIT.declined, 'a no: declined by the owner or the host, or busy where nobody wanted to wait'],
  [EXIT.configuration, 'a configuration cannot be used'],
  [EXIT.lost, 'the bundle was taken by force while COMMAND ran'],
  [EXIT.evidence, 'the evidence is weaker than asked, or not what was expected; nothing was resumed'],
  [EXIT.amiss, 'status: something is amiss; its lines say what'],
  [EXIT.waited, 'no yes within the wait: nobody answered, or it was busy all the while'],
  [EXIT.notRunnable, 'COMMAND may not be run'],
  [EXIT.notFound, 'COMMAND is not found'],
];

/** A command line that cannot be understood. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Parses `30s`, `500ms`, `2m` or `0`. Throws a UsageError, also for a number without its unit. */
export function parseDuration(text: string, option: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m)$|^0$/.exec(text);
  const unit = match?.[2] === 's' ? 1_000 : match?.[2] === 'm' ? 60_000 : 1;
  const ms = match ? Math.round(Number(match[1] ?? 0) * unit) : Number.NaN;
  if (Number.isFinite(ms) && ms <= 0xffff_ffff) return ms;
  throw new UsageError(`${option} ${text}: expected a time like 500ms, 30s or 2m`);
}

/** Returns a table as lines, its columns as wide as they need to be. */
export function table(given: readonly (readonly string[])[]): string[] {
  // As they will be written: what is invisible becomes longer.
  const rows = given.map((row) => row.map((cell) => plainText(cell)));
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd(),
  );
}

/** Returns a time for people. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return '-';
  return ms < 10_000 ? `${ms} ms` : `${Math.round(ms / 1000)} s`;
}
