/** `baton describe`: the state of one bundle, from an agent's or the host's socket. */

import type { Json } from '../../common/lines.ts';
import { type OptionTable, parseWords } from '../arguments.ts';
import type { Verb } from '../verb.ts';
import { ageText, fullReason, holderText, valueText } from '../words.ts';
import { type CliWorld, type ControlClient, EXIT, table, UsageError } from '../world.ts';

const HELP = `baton describe BUNDLE [--host] [--json] [--socket PATH]

Shows one bundle, and its last events, which explain its state. With --host: the host's view.
`;

/** `--host`: the host's socket in place of the agent's. */
const HOST_OPTION: OptionTable = { '--host': 'flag' };

export async function describe(
  world: CliWorld,
  client: ControlClient,
  args: readonly string[],
): Promise<number> {
  const words = parseWords(args, HOST_OPTION);
  const [bundle] = words.plain;
  if (bundle === undefined) throw new UsageError('describe takes one BUNDLE');
  const answer = await client.request({ do: 'describe', bundle });
  if (answer['ok'] !== true) {
    world.err(`baton: ${(answer['error'] as { message: string }).message}`);
    return EXIT.failed;
  }
  if (words.flags.has('--json')) {
    world.out(JSON.stringify(answer));
    return EXIT.ok;
  }
  const { id: _id, ok: _ok, events, nowMs, ...view } = answer as Json & { events: string[] };
  const rows = Object.entries(view).map(([name, value]) => {
    if (name === 'reason') return [name, `${fullReason(view)}${ageText(view)}`];
    if (name === 'holder') return [name, holderText(view)];
    return [name, value === null ? '-' : valueText(value)];
  });
  for (const line of table(rows)) world.out(line);
  const isDated = typeof nowMs === 'number';
  world.out(`last events (${isDated ? 'time of day, ' : ''}ms of the monotonic clock):`);
  for (const event of events) world.out(`  ${eventText(world, event, isDated ? nowMs : undefined)}`);
  return EXIT.ok;
}

/**
 * Returns an event in one line. It starts with its time in ms on the daemon's clock, whose present time is `nowMs`;
 * undefined if the daemon does not report it.
 */
function eventText(world: CliWorld, event: string, nowMs: number | undefined): string {
  const [, ms, text] = /^(\d+(?:\.\d+)?)(?= )(.*)$/.exec(event) ?? [];
  if (ms === undefined) return event;
  const time = nowMs === undefined ? '' : `${world.timeOfDay(Math.max(0, nowMs - Number(ms)))} `;
  return `${time}${Number(ms).toFixed(0)}${text}`;
}

export const DESCRIBE: Verb = {
  says: 'one bundle, with its last events',
  help: HELP,
  daemon: ['agent', describe],
  isWrapped: true,
};
