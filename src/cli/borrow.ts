/**
 * `baton borrow`: like flock and timeout in one. Holds a bundle while a command runs, or until it is interrupted.
 *
 * The command starts only after verified evidence. When the bundle is recalled it gets SIGTERM, and SIGKILL at
 * the end of the notice. When this process ends, however, the bundle goes back: the connection is the lease.
 */

import type { Json } from '../control/lines.ts';
import { parseWords, type Words } from './arguments.ts';
import { type Child, type CliWorld, type ControlClient, EXIT, parseDuration, UsageError } from './world.ts';

export const BORROW_HELP = `baton borrow BUNDLE [options] [-- COMMAND ARGUMENTS...]

Borrows a bundle, runs COMMAND while it is held, and gives it back. Without COMMAND it is held until
this process is interrupted (SIGINT, SIGTERM).

  -n, --no-wait           decline at once when the bundle is busy
  -w, --wait TIME         wait this long for an answer (default 5s); a busy bundle is asked for again
  --lease TIME            longest time of holding (default 30s)
  --min-tenure TIME       time in which the owner cannot call it in (default 0)
  --notice TIME           time between notice and force (default 2s)
  --purpose TEXT          what for; the owner's policy may look at it
  --min-evidence LEVEL    none, asserted, observed or attested (default observed)
  --json                  events as JSON lines
  --socket PATH           control socket of the agent

COMMAND finds BATON_BUNDLE, BATON_EPOCH and BATON_DEADLINE_MS (length of the lease) in its environment.
Exit status: that of COMMAND; 75 declined, 124 waited too long, 79 lost by force, 80 evidence mismatch.
`;

/** Time a command has after SIGTERM when the agent is gone, in ms. */
const KILL_AFTER_MS = 2_000;
/** Time between two tries for a busy bundle, in ms, unless the answer names a longer one. */
const RETRY_MS = 200;

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
  const granted = await ask(world, client, bundle, words);
  if (typeof granted === 'number') return granted;
  return hold(world, client, bundle, granted, words);
}

/** Asks until granted, declined for good, or out of time. */
async function ask(
  world: CliWorld,
  client: ControlClient,
  bundle: string,
  words: Words,
): Promise<Json | number> {
  const time = (name: string, otherwise: string) => parseDuration(words.values.get(name) ?? otherwise, name);
  const endMs = world.nowMs() + (words.flags.has('--no-wait') ? 0 : time('--wait', '5s'));
  const terms = {
    purpose: words.values.get('--purpose') ?? 'unspecified',
    leaseMs: time('--lease', '30s'),
    minTenureMs: time('--min-tenure', '0'),
    noticeMs: time('--notice', '2s'),
    evidence: words.values.get('--min-evidence') ?? 'observed',
  };
  for (;;) {
    const waitMs = Math.max(Math.round(endMs - world.nowMs()), 1_000);
    const answer = await client.request({ do: 'borrow', bundle, ...terms, waitMs });
    if (answer['ok'] === true) return answer;
    const error = answer['error'] as { code: string; message: string; retryAfterMs?: number };
    const leftMs = endMs - world.nowMs();
    const isBusy = error.code === 'declined' && (error.retryAfterMs ?? 0) > 0;
    if (!isBusy || leftMs <= RETRY_MS) {
      say(world, words, { event: error.code, bundle, ...error }, `${bundle}: ${error.message}`);
      // A busy bundle that stayed busy for the whole wait: waited too long, unless nobody wanted to wait.
      return isBusy && !words.flags.has('--no-wait') ? EXIT.waited : statusOf(error.code);
    }
    const retryMs = Math.max(RETRY_MS, Math.min(error.retryAfterMs ?? 0, leftMs - RETRY_MS));
    await new Promise<void>((resolve) => world.after(retryMs, resolve));
  }
}

function statusOf(code: string): number {
  if (code === 'declined' || code === 'inUse') return EXIT.declined;
  if (code === 'timedOut') return EXIT.waited;
  if (code === 'evidenceMismatch') return EXIT.evidence;
  return code === 'badRequest' ? EXIT.usage : EXIT.failed;
}

/** Holds the bundle while the command runs, or until somebody ends it. */
async function hold(
  world: CliWorld,
  client: ControlClient,
  bundle: string,
  granted: Json,
  words: Words,
): Promise<number> {
  say(
    world,
    words,
    { ...granted, event: 'granted' },
    `${bundle}: held at epoch ${granted['epoch']} for ${granted['leaseMs']} ms`,
  );
  let lost = false;
  let child: Child | undefined;
  let cancelKill: () => void = () => {};
  let stop: () => void = () => {};
  const stopped = new Promise<number>((resolve) => {
    stop = () => resolve(EXIT.ok);
  });
  const end = () => (child ? child.signal('SIGTERM') : stop());
  client.onEvent((event) => {
    if (event['bundle'] !== bundle) return;
    if (event['event'] === 'recalled') {
      say(world, words, event, `${bundle}: to be given back within ${event['ms']} ms (${event['cause']})`);
      end();
      // The agent suspends the driver before the notice ends, whether the command is gone or not.
      cancelKill();
      cancelKill = world.after(Number(event['ms']), () => child?.signal('SIGKILL'));
    }
    if (event['event'] === 'lost') {
      lost = true;
      say(world, words, event, `${bundle}: taken by force (${event['cause']})`);
      if (child) child.signal('SIGKILL');
      else stop();
    }
    // Given back by somebody else, or by the agent at the end of the notice.
    if (event['event'] === 'returned') end();
  });
  const unhook = world.onSignal(() => end());
  if (words.rest && words.rest.length > 0) {
    child = world.spawn(words.rest, {
      BATON_BUNDLE: bundle,
      BATON_EPOCH: String(granted['epoch']),
      BATON_DEADLINE_MS: String(granted['leaseMs']),
    });
  }
  const ended = child ? child.ended : stopped;
  const status = await Promise.race([ended, client.ended.then(() => undefined)]);
  unhook();
  cancelKill();
  if (status === undefined) {
    // The agent is gone, and the lease with it: whatever the command does now, it does without the bundle.
    say(world, words, { event: 'lost', bundle }, `${bundle}: the agent ended; the bundle goes back`);
    if (!child) return EXIT.lost;
    child.signal('SIGTERM');
    cancelKill = world.after(KILL_AFTER_MS, () => child?.signal('SIGKILL'));
    await ended;
    cancelKill();
    return EXIT.lost;
  }
  if (lost) return EXIT.lost;
  const back = await client.request({ do: 'return', bundle }).catch(() => undefined);
  if (back?.['ok']) say(world, words, { ...back, event: 'returned' }, `${bundle}: given back`);
  return lost ? EXIT.lost : status;
}

function say(world: CliWorld, words: Words, event: Json, text: string): void {
  if (words.flags.has('--json')) world.out(JSON.stringify(event));
  else world.err(`baton: ${text}`);
}
