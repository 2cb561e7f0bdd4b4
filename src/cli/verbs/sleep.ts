/** `baton sleep`: recalls every lent bundle before the system sleeps. */

import { parseWords } from '../arguments.ts';
import { order } from '../order.ts';
import type { Verb } from '../verb.ts';
import { type CliWorld, type ControlClient, EXIT, parseDuration, UsageError } from '../world.ts';

const HELP = `baton sleep [--grace TIME] [-w TIME] [--socket PATH]

For an owner whose whole system is about to sleep: recalls every lent bundle, after the grace (default 2s) by force
where the enforcer can, and lends nothing until baton wake. Ends when no bundle is lent. Exit status 75 if one is still
lent after the wait (default 10s): then the system should stay awake, and requests are accepted again. Without an agent
nothing is recalled and the exit status is 0; an agent that is restarting is waited for.
`;

const SLEEP_WORDS = { '--grace': 'value', '--wait': 'value' } as const;

export async function sleep(
  world: CliWorld,
  client: ControlClient,
  args: readonly string[],
): Promise<number> {
  const { plain, flags, values } = parseWords(args, SLEEP_WORDS);
  if (plain.length > 0) throw new UsageError('sleep takes no BUNDLE: it recalls every lent one');
  const graceMs = parseDuration(values.get('--grace') ?? '2s', '--grace');
  const waitMs = parseDuration(values.get('--wait') ?? '10s', '--wait');
  const request = { do: 'sleep', graceMs, waitMs };
  return order(world, client, request, flags.has('--json'), 'nothing is lent');
}

/** Time between two attempts to reach a restarting agent, in ms. */
const AGAIN_MS = 200;
const REFUSED = /\bECONNREFUSED\b/;

/** `baton sleep` without a running agent: a machine without one may sleep. A crashed agent gets time to restart. */
export async function sleepWithoutAgent(
  world: CliWorld,
  args: readonly string[],
  error: Error,
  connect: () => Promise<ControlClient>,
): Promise<number> {
  const { values } = parseWords(args, SLEEP_WORDS);
  const endMs = world.nowMs() + parseDuration(values.get('--wait') ?? '10s', '--wait');
  // The socket of a killed agent refuses connections; without an agent there is no socket.
  let isRefused = REFUSED.test(error.message);
  while (isRefused && world.nowMs() < endMs) {
    await new Promise<void>((done) => void world.after(AGAIN_MS, done));
    try {
      const client = await connect();
      return await sleep(world, client, args).finally(() => client.close());
    } catch (again) {
      isRefused = REFUSED.test((again as Error).message);
    }
  }
  world.err('baton: no agent answers: nothing was recalled');
  return EXIT.ok;
}

export const SLEEP: Verb = {
  says: 'recall every lent bundle before the system sleeps',
  help: HELP,
  daemon: ['agent', sleep],
  withoutDaemon: sleepWithoutAgent,
};
