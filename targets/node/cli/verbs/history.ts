/** `baton history`: past handovers from the records that the host keeps, without a daemon. */

import { type OptionTable, parseWords } from '../../../../src/cli/arguments.ts';
import type { Verb } from '../../../../src/cli/verb.ts';
import { EXIT, parseDuration, UsageError } from '../../../../src/cli/world.ts';
import { HOST_SCHEMA } from '../../../../src/config/host-config.ts';
import { ConfigError } from '../../../../src/config/read.ts';
import { FAILED_OUTCOMES } from '../../../../src/core/host/handover-record.ts';
import { besideConfig, look, readConfigFile } from '../../config/files.ts';
import { handoverFiles } from '../../host/handover-file.ts';
import { readParts } from '../../host/rotated-file.ts';
import { lineOf, recordsIn, type StoredRecord } from '../history-lines.ts';
import { MOMENT_WORDS, momentOf } from '../local-time.ts';
import type { FileWorld } from '../world.ts';

/** Where the unit of the host has its configuration, and the example its state. */
const CONFIG = '/etc/baton/host.json';
const STATE = '/var/lib/baton-host';

const HELP = `baton history [BUNDLE] [--since WHEN] [--until WHEN] [--slow TIME] [--failed] [--json]
              [--state DIR | --config FILE]

Prints past handovers, one per line: when the host heard of it, in local time; bundle; epoch; from and to whom; purpose;
cause; outcome, and why; how long it took; its slowest step. It reads the records in the host's state folder and asks
no daemon. A reservation that the host refused is a record, too. What the owner's policy declined never reached the
host: see baton events in the owner's guest.

  --since WHEN   those that began then or later
  --until WHEN   those that began before; a time of day alone is the first one after --since
  --slow TIME    those that took so long or longer, as 50ms
  --failed       those after which the bundle is not where it was to go: rolledBack, unconfirmed, quarantined,
                 refused, lapsed, interrupted
  --json         the records, with the milliseconds of each step, as JSON lines
  --state DIR    the host's state folder, or one file with records
  --config FILE  the host's configuration, which names that folder; default ${CONFIG}, and without that
                 ${STATE}

WHEN is ${MOMENT_WORDS}. A time of day alone is the last one.

Exit status: 0, also if nothing fits. 1 there are no records.
`;

const OPTIONS: OptionTable = {
  '--since': 'value',
  '--until': 'value',
  '--slow': 'value',
  '--failed': 'flag',
  '--state': 'value',
  '--config': 'value',
};

/** Runs the command. Returns its exit status. */
export function history(world: FileWorld, args: readonly string[]): number {
  const { plain, values, flags } = parseWords(args, OPTIONS);
  if (plain.length > 1) throw new UsageError('history takes one BUNDLE');
  const fits = filterOf(world, plain[0], values, flags);
  const place = placeOf(values);
  const files = filesIn(place);
  if (files.length === 0) {
    world.err(`baton: ${place}: no handover has been recorded`);
    return EXIT.failed;
  }
  let shown = 0;
  let damaged = 0;
  for (const file of files) {
    for (const record of recordsIn(readParts(file), () => damaged++)) {
      if (!fits(record)) continue;
      shown += 1;
      world.out(flags.has('--json') ? JSON.stringify(record) : lineOf(record));
    }
  }
  if (damaged > 0)
    world.err(`baton: ${place}: ${damaged} damaged ${damaged === 1 ? 'line' : 'lines'} skipped`);
  if (shown === 0) world.err('baton: no handover fits');
  return EXIT.ok;
}

function filterOf(
  world: FileWorld,
  bundle: string | undefined,
  values: ReadonlyMap<string, string>,
  flags: ReadonlySet<string>,
): (record: StoredRecord) => boolean {
  const nowMs = Date.parse(world.isoTime());
  const sinceMs = moment('--since', values, nowMs) ?? Number.NEGATIVE_INFINITY;
  const isSince = values.has('--since');
  const untilMs = moment('--until', values, nowMs, isSince ? sinceMs : undefined) ?? Number.POSITIVE_INFINITY;
  const slow = values.get('--slow');
  const slowMs = slow === undefined ? undefined : parseDuration(slow, '--slow');
  return ({ time, bundle: own, ms, outcome }) => {
    const atMs = Date.parse(time);
    if (atMs < sinceMs || atMs >= untilMs) return false;
    // A record that stands for others may be about any bundle.
    if (bundle !== undefined && own !== bundle && own !== null) return false;
    if (slowMs !== undefined && (ms ?? 0) < slowMs) return false;
    return !flags.has('--failed') || FAILED_OUTCOMES.has(outcome);
  };
}

function moment(
  option: string,
  values: ReadonlyMap<string, string>,
  nowMs: number,
  afterMs?: number,
): number | undefined {
  const text = values.get(option);
  if (text === undefined) return undefined;
  const ms = momentOf(text, nowMs, afterMs);
  if (ms === undefined) throw new UsageError(`${option} ${JSON.stringify(text)}: expected ${MOMENT_WORDS}`);
  return ms;
}

/** Returns the host's state folder, or the file that was given in its place. */
function placeOf(values: ReadonlyMap<string, string>): string {
  const state = values.get('--state');
  const config = values.get('--config');
  if (state !== undefined && config !== undefined)
    throw new UsageError('--state and --config: give one of them');
  if (state !== undefined) return state;
  if (config === undefined && !look(CONFIG)) return STATE;
  const file = config ?? CONFIG;
  return besideConfig(file, readConfigFile(HOST_SCHEMA, file).state);
}

/** Returns the files that are there, oldest first. Throws a ConfigError on a place that is not there. */
function filesIn(place: string): readonly string[] {
  if (!look(place)) throw new ConfigError(`${place}: no such folder, or this user may not look into it`);
  try {
    return handoverFiles(place).filter((file) => look(file));
  } catch (error) {
    throw new ConfigError(`${place}: ${(error as Error).message}`);
  }
}

export const HISTORY: Verb<FileWorld> = {
  says: 'past handovers: how long, and why not',
  help: HELP,
  alone: history,
};
