/**
 * `baton status`: the state of all bundles and any problems, from an agent's or the host's socket, once or
 * continuously.
 */

import type { Json } from '../../common/lines.ts';
import { nearestKey } from '../../common/near.ts';
import { type OptionTable, parseWords } from '../arguments.ts';
import { HungError } from '../patience.ts';
import type { Verb } from '../verb.ts';
import { absenceText, ageText, holderText, reasonText } from '../words.ts';
import { type CliWorld, type ControlClient, duration, EXIT, table, UsageError } from '../world.ts';

const HELP = `baton status [BUNDLE...] [-w] [--host] [--json] [--socket PATH]

Shows every bundle, or the given ones: BUNDLE HOLDER EPOCH STATE LEASE-LEFT REASON. HOLDER is ? before the first
ownership report, and quarantined or moving while nobody can hold the bundle. Before it answers, the daemon asks the
host and the agents, for half a second at most. Problems are listed below the table; the exit status is then 81.
  -w, --watch   prints it again whenever it changes, until interrupted
  --host        asks the host in place of this VM’s agent
`;

const STATUS_OPTIONS: OptionTable = { '--host': 'flag', '--watch': 'flag' };
/** Interval of `-w`, in ms. Events in between cause a look at once. */
const WATCH_MS = 1_000;
/** A pause of the host is listed as a problem for this time afterwards, in ms. */
const STOPPED_SHOWN_MS = 60_000;

export async function status(
  world: CliWorld,
  client: ControlClient,
  args: readonly string[],
): Promise<number> {
  // Only for `status` does -w mean --watch: there is nothing to wait for.
  const words = parseWords(
    args.map((arg) => (arg === '-w' ? '--watch' : arg)),
    STATUS_OPTIONS,
  );
  const look = async () => lookOnce(await client.request({ do: 'status' }), words.plain);
  const show = ({ answer, lines }: Look) => {
    if (words.flags.has('--json')) world.out(JSON.stringify(answer));
    else for (const line of lines) world.out(line);
  };
  const first = await look();
  if (words.flags.has('--host') && !('vms' in first.answer) && first.answer['ok'] !== false)
    throw new UsageError('--host takes the socket of the host, and --socket names that of an agent');
  if (first.error !== undefined) {
    world.err(`baton: ${first.error}`);
    return EXIT.failed;
  }
  if (words.flags.has('--watch')) return watch(world, client, first, look, show);
  show(first);
  return first.amiss.length === 0 ? EXIT.ok : EXIT.amiss;
}

/** The content of one answer. */
interface Look {
  readonly answer: Json;
  readonly lines: readonly string[];
  /** Problems, one per line; the last of `lines`. */
  readonly amiss: readonly string[];
  /** Why nothing can be shown. */
  readonly error?: string;
}

function lookOnce(answer: Json, named: readonly string[]): Look {
  if (answer['ok'] !== true)
    return { answer, lines: [], amiss: [], error: (answer['error'] as { message: string }).message };
  const all = (answer['bundles'] ?? []) as Json[];
  const names = all.map(({ bundle }) => String(bundle));
  const unknown = named.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    const meant = nearestKey(unknown, names);
    const hint = meant === undefined ? '' : `; did you mean ${JSON.stringify(meant)}?`;
    const error = `no bundle ${JSON.stringify(unknown)}; configured: ${names.join(', ') || 'none'}${hint}`;
    return { answer, lines: [], amiss: [], error };
  }
  const bundles = named.length === 0 ? all : all.filter(({ bundle }) => named.includes(String(bundle)));
  const rows = bundles.map((view) => [
    String(view['bundle']),
    holderText(view),
    String(view['epoch']),
    String(view['state']),
    duration(view['leaseLeftMs'] as number | null),
    `${reasonText(view)}${ageText(view)}${view['evidence'] === 'none' ? ' [NO ISOLATION: evidence none]' : ''}`,
  ]);
  const head = ['BUNDLE', 'HOLDER', 'EPOCH', 'STATE', 'LEASE-LEFT', 'REASON'];
  const amiss = [...bundles.flatMap(bundleFaults), ...daemonFaults(answer)];
  return { answer: { ...answer, bundles }, lines: [...table([head, ...rows]), ...amiss], amiss };
}

