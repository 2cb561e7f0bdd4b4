/** What the command line needs of its runtime, and text that all commands share. No runtime API here. */

import type { Json } from '../common/lines.ts';
import { plainText } from '../common/plain-text.ts';

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
  /** Signals it and all its descendants that can be found. */
  signal(name: 'SIGTERM' | 'SIGKILL'): void;
  /** Descendants that outlive it. */
  left(): readonly number[];
  /** Whether one of them has ended but is not reaped yet: to others it looks alive. */
  hasEntries(): boolean;
  /** Do not kill it any more when this process is killed. */
  release(): void;
}

/** What a target supplies to the commands. */
export interface CliWorld {
  readonly env: Readonly<Record<string, string | undefined>>;
  connect(path: string): Promise<ControlClient>;
  /** Returns the file type at `path`; undefined when nothing is there. */
  look(path: string): { readonly isFile: boolean; readonly isExecutable: boolean } | undefined;
  spawn(command: readonly string[], env: Readonly<Record<string, string>>): Child;
  /** Calls back when this process is asked to end; the returned function stops that. */
  onSignal(listener: (name: 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'SIGQUIT') => void): () => void;
  /** Milliseconds of a monotonic clock. */
  nowMs(): number;
  /** The time of day `agoMs` ago, for people: `15:04:05.678`, preceded by the date if not today's. */
  timeOfDay(agoMs?: number): string;
  /** The time `agoMs` ago for programs, as ISO 8601 in UTC. */
  isoTime(agoMs?: number): string;
  after(ms: number, fire: () => void): () => void;
  /** Writes one line, made safe. Split a text of several lines first. */
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
  unsure: 82,
  waited: 124,
  notRunnable: 126,
  notFound: 127,
} as const;

export const EXIT_WORDS: readonly (readonly [number, string])[] = [
  [EXIT.ok, 'done'],
  [EXIT.failed, 'the request failed, or a check did not hold'],
  [EXIT.usage, 'wrong command line'],
  [EXIT.noInput, 'a device tree cannot be read'],
  [EXIT.unavailable, 'no daemon answers on the control socket, or it hangs'],
  [EXIT.declined, 'declined by the owner or the host, or busy with --no-wait'],
  [EXIT.configuration, 'a configuration cannot be used'],
  [EXIT.lost, 'the bundle was taken by force while COMMAND ran'],
  [EXIT.evidence, 'the evidence is weaker than requested, or not as expected; nothing was resumed'],
  [EXIT.amiss, 'status: there are problems; its last lines list them'],
  [EXIT.unsure, 'plan: nothing else stands in the way, but whether a device does DMA is unknown'],
  [EXIT.waited, 'no decision within the wait; or a recalled bundle is not back'],
  [EXIT.notRunnable, 'COMMAND may not be run'],
  [EXIT.notFound, 'COMMAND is not found'],
];

/** A command line that cannot be parsed. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Units of a time, longest first, in ms. */
const UNITS = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const;
const TIME = /^(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?$/;
/** A time without a unit is in seconds, as in sleep(1) and timeout(1); some units accept a fraction. */
const BARE = /^\d+(?:\.\d+)?$/;
const FRACTION = /^(\d+\.\d+)(h|m)$/;

/** Returns a time in ms: `90` and `1.5` are seconds; `500ms`, `30s`, `2m`, `1m30s`, `1h`. Undefined when it is none. */
export function timeOf(text: string): number | undefined {
  const fraction = FRACTION.exec(text);
  if (fraction) return bounded(Number(fraction[1]) * (fraction[2] === 'h' ? 3_600_000 : 60_000));
  if (BARE.test(text)) return bounded(Number(text) * 1_000);
  const match = text === '' ? null : TIME.exec(text);
  if (!match) return undefined;
  return bounded(UNITS.reduce((ms, [, unit], index) => ms + Number(match[index + 1] ?? 0) * unit, 0));
}

/** Longest time in a message: 49 days. */
function bounded(ms: number): number | undefined {
  return Math.round(ms) <= 0xffff_ffff ? Math.round(ms) : undefined;
}

/** The form of a time, for messages and help. */
export const TIME_WORDS = 'seconds, as 90, or with units: 500ms, 30s, 2m, 1m30s, 1h; at most 49 days';

/** Parses a time. Throws a UsageError. */
export function parseDuration(text: string, option: string): number {
  const ms = timeOf(text);
  if (ms !== undefined) return ms;
  throw new UsageError(`${option} ${JSON.stringify(text)}: expected a time in ${TIME_WORDS}`);
}

/** Returns a table as lines, its columns as wide as they need to be. */
export function table(given: readonly (readonly string[])[]): string[] {
  // In the form in which they are written: escaped characters are longer.
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

/** Time between two looks at a moving bundle, in ms. */
export const LOOK_MS = 50;
