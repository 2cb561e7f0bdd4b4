/** `baton offer`: the owner offers its bundle to a borrower that did not ask. */

import { parseWords } from '../arguments.ts';
import { order } from '../order.ts';
import type { Verb } from '../verb.ts';
import { type CliWorld, type ControlClient, duration, parseDuration, UsageError } from '../world.ts';

const HELP = `baton offer BUNDLE VM [--lease TIME] [--reserve TIME] [--socket PATH]

Offers the bundle to VM, which did not ask. Programs there that watch its agent get an event, and a borrow within the
reserved time takes the offer. Until then the driver stays active here. Refused while the bundle is away, or while
another VM waits for it.

  --lease TIME        longest lease that is offered (default 30s); the policy decides about the one that is asked for
  --reserve TIME      time in which VM may take it (default 10s)

TIME: seconds, as 90, or with units: 500ms, 30s, 2m, 1m30s.
Exit status: 0 offered; 1 not possible now.
`;

export async function offer(
  world: CliWorld,
  client: ControlClient,
  args: readonly string[],
): Promise<number> {
  const { plain, flags, values } = parseWords(args, { '--lease': 'value', '--reserve': 'value' });
  const [bundle, to] = plain;
  if (bundle === undefined || to === undefined || plain.length > 2)
    throw new UsageError('offer takes a BUNDLE and a VM');
  const leaseMs = parseDuration(values.get('--lease') ?? '30s', '--lease');
  const reservedMs = parseDuration(values.get('--reserve') ?? '10s', '--reserve');
  const request = { do: 'offer', bundle, to, leaseMs, reservedMs };
  return order(world, client, request, flags.has('--json'), `offered to ${to} for ${duration(reservedMs)}`);
}

export const OFFER: Verb = {
  says: 'offer a bundle that nobody asked for',
  help: HELP,
  daemon: ['agent', offer],
};
