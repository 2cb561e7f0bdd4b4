/** `baton return`: returns a borrowed bundle. */

import { parseWords } from '../arguments.ts';
import { oneBundle, order } from '../order.ts';
import type { Verb } from '../verb.ts';
import type { CliWorld, ControlClient } from '../world.ts';

const HELP = `baton return BUNDLE [--socket PATH]

Returns a bundle that a program of this VM borrows. Ends when the host has taken it back.
`;

async function giveBack(world: CliWorld, client: ControlClient, args: readonly string[]): Promise<number> {
  const { plain, flags } = parseWords(args, {});
  return order(
    world,
    client,
    { do: 'return', bundle: oneBundle(plain, 'return') },
    flags.has('--json'),
    'given back',
  );
}

export const RETURN: Verb = { says: 'return a borrowed bundle', help: HELP, daemon: ['agent', giveBack] };
