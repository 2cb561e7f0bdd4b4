/** `baton events`: past and future events, from an agent's or the host's socket. */

import type { Json } from '../../common/lines.ts';
import { type OptionTable, parseWords } from '../arguments.ts';
import type { Verb } from '../verb.ts';
import { reasonText, valueText } from '../words.ts';
import { type CliWorld, type ControlClient, EXIT, TIME_WORDS, timeOf, UsageError } from '../world.ts';

const HELP = `baton events [-f] [--since WHEN] [-n LINES] [--host] [--json] [--socket PATH]

Prints the last events, one per line with the time of day, and ends. The daemon keeps its last 100 events, and none
from before its start.

  -f, --follow      then print new events until interrupted; without --since or -n only the last 10 events come first
  --since WHEN      only events since then: a time ago, as 10m or 90 (seconds), or a time of day, as 14:30 or 14:30:05
  -n, --lines N     at most the last N past events
  --host            events of the host
  --json            JSON lines, each with its time

Exit status: 0, also after an interrupt. 69 the daemon ended, or does not answer.
`;

const OPTIONS: OptionTable = { '--follow': 'flag', '--since': 'value', '--lines': 'value', '--host': 'flag' };

/** Number of past lines at the start of -f, as in `tail` and `journalctl`. */
const FOLLOW_LINES = 10;
const DAY_MS = 86_400_000;

export async function events(
  world: CliWorld,
  client: ControlClient,
  args: readonly string[],
): Promise<number> {
  const words = parseWords(args, OPTIONS);
  if (words.plain.length > 0) throw new UsageError('events takes no further word');
  const follows = words.flags.has('--follow');
  const since = words.values.get('--since');
  const sinceMs = since === undefined ? undefined : agoOf(since, world.timeOfDay());
  const lines = linesOf(words.values.get('--lines'), follows && since === undefined);
  const isJson = words.flags.has('--json');
  const print = ({ agoMs, ...event }: Json) => {
    const ago = Number(agoMs ?? 0);
    if (isJson) world.out(JSON.stringify({ time: world.isoTime(ago), ...event }));
    else world.out(`${world.timeOfDay(ago)} ${eventText(event)}`);
  };
  // Events that arrive before the answer are shown after it.
  const early: Json[] = [];
  let heard = (event: Json): void => void early.push(event);
  client.onEvent((event) => heard(event));
  const request = follows ? { do: 'watch', past: true } : { do: 'events' };
  const answer = await client.request(request);
  const past = (answer[follows ? 'past' : 'events'] ?? []) as Json[];
  const fitting = past.filter(({ agoMs }) => sinceMs === undefined || Number(agoMs) <= sinceMs);
  for (const event of fitting.slice(Math.max(0, fitting.length - lines))) print(event);
  if (!follows) return EXIT.ok;
  heard = print;
  for (const event of early) print(event);
  return untilInterrupted(world, client);
}

async function untilInterrupted(world: CliWorld, client: ControlClient): Promise<number> {
  let interrupted: () => void = () => {};
  const signal = new Promise<string>((resolve) => {
    interrupted = () => resolve('');
  });
  const unhook = world.onSignal(() => interrupted());
  const reason = await Promise.race([client.ended, signal]);
  unhook();
  if (reason === '') return EXIT.ok;
  world.err(`baton: the daemon ended: ${reason}`);
  return EXIT.unavailable;
}

function linesOf(text: string | undefined, isShort: boolean): number {
  if (text === undefined) return isShort ? FOLLOW_LINES : Number.POSITIVE_INFINITY;
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`--lines ${JSON.stringify(text)}: expected a number`);
  return Number(text);
}

/** Returns how long ago a time was; a time of day means its last occurrence before `now`, as `15:04:05.678`. */
function agoOf(text: string, now: string): number {
  const ago = timeOf(text);
  if (ago !== undefined) return ago;
  const then = dayMs(text);
  if (then === undefined)
    throw new UsageError(
      `--since ${JSON.stringify(text)}: expected a time ago in ${TIME_WORDS}; or a time of day, as 14:30 or 14:30:05`,
    );
  return (dayMs(now)! - then + DAY_MS) % DAY_MS;
}

function dayMs(text: string): number | undefined {
  const [, hours, minutes, seconds = '0'] = /^(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d{1,3})?))?$/.exec(text) ?? [];
  if (hours === undefined || Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) >= 60)
    return undefined;
  return Number(hours) * 3_600_000 + Number(minutes) * 60_000 + Math.round(Number(seconds) * 1_000);
}

function eventText(event: Json): string {
  const { event: name, ...rest } = event;
  const named = Object.entries(rest)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([key, value]) => {
      const text = key === 'reason' ? reasonText(event) : valueText(value);
      return `${key}=${/[\s"=]/.test(text) ? JSON.stringify(text) : text}`;
    });
  return `${name} ${named.join(' ')}`;
}

export const EVENTS: Verb = {
  says: 'past events, and with -f new ones',
  help: HELP,
  daemon: ['agent', events],
};
