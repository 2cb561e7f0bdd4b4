/** `baton describe`: how one bundle stands, from an agent's or the host's socket. */

import type { Json } from '../control/lines.ts';
import { type OptionTable, parseWords } from './arguments.ts';
import { ageText, fullReason, holderText, valueText } from './words.ts';
import { type CliWorld, type ControlClient, EXIT, table, UsageError } from './world.ts';

export const DESCRIBE_HELP = `baton describe BUNDLE [--host] [--json] [--socket PATH]

Shows one bundle with its last events: why is it as it is. With --host: as the host sees it.
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
  const { id: _id, ok: _ok, events, ...view } = answer as Json & { events: string[] };
  const rows = Object.entries(view).map(([name, value]) => {
    if (name === 'reason') return [name, `${fullReason(view)}${ageText(view)}`];
    if (name === 'holder') return [name, holderText(view)];
    return [name, value === null ? '-' : valueText(value)];
  });
  for (const line of table(rows)) world.out(line);
  world.out('last events (ms of the monotonic clock):');
  for (const event of events) world.out(`  ${event.replace(/^\d+\.\d+/, (ms) => Number(ms).toFixed(0))}`);
  return EXIT.ok;
}
