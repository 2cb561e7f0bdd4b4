/** `baton wake`: the owner lends again after a sleep. */

import { parseWords } from '../arguments.ts';
import { order } from '../order.ts';
import type { Verb } from '../verb.ts';
import { type CliWorld, type ControlClient, EXIT } from '../world.ts';

const HELP = `baton wake [--socket PATH]

After a sleep of the owner's system: its agent accepts requests again.
`;

export async function wake(world: CliWorld, client: ControlClient, args: readonly string[]): Promise<number> {
  const { flags } = parseWords(args, {});
  return order(world, client, { do: 'wake' }, flags.has('--json'), 'requests are accepted');
}

/** `baton wake` without a running agent: a starting agent accepts requests anyway. */
export async function wakeWithoutAgent(world: CliWorld): Promise<number> {
  world.err('baton: no agent answers: there is nothing to wake');
  return EXIT.ok;
}

export const WAKE: Verb = {
  says: 'lend again after a sleep',
  help: HELP,
  daemon: ['agent', wake],
  withoutDaemon: wakeWithoutAgent,
};
