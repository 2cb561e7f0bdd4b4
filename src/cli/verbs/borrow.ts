/**
 * `baton borrow`: holds a bundle while a command runs (like flock and timeout in one), or until it is interrupted.
 *
 * The command starts only after the evidence was verified. A recall sends SIGTERM to the command and its descendants,
 * and SIGKILL at the end of the notice. Descendants that outlive the command are ended too. When this process ends
 * for any reason, the bundle is released: its connection holds the lease.
 */

import type { Json } from '../../common/lines.ts';
import { type OptionTable, parseWords, type Words } from '../arguments.ts';
import { Asking } from '../asking.ts';
import { Holding } from '../holding.ts';
import type { Verb } from '../verb.ts';
import { type CliWorld, type ControlClient, EXIT, UsageError } from '../world.ts';

const HELP = `baton borrow [options] BUNDLE [options] [[--] COMMAND ARGUMENTS...]

Borrows a bundle, runs COMMAND while it is held, and gives it back. Without COMMAND it is held until
this process is interrupted (SIGINT, SIGTERM, SIGHUP, SIGQUIT).

  -n, --no-wait           take a busy bundle for a no
  -w, --wait TIME         wait this long for an answer (default 5s); a busy bundle is asked for again,
                          whether another VM has it or another program of this one
  --lease TIME            how long it may be held (default 30s): from the grant on, on the host's clock
  --notice TIME           how long before the force the return is announced (default 2s): that long after
                          the end of the lease, or after the owner reclaimed it, the host takes it
  --min-hold TIME         time from the grant in which the owner cannot call it in (default 0)
  --purpose TEXT          what for; the owner's policy may look at it
  --min-evidence LEVEL    the least proof of isolation to resume on: none, asserted, observed or attested
                          (default observed)
  --json                  events as JSON lines
  --socket PATH           control socket of the agent

TIME: seconds, as 90, or with units: 500ms, 30s, 2m, 1m30s, 1h.

The first plain word after BUNDLE begins COMMAND; -- before it does no harm. What is waited for is said, once, when
it takes longer than half a second. COMMAND finds BATON_BUNDLE, BATON_EPOCH and BATON_DEADLINE_MS (length of the
lease) in its environment. A recall is SIGTERM, and SIGKILL shortly before the end of the notice; so is the end of
the lease. What COMMAND started ends with it, before the bundle goes back, in whatever process group or session
(found by BATON_LEASE in its environment); not what has cleared its environment and left the group, runs as another
user, or was started by a daemon.

Exit status: that of COMMAND (128 + N after signal N). 126 it may not be run and 127 it is not found, which is
looked at first. 75 a no: declined by the owner or the host, or busy with -n. 124 nobody said no within the wait, nor
yes: nobody answered, or busy all the while. 79 lost by force, or the agent ended. 80 the evidence is weaker than asked,
or not what was expected. 1 a request without sense: no such bundle, or this VM owns it.
`;

const OPTIONS: OptionTable = {
  '--no-wait': 'flag',
  '--wait': 'value',
  '--lease': 'value',
  '--min-hold': 'value',
  '--notice': 'value',
  '--purpose': 'value',
  '--min-evidence': 'value',
};

/** The options of `borrow`, without the words of the command. */
export function ownWordsOfBorrow(args: readonly string[]): readonly string[] {
  const { rest } = parseWords(args, OPTIONS, 1);
  return rest === undefined ? args : args.slice(0, args.length - rest.length);
}

export async function borrow(
  world: CliWorld,
  client: ControlClient,
  args: readonly string[],
): Promise<number> {
  const words = parseWords(args, OPTIONS, 1);
  const [bundle] = words.plain;
  if (bundle === undefined) throw new UsageError('borrow takes a BUNDLE, and then a command, if any');
  const asking = new Asking(world, client, bundle, words);
  const unfit = unfitness(world, words.rest?.[0]);
  if (unfit !== undefined) return unfit;
  const holding = new Holding(world, client, bundle, words);
  // From the start, since a recall may arrive with the grant.
  client.onEvent((event) => (event['event'] === 'waiting' ? asking.heard(event) : holding.heard(event)));
  const granted = await asking.run();
  if (typeof granted === 'number') return granted;
  return holding.run(granted, await warningOf(client, bundle, words));
}

/** Warns a user who accepted evidence `none`. */
async function warningOf(client: ControlClient, bundle: string, words: Words): Promise<string> {
  if (words.values.get('--min-evidence') !== 'none') return '';
  const view = await client.request({ do: 'describe', bundle }).catch((): Json => ({}));
  return view['evidence'] === 'none' ? '; NO ISOLATION: the enforcer proves nothing' : '';
}

/** Reports why the command cannot be run, and returns its exit status, before anything is requested. */
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

export const BORROW: Verb = {
  says: 'hold a bundle while a command runs',
  help: HELP,
  daemon: ['agent', borrow],
  isWrapped: true,
  ownWords: ownWordsOfBorrow,
};
