/** Common parts of both daemons: arguments, exit status, signals, one line about a failed start. */

import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { socketPathFault } from '../../../src/common/addresses.ts';
import { nearest } from '../../../src/common/near.ts';
import { ConfigError, complaintAt } from '../../../src/config/read.ts';
import type { Journal } from '../../../src/ports/world.ts';
import { besideConfig, readText } from '../config/files.ts';
import { JournalError } from '../system/file-journal.ts';
import { FolderError, makeFolder } from '../system/folder.ts';
import { writeErrors } from './terminal.ts';
import { VERSION } from './version.ts';

/** Exit status for an unusable configuration (EX_CONFIG of sysexits.h). */
export const EXIT_CONFIG = 78;
/** Exit status for a wrong command line (EX_USAGE). */
export const EXIT_USAGE = 64;

/** Exit status for a bug of the program (EX_SOFTWARE). */
export const EXIT_SOFTWARE = 70;
/** Error types that indicate a bug of the program. */
const OURS = [TypeError, ReferenceError];

/** Exit status for a failure that another start may not have (EX_TEMPFAIL). */
export const EXIT_AGAIN = 75;

/** The parsed command line of a daemon. */
export interface DaemonArguments {
  readonly config: string;
  readonly createTable: boolean;
}

/** Name, help and schema of a daemon. */
export interface DaemonFace {
  readonly name: string;
  readonly help: string;
  readonly example: string;
  readonly schema: unknown;
  /** Returns the configuration as it is used. */
  readonly dump: (config: string) => unknown;
}

/**
 * Ignored signals: by default they end a process, or make Node open a debugger port. A closed terminal, a supervisor's
 * reload, or a mistake may send them.
 */
const UNHEEDED = ['SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const;

/** Parses the command line; answers --help, --version, --example, --schema and --dump-config itself. */
export function daemonArguments(face: DaemonFace, args: readonly string[]): DaemonArguments {
  for (const signal of UNHEEDED) process.on(signal, () => {});
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(args);
  } catch (error) {
    const message = (error as Error).message.split('\n', 1)[0]!;
    const [, option] = /^Unknown option '(--[^']+)'/.exec(message) ?? [];
    const near =
      option === undefined
        ? ''
        : nearest(
            option,
            Object.keys(OPTIONS).map((name) => `--${name}`),
          );
    writeErrors(`${face.name}: ${message}${near}; try --help`);
    process.exit(EXIT_USAGE);
  }
  const { values } = parsed;
  const answer = (text: string) => {
    process.stdout.write(text);
    process.exit(0);
  };
  if (values.help) answer(face.help);
  if (values.version) answer(`${face.name} ${VERSION}\n`);
  if (values.example) answer(face.example);
  if (values.schema) answer(`${JSON.stringify(face.schema, null, 2)}\n`);
  if (!values.config) {
    writeErrors(`${face.name}: --config FILE is needed; --example prints one to start from`);
    process.exit(EXIT_USAGE);
  }
  const { config } = values;
  if (values['dump-config'])
    orExit(face.name, () => answer(`${JSON.stringify(face.dump(config), null, 2)}\n`));
  return { config, createTable: values['create-table'] ?? false };
}

const OPTIONS = {
  config: { type: 'string', short: 'c' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
  example: { type: 'boolean' },
  schema: { type: 'boolean' },
  'dump-config': { type: 'boolean' },
  'create-table': { type: 'boolean' },
} as const;

function parse(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    options: OPTIONS,
  });
}

/** Runs `start`. An exception ends the process (exitOn). */
export function orExit<T>(name: string, start: () => T): T {
  try {
    return start();
  } catch (error) {
    return exitOn(name, error);
  }
}

/**
 * Ends the process because of `error`: with status 78 when a person must correct something first, with 75 for any other
 * refusal of the machine, such as a full disk, and with a stack and 70 for a bug.
 */
export function exitOn(name: string, error: unknown): never {
  const isOurs = OURS.some((kind) => error instanceof kind);
  const text = `${name}: ${isOurs ? (error as Error).stack : (error as Error).message}`;
  // A ConfigError has one complaint per line, and a stack one call; any other message is one line.
  writeErrors(...(isOurs || error instanceof ConfigError ? text.split('\n') : [text]));
  const isTheirs = error instanceof ConfigError || error instanceof FolderError;
  process.exit(isTheirs ? EXIT_CONFIG : isOurs ? EXIT_SOFTWARE : EXIT_AGAIN);
}

/**
 * Returns the path of the control socket, and creates its folder. Throws a ConfigError when the path is longer than the
 * kernel accepts, or the folder cannot be created.
 */
export function controlPath(config: string, control: string): string {
  const path = besideConfig(config, control);
  const message = socketPathFault(path);
  const refuse = (words: string): never => {
    const fault = { path: ['control'], at: 'value', message: words } as const;
    throw new ConfigError(complaintAt(config, readText(config), fault));
  };
  if (message !== undefined) refuse(message);
  try {
    makeFolder(dirname(path));
  } catch (error) {
    refuse(
      `${(error as Error).message}; create it for this user: below /run by RuntimeDirectory= of the unit`,
    );
  }
  return path;
}

/** A journal that ends the process when a durable record cannot be written, before any effect that depends on it. */
export function endingJournal(name: string, journal: Journal): Journal {
  const orEnd = (write: () => void) => {
    try {
      write();
    } catch (error) {
      const text = `${(error as Error).message}; free space or repair the disk, then start it again`;
      exitOn(name, new JournalError(text));
    }
  };
  return {
    records: journal.records,
    append: (record, sync) =>
      sync ? orEnd(() => journal.append(record, true)) : journal.append(record, false),
    rewrite: (records) => orEnd(() => journal.rewrite(records)),
    close: () => journal.close(),
  };
}

/** Calls `stop` once on SIGTERM or SIGINT, then ends with status 0. */
export function onTermination(stop: () => void): void {
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      stop();
      process.exit(0);
    });
  }
}
