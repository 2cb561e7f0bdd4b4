/**
 * `baton borrow`: like flock and timeout in one. Holds a bundle while a command runs, or until it is interrupted.
 *
 * The command starts only after verified evidence. When the bundle is recalled it gets SIGTERM, and SIGKILL at
 * the end of the notice. When this process ends, however, the bundle goes back: the connection is the lease.
 */

import type { Json } from '../control/lines.ts';
import { EVIDENCE_LEVELS } from '../protocol/codes.ts';
import { parseWords, type Words } from './arguments.ts';
import { causeText, type Refusal, refusalText } from './words.ts';
import {
  type Child,
  type CliWorld,
  type ControlClient,
  duration,
  EXIT,
  parseDuration,
  UsageError,
} from './world.ts';

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

/** Time a command has after SIGTERM when the bundle is gone already, in ms. */
const KILL_AFTER_MS = 2_000;
/** Time that the owner has to answer somebody who does not want to wait, in ms. */
const ANSWER_MS = 1_000;
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
  const unfit = unfitness(world, words.rest?.[0]);
  if (unfit !== undefined) return unfit;
  const holding = new Holding(world, client, bundle, words);
  const granted = await ask(world, client, bundle, words);
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

/** Asks until granted, declined for good, or out of time. */
async function ask(
  world: CliWorld,
  client: ControlClient,
  bundle: string,
  words: Words,
): Promise<Json | number> {
  const time = (name: string, otherwise: string) => parseDuration(words.values.get(name) ?? otherwise, name);
  const isPatient = !words.flags.has('--no-wait');
  const endMs = world.nowMs() + (isPatient ? time('--wait', '5s') : ANSWER_MS);
  const terms = {
    purpose: words.values.get('--purpose') ?? 'unspecified',
    leaseMs: time('--lease', '30s'),
    minTenureMs: time('--min-tenure', '0'),
    noticeMs: time('--notice', '2s'),
    evidence: words.values.get('--min-evidence') ?? 'observed',
  };
  if (!EVIDENCE_LEVELS.some((level) => level === terms.evidence))
    throw new UsageError(`--min-evidence ${terms.evidence}: expected ${EVIDENCE_LEVELS.join(', ')}`);
  for (;;) {
    const waitMs = Math.max(Math.round(endMs - world.nowMs()), 1);
    const answer = await client.request({ do: 'borrow', bundle, ...terms, waitMs });
    if (answer['ok'] === true) return answer;
    const error = answer['error'] as Refusal;
    const leftMs = endMs - world.nowMs();
    if (!isPatient || !isBusy(error) || leftMs <= RETRY_MS) {
      const text = words.flags.has('--json') ? '' : await refusalText(client, bundle, error, terms.evidence);
      say(world, words, { event: error.code, bundle, ...error }, `${bundle}: ${text}`);
      // Busy to the end of the wait: waited too long, unless nobody wanted to wait.
      return isPatient && isBusy(error) ? EXIT.waited : statusOf(error);
    }
    const retryMs = Math.max(RETRY_MS, Math.min(error.retryAfterMs ?? 0, leftMs - RETRY_MS));
    await new Promise<void>((resolve) => world.after(retryMs, resolve));
  }
}

/** Whether asking again may help. Another program of this VM does not say when it will be done. */
function isBusy({ code, retryAfterMs = 0 }: Refusal): boolean {
  return code === 'inUse' || (code === 'declined' && retryAfterMs > 0);
}

function statusOf({ code, reason }: Refusal): number {
  // Refused before anything went dark, or found by the agent's own check of what it was granted.
  if (code === 'evidenceMismatch' || reason === 'evidenceTooWeak') return EXIT.evidence;
  if (code === 'declined' || code === 'inUse') return EXIT.declined;
  if (code === 'timedOut') return EXIT.waited;
  if (code === 'lost') return EXIT.lost;
  return code === 'badRequest' ? EXIT.usage : EXIT.failed;
}

/**
 * Holds the bundle while the command runs, or until somebody ends it. Listens from the start, for a recall may come
 * with the grant.
 */
