/** `baton status`, `describe`: what stands, from an agent's or the host's socket. */

import type { Json } from '../control/lines.ts';
import { type OptionTable, parseWords } from './arguments.ts';
import { fullReason, reasonText, valueText } from './words.ts';
import { type CliWorld, type ControlClient, duration, EXIT, table, UsageError } from './world.ts';

export const STATUS_HELP = `baton status [--host] [--json] [--socket PATH]

Shows every bundle: BUNDLE HOLDER EPOCH STATE LEASE-LEFT REASON. A back end that isolates nothing says so.
With --host it asks the host in place of this VM’s agent.
`;
export const DESCRIBE_HELP = `baton describe BUNDLE [--host] [--json] [--socket PATH]

Shows one bundle with its last events: why is it as it is. With --host: as the host sees it.
`;

function notTheHost(): UsageError {
  return new UsageError('--host takes the socket of the host, and --socket names that of an agent');
}

/** `--host`: the host's socket in place of the agent's. */
const HOST_OPTION: OptionTable = { '--host': 'flag' };

export async function status(
  world: CliWorld,
  client: ControlClient,
  args: readonly string[],
): Promise<number> {
  const words = parseWords(args, HOST_OPTION);
  const answer = await client.request({ do: 'status' });
  if (words.flags.has('--host') && !('vms' in answer) && answer['ok'] !== false) throw notTheHost();
  if (words.flags.has('--json')) {
    world.out(JSON.stringify(answer));
    return EXIT.ok;
  }
  const bundles = answer['bundles'] as Json[];
  const rows = bundles.map((view) => [
    String(view['bundle']),
    String(view['holder'] ?? 'nobody'),
    String(view['epoch']),
    String(view['state']),
    duration(view['leaseLeftMs'] as number | null),
    `${reasonText(view)}${view['evidence'] === 'none' ? ' [NO ISOLATION: evidence none]' : ''}`,
  ]);
  for (const line of table([['BUNDLE', 'HOLDER', 'EPOCH', 'STATE', 'LEASE-LEFT', 'REASON'], ...rows]))
    world.out(line);
  for (const { peer, up, forMs, hint } of (answer['peers'] ?? []) as Json[]) {
    if (up !== true) world.out(`${peer}: no session for ${duration(Number(forMs))}: ${hint}`);
    else if (hint !== undefined) world.out(`${peer}: ${hint}`);
  }
  if (answer['writeFault']) world.out(`NOT WRITTEN: ${answer['writeFault']}`);
  return EXIT.ok;
}

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
  const rows = Object.entries(view).map(([name, value]) => [
    name,
    name === 'reason' ? fullReason(view) : value === null ? '-' : valueText(value),
  ]);
  for (const line of table(rows)) world.out(line);
  world.out('last events (ms of the monotonic clock):');
  for (const event of events) world.out(`  ${event.replace(/^\d+\.\d+/, (ms) => Number(ms).toFixed(0))}`);
  return EXIT.ok;
}
