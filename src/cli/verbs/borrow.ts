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

Borrows a bundle, runs COMMAND while it is held, and returns it. Without COMMAND the bundle is held until
this process is interrupted (SIGINT, SIGTERM, SIGHUP, SIGQUIT).

  -n, --no-wait           fail at once if the bundle is busy
  -w, --wait TIME         wait this long (default 5s). While another VM has the bundle the request waits in
                          its owner's queue; while another program of this VM has it, it is repeated
  --lease TIME            longest time to hold it (default 30s), on the host's clock, from the grant
  --renew                 extend the lease for as long as COMMAND runs, if the owner's policy allows it
  --notice TIME           time between the start of a return (end of the lease, or a reclaim by the owner)
                          and its force (default 2s)
  --min-hold TIME         time from the grant in which the owner cannot reclaim it (default 0)
  --purpose TEXT          purpose of the loan, for the owner's policy
  --min-evidence LEVEL    weakest evidence of isolation to accept: none, asserted, observed or attested
                          (default observed)
  --json                  events as JSON lines
  --socket PATH           control socket of the agent

TIME: seconds, as 90, or with units: 500ms, 30s, 2m, 1m30s, 1h.

COMMAND begins at the first word after BUNDLE that is not an option; a -- before it is allowed. If the wait takes
longer than half a second, its reason is reported once. The environment of COMMAND has BATON_BUNDLE, BATON_EPOCH and
BATON_DEADLINE_MS (length of the lease). On a recall, and at the end of the lease, COMMAND gets SIGTERM, and SIGKILL
shortly before the end of the notice. Processes that COMMAND started are ended before the bundle is returned, in any
process group or session (BATON_LEASE in their environment identifies them). Not ended: processes that cleared their
environment and left the group, run as another user, or were started by a daemon.

Exit status: that of COMMAND (128 + N after signal N). 126 COMMAND may not be run, 127 it is not found; both are
checked before the request. 75 declined by the owner or the host, or busy with -n. 124 no decision within the wait:
no answer, or busy all the time. 79 taken by force, or the agent ended. 80 the evidence is weaker than requested, or
not as expected. 1 invalid request: no such bundle, or this VM owns it.
`;

const OPTIONS: OptionTable = {
  '--no-wait': 'flag',
  '--wait': 'value',
  '--lease': 'value',
  '--renew': 'flag',
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