class Holding {
  readonly #world: CliWorld;
  readonly #client: ControlClient;
  readonly #bundle: string;
  readonly #words: Words;
  /** Events that came before the grant was looked at. */
  #early: Json[] | undefined = [];
  #child: Child | undefined;
  #isLost = false;
  /** The command has been told to end, and will be killed. */
  #isEnding = false;
  #cancelKill: () => void = () => {};
  #stop: () => void = () => {};

  constructor(world: CliWorld, client: ControlClient, bundle: string, words: Words) {
    this.#world = world;
    this.#client = client;
    this.#bundle = bundle;
    this.#words = words;
    client.onEvent((event) => (this.#early ? this.#early.push(event) : this.#on(event)));
  }

  /** Returns the exit status when it is over. */
  async run(granted: Json, warning: string): Promise<number> {
    const { epoch, leaseMs } = granted;
    this.#say(
      { ...granted, event: 'granted' },
      `held at epoch ${epoch} for ${duration(Number(leaseMs))}${warning}`,
    );
    const stopped = new Promise<number>((resolve) => {
      this.#stop = () => resolve(EXIT.ok);
    });
    const command = this.#words.rest ?? [];
    const unhook = this.#world.onSignal(() => this.#end());
    if (command.length > 0) {
      this.#child = this.#world.spawn(command, {
        BATON_BUNDLE: this.#bundle,
        BATON_EPOCH: String(epoch),
        BATON_DEADLINE_MS: String(leaseMs),
      });
    }
    for (const event of this.#early ?? []) this.#on(event);
    this.#early = undefined;
    const ended = this.#child ? this.#child.ended : stopped;
    const status = await Promise.race([ended, this.#client.ended.then(() => undefined)]);
    unhook();
    if (status === undefined) return this.#agentEnded(ended);
    this.#cancelKill();
    if (this.#isLost) return EXIT.lost;
    const back = await this.#client.request({ do: 'return', bundle: this.#bundle }).catch(() => undefined);
    if (back?.['ok']) this.#say({ ...back, event: 'returned' }, 'given back');
    return this.#isLost ? EXIT.lost : status;
  }

  /** The agent is gone, and the lease with it: whatever the command does now, it does without the bundle. */
  async #agentEnded(ended: Promise<number>): Promise<number> {
    this.#say({ event: 'lost', bundle: this.#bundle }, 'the agent ended; the bundle goes back');
    if (this.#child) {
      this.#endWithin(KILL_AFTER_MS);
      await ended;
      this.#cancelKill();
    }
    return EXIT.lost;
  }

  #on(event: Json): void {
    // The host is silent: the command goes on, but whoever reads this should ask for no secrets.
    if (event['event'] === 'hostDown') this.#say(event, `nobody vouches for it: ${event['reason']}`);
    if (event['bundle'] !== this.#bundle) return;
    switch (event['event']) {
      case 'recalled':
        this.#say(
          event,
          `to be given back within ${duration(Number(event['ms']))} (${causeText(event['cause'])})`,
        );
        // The agent suspends the driver before the notice ends, whether the command is gone or not.
        return this.#endWithin(Number(event['ms']));
      case 'lost':
        this.#isLost = true;
        this.#say(event, `taken by force (${causeText(event['cause'])})`);
        if (this.#child) return this.#child.signal('SIGKILL');
        return this.#stop();
      case 'returned':
        // By another program, or by the agent shortly before the end of a notice, which then counts on.
        this.#say(event, 'given back');
        return this.#isEnding ? undefined : this.#endWithin(KILL_AFTER_MS);
    }
  }

  /** Asks the command to end. */
  #end(): void {
    if (this.#child) this.#child.signal('SIGTERM');
    else this.#stop();
  }

  /** Asks the command to end, and ends it after `ms`. */
  #endWithin(ms: number): void {
    this.#isEnding = true;
    this.#end();
    this.#cancelKill();
    this.#cancelKill = this.#world.after(ms, () => this.#child?.signal('SIGKILL'));
  }

  #say(event: Json, text: string): void {
    say(this.#world, this.#words, event, `${this.#bundle}: ${text}`);
  }
}

function say(world: CliWorld, words: Words, event: Json, text: string): void {
  if (words.flags.has('--json')) world.out(JSON.stringify(event));
  else world.err(`baton: ${text}`);
}
