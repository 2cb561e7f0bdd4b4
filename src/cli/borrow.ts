/**
 * `baton borrow`: like flock and timeout in one. Holds a bundle while a command runs, or until it is interrupted.
 *
 * The command starts only after verified evidence. When the bundle is recalled it gets SIGTERM, and SIGKILL at
 * the end of the notice; so does what it started, and what of that lives on when it has ended. When this process
 * ends, however, the bundle goes back: the connection is the lease.
 */

import type { Json } from '../control/lines.ts';
import { parseWords, type Words } from './arguments.ts';
import { Asking } from './asking.ts';
import { Holding } from './holding.ts';
import { type CliWorld, type ControlClient, EXIT, UsageError } from './world.ts';

export const BORROW_HELP = `baton borrow BUNDLE [options] [-- COMMAND ARGUMENTS...]

Borrows a bundle, runs COMMAND while it is held, and gives it back. Without COMMAND it is held until
this process is interrupted (SIGINT, SIGTERM, SIGHUP, SIGQUIT).

  -n, --no-wait           decline at once when the bundle is busy
  -w, --wait TIME         wait this long for an answer (default 5s); a busy bundle is asked for again,
                          whether another VM has it or another program of this one
  --lease TIME            longest time of holding (default 30s)
  --min-tenure TIME       time in which the owner cannot call it in (default 0)
  --notice TIME           time between notice and force (default 2s)
  --purpose TEXT          what for; the owner's policy may look at it
  --min-evidence LEVEL    the least proof of isolation to resume on: none, asserted, observed or attested
                          (default observed)
  --json                  events as JSON lines
  --socket PATH           control socket of the agent

TIME: 500ms, 30s or 2m.

COMMAND finds BATON_BUNDLE, BATON_EPOCH and BATON_DEADLINE_MS (length of the lease) in its environment.
A recall is SIGTERM, and SIGKILL at the end of the notice; so is the end of the lease.
Exit status: that of COMMAND (128 + N after signal N). 126 it may not be run and 127 it is not found, which is
looked at first. 75 a no: declined, or busy with -n. 124 no yes within the wait: nobody answered, or busy all
the while. 79 lost by force, or the agent ended. 80 the evidence is weaker than asked, or not what was expected.
`;

export async function borrow(
  world: CliWorld,
  client: ControlClient,
  args: readonly string[],
): Promise<number> {
  const words = parseWords(args, {
    '--no-wait': 'flag',
    '--wait': 'value',
    '--lease': 'value',
    '--min-tenure': 'value',
    '--notice': 'value',
    '--purpose': 'value',
    '--min-evidence': 'value',
  });
  const [bundle, ...more] = words.plain;
  if (bundle === undefined || more.length > 0)
    throw new UsageError('borrow takes one BUNDLE; a command follows --');
  const asking = new Asking(world, client, bundle, words);
  const unfit = unfitness(world, words.rest?.[0]);
  if (unfit !== undefined) return unfit;
  const holding = new Holding(world, client, bundle, words);
  // From the start, for a recall may come with the grant.
  client.onEvent((event) => (event['event'] === 'waiting' ? asking.heard(event) : holding.heard(event)));
  const granted = await asking.run();
  if (typeof granted === 'number') return granted;
  return holding.run(granted, await warningOf(client, bundle, words));
}

/** Whoever took less than proof should see what it got. */
async function warningOf(client: ControlClient, bundle: string, words: Words): Promise<string> {
  if (words.values.get('--min-evidence') !== 'none') return '';
  const view = await client.request({ do: 'describe', bundle }).catch((): Json => ({}));
  return view['evidence'] === 'none' ? '; NO ISOLATION: the back end proves nothing' : '';
}

/** Says why the command cannot be run, and returns its exit status: nothing need go dark for it. */
function unfitness(world: CliWorld, name: string | undefined): number | undefined {
  if (name === undefined) return undefined;
  const folders = name.includes('/') ? [] : (world.env['PATH'] ?? '').split(':').filter((folder) => folder);
  const looks = name.includes('/')
    ? [world.look(name)]
    : folders.map((folder) => world.look(`${folder}/${name}`));
  const found = looks.filter((look) => look?.isFile);
  if (found.some((look) => look?.isExecutable)) return undefined;
  world.err(
    `baton: ${name}: ${found.length > 0 ? 'this user may not run it' : 'no such program'}; nothing was asked for`,
  );
  return found.length > 0 ? EXIT.notRunnable : EXIT.notFound;
}