/** Returns the problems of a bundle. */
export function bundleFaults(view: Json): string[] {
  const { bundle, state, phase, role } = view;
  const say = (text: string) => [`${bundle}: ${text}`];
  if (state === 'quarantined' || phase === 'quarantined')
    return say('in quarantine: nobody has it until an operator lifts it at the host');
  if (state === 'failed') return say('its driver did not resume');
  if (role !== undefined && phase === 'unknown')
    return say('who holds it is not known: the host has not reported yet');
  if (view['definitionDiffers'] === true || ((view['definitionDiffersFrom'] ?? []) as Json[]).length > 0)
    return say('its definitions differ: deploy the same bundle file everywhere');
  const barred = (view['rejections'] ?? []) as Json[];
  return barred.flatMap(({ vm }) => say(`${vm} rejected its last grant`));
}

/** Returns the problems of the daemon and its connections. */
function daemonFaults(answer: Json): string[] {
  const peers = ((answer['peers'] ?? []) as Json[]).flatMap((peer) => {
    if (peer['up'] !== true) return [absenceText(peer)];
    return peer['hint'] === undefined ? [] : [`${peer['peer']}: ${peer['hint']}`];
  });
  const { obstacle, writeFault, stopped } = answer;
  const isTold = typeof obstacle !== 'string' || peers.some((line) => line.includes(obstacle));
  const { forMs = 0, agoMs = STOPPED_SHOWN_MS } = (stopped ?? {}) as { forMs?: number; agoMs?: number };
  return [
    ...peers,
    ...(isTold ? [] : [String(obstacle)]),
    ...(writeFault ? [`NOT WRITTEN: ${writeFault}`] : []),
    ...(agoMs < STOPPED_SHOWN_MS
      ? [
          `the host did not run for ${duration(forMs)}, until ${duration(agoMs)} ago: ` +
            'it was stopped, or had no CPU time',
        ]
      : []),
  ];
}

/** Shows changes until interrupted or until the daemon ends. */
async function watch(
  world: CliWorld,
  client: ControlClient,
  first: Look,
  look: () => Promise<Look>,
  show: (look: Look) => void,
): Promise<number> {
  let wake: () => void = () => {};
  let giveUp: () => void = () => {};
  let isOver = false;
  client.onEvent(() => wake());
  const unhook = world.onSignal(() => {
    isOver = true;
    giveUp();
    wake();
  });
  /** A hung or stopped daemon does not block this. */
  const interrupted = new Promise<undefined>((resolve) => {
    giveUp = () => resolve(undefined);
  });
  /** Why nothing more can be shown. */
  let ended: string | undefined;
  void client.ended.then((reason) => {
    ended = `the daemon ended: ${reason}`;
    wake();
  });
  const hung = (error: Error) => {
    // The client itself reports the end of the connection.
    if (error instanceof HungError) ended ??= error.message;
  };
  await Promise.race([client.request({ do: 'watch' }).catch(hung), interrupted]);
  let shown: string | undefined;
  for (let now = first; !isOver && ended === undefined; ) {
    const sense = senseOf(now);
    if (sense !== shown) show(now);
    shown = sense;
    await new Promise<void>((resolve) => {
      const cancel = world.after(WATCH_MS, resolve);
      wake = () => {
        cancel();
        resolve();
      };
    });
    if (!isOver && ended === undefined) now = (await Promise.race([look().catch(hung), interrupted])) ?? now;
  }
  unhook();
  if (isOver) return EXIT.ok;
  world.err(`baton: ${ended}`);
  return EXIT.unavailable;
}

/** The shown text without times that only advance. */
function senseOf({ lines }: Look): string {
  return lines
    .join('\n')
    .replace(/\d+ m?s\b/g, 'T')
    .replace(/ +/g, ' ');
}

export const STATUS: Verb = {
  says: 'who holds what',
  help: HELP,
  daemon: ['agent', status],
  isWrapped: true,
};
