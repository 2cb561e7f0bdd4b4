/**
 * `baton return`, `recall`, `sleep`, `wake`, `lift`: orders that change something, each one request on a control
 * socket.
 */

import type { Json } from '../common/lines.ts';
import { parseWords } from './arguments.ts';
import { answerWithin, HungError } from './patience.ts';
import { absenceText, fullReason, recallText } from './words.ts';
import { type CliWorld, type ControlClient, duration, EXIT, parseDuration, UsageError } from './world.ts';

export const RETURN_HELP = `baton return BUNDLE [--socket PATH]

Gives a bundle back that a program of this VM borrows. Returns when the host has taken it.
`;
export const RECALL_HELP = `baton recall BUNDLE [--grace TIME] [--force] [-w [TIME]] [--socket PATH]

The owner asks for its bundle back. With --force the return starts after the grace, but never before the minimum
minHold to which the borrower's consent entitles it: the host gives the notice of that consent, then takes the
bundle. An enforcer that cannot take from a live borrower makes that its release or the end of its VM: recall says
so.

  --grace TIME        time that the borrower has (default 2s)
  --force             the return starts after that, with notice, and ends by force
  -w, --wait [TIME]   return when the bundle is back and its driver active, after TIME at most
                      (default: the grace and 10s)

TIME: seconds, as 90, or with units: 500ms, 30s, 2m, 1m30s.
Exit status: 0 it was called in; with -w: it is back. 1 it is not lent, or the host is silent, without which nothing
comes back; with -w: it is back and its driver does not resume, or it came to quarantine in place of back. 124 with -w:
not back within the time.
`;
export const SLEEP_HELP = `baton sleep [--grace TIME] [-w TIME] [--socket PATH]

For an owner whose whole system is about to sleep: calls every lent bundle in, after the grace (default 2s) by
force where the enforcer can, and lends nothing until baton wake. Returns when none is lent any more. Exit status 75
when that did not come about within the wait (default 10s): then the system should stay awake, and requests are heard
again. Where no agent runs, nothing is called in and the exit status is 0; one that is being started again is waited
for.
`;
export const WAKE_HELP = `baton wake [--socket PATH]

The owner's system is awake: requests are heard again.
`;
export const LIFT_HELP = `baton lift BUNDLE [--socket PATH]

Ends a quarantine, on the host's own socket: everything is blocked, synced and reset once more, and the bundle
is parked if that succeeds. Also forgives borrowers that rejected the bundle's evidence. Says how it ended, after 10 s
at most.

Exit status: 0 it was lifted, or there was nothing to lift. 1 it is in quarantine again.
`;

const SLEEP_WORDS = { '--grace': 'value', '--wait': 'value' } as const;

export async function giveBack(
  world: CliWorld,
  client: ControlClient,
  args: readonly string[],
): Promise<number> {
  const { plain, flags } = parseWords(args, {});
  return order(
    world,
    client,
    { do: 'return', bundle: one(plain, 'return') },
    flags.has('--json'),
    'given back',
  );
}

export async function recall(
  world: CliWorld,
  client: ControlClient,
  args: readonly string[],
): Promise<number> {
  const { plain, flags, values } = parseWords(args, {
    '--grace': 'value',
    '--force': 'flag',
    '--wait': 'time',
  });
  const graceMs = parseDuration(values.get('--grace') ?? '2s', '--grace');
  const wait = values.get('--wait');
  const waitMs = wait === undefined ? graceMs + RECALL_WAIT_MS : parseDuration(wait, '--wait');
  const bundle = one(plain, 'recall');
  const json = flags.has('--json');
  const request = { do: 'recall', bundle, graceMs, force: flags.has('--force') };
  const done = (answer: Json) => recalledText(graceMs, request.force, answer);
  if (!flags.has('--wait')) {
    const answer = await client.request(request);
    const status = told(world, answer, request, json, done);
    return status === EXIT.ok && answer['hostSilent'] !== undefined ? EXIT.failed : status;
  }
  const endMs = world.nowMs() + waitMs;
  const answer = await beforeEnd(world, client, request, endMs);
  if (answer === undefined) return ended(world, bundle, UNSAID, json);
  const { code } = (answer['error'] ?? {}) as { code?: string };
  // On its way, or back already: then there is nothing to be called in, but something to wait for.
  if (answer['ok'] !== true && code !== 'notLent') return told(world, answer, request, json, done);
  const asked = answer['ok'] === true ? `${done(answer)}; ` : '';
  if (!json) world.err(`baton: ${bundle}: ${asked}waiting until it is back, ${duration(waitMs)} at most`);
  return untilBack(world, client, bundle, endMs, json);
}

/** What became of a recall, in one line. */
function recalledText(graceMs: number, isForced: boolean, { forceRevoke, hostSilent }: Json): string {
  if (hostSilent === undefined) return recallText(graceMs, isForced, forceRevoke);
  return (
    `the borrower was asked, but the host is silent, and nothing comes back before it answers: ` +
    absenceText(hostSilent as Json)
  );
}

/** Time that a return takes at most, beyond the grace: remap, guard time, resume. In ms. */
const RECALL_WAIT_MS = 10_000;
/** Time that the agent has to answer at the end of the wait, in ms: it asks others for half a second at most. */
const LAST_LOOK_MS = 1_000;
/** Time between two looks at a bundle that is to come back, in ms. */
const LOOK_MS = 50;

/** What is said at the end of a wait, and the exit status. */
type End = readonly [text: string, status: number];

/** The wait is over before the agent has answered. */
const UNSAID: End = ['not back within the wait, as far as is known: the agent does not answer', EXIT.waited];

/** Where a bundle ends that is called in, with what is said of it and the exit status. */
const ENDS: Readonly<Record<string, End>> = {
  held: ['back', EXIT.ok],
  failed: ['back, but its driver did not resume; it is tried again', EXIT.failed],
  quarantined: ['in quarantine; an operator lifts it at the host', EXIT.failed],
};

/** Asks the agent; undefined when the wait is over before it answers. */
async function beforeEnd(
  world: CliWorld,
  client: ControlClient,
  request: Json,
  endMs: number,
): Promise<Json | undefined> {
  try {
    return await answerWithin(world, client, request, Math.max(endMs - world.nowMs(), LAST_LOOK_MS));
  } catch (error) {
    if (error instanceof HungError && world.nowMs() >= endMs) return undefined;
    throw error;
  }
}

/** Says how a wait has ended. Returns the exit status. */
function ended(world: CliWorld, bundle: string, [text, status]: End, json: boolean, state?: string): number {
  if (json) world.out(JSON.stringify({ ok: status === EXIT.ok, bundle, state: state ?? null, text }));
  else world.err(`baton: ${bundle}: ${text}`);
  return status;
}

async function untilBack(
  world: CliWorld,
  client: ControlClient,
  bundle: string,
  endMs: number,
  json: boolean,
): Promise<number> {
  for (;;) {
    const view = await beforeEnd(world, client, { do: 'describe', bundle }, endMs);
    if (view === undefined) return ended(world, bundle, UNSAID, json);
    const state = String(view['state']);
    const end = Object.hasOwn(ENDS, state) ? ENDS[state] : undefined;
    const late: End | undefined =
      world.nowMs() >= endMs ? [`not back within the wait: ${state}`, EXIT.waited] : undefined;
    const over = end ?? late;
    if (over) return ended(world, bundle, over, json, state);
    await new Promise<void>((resolve) => void world.after(LOOK_MS, resolve));
  }
}

export async function sleep(
  world: CliWorld,
  client: ControlClient,
  args: readonly string[],
): Promise<number> {
  const { plain, flags, values } = parseWords(args, SLEEP_WORDS);
  if (plain.length > 0) throw new UsageError('sleep takes no BUNDLE: it is about all of them');
  const graceMs = parseDuration(values.get('--grace') ?? '2s', '--grace');
  const waitMs = parseDuration(values.get('--wait') ?? '10s', '--wait');
  const request = { do: 'sleep', graceMs, waitMs };
  return order(world, client, request, flags.has('--json'), 'nothing is lent');
}

/** Time between two tries to reach an agent that is being started again, in ms. */
const AGAIN_MS = 200;
const REFUSED = /\bECONNREFUSED\b/;

/** `baton sleep` where no agent answers: a machine without one may sleep. One that ran is given time to come back. */
export async function sleepWithoutAgent(
  world: CliWorld,
  args: readonly string[],
  error: Error,
  connect: () => Promise<ControlClient>,
): Promise<number> {
  const { values } = parseWords(args, SLEEP_WORDS);
  const endMs = world.nowMs() + parseDuration(values.get('--wait') ?? '10s', '--wait');
  // The socket of an agent that was killed refuses; one that never ran has none.
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
  world.err('baton: no agent answers: nothing was called in');
  return EXIT.ok;
}

/** `baton wake` where no agent answers: one that starts hears requests anyway. */
export async function wakeWithoutAgent(world: CliWorld): Promise<number> {
  world.err('baton: no agent answers: there is nothing to wake');
  return EXIT.ok;
}

export async function wake(world: CliWorld, client: ControlClient, args: readonly string[]): Promise<number> {
  const { flags } = parseWords(args, {});
  return order(world, client, { do: 'wake' }, flags.has('--json'), 'requests are heard');
}

/** Time that a lift has until its outcome is looked at for the last time, in ms: a remap takes less. */
const LIFT_MS = 10_000;

/** What a lift found, as the host says it in `lifted`. */
const LIFTED: Readonly<Record<string, string>> = {
  rejections: 'borrowers that rejected its evidence may borrow again',
  nothing: 'nothing to lift: it is not in quarantine, and no borrower is barred',
};

export async function lift(world: CliWorld, client: ControlClient, args: readonly string[]): Promise<number> {
  const { plain, flags } = parseWords(args, {});
  const bundle = one(plain, 'lift');
  const json = flags.has('--json');
  const request = { do: 'lift', bundle };
  const answer = await client.request(request);
  const text = LIFTED[String(answer['lifted'])];
  if (answer['ok'] !== true || text !== undefined) return told(world, answer, request, json, text ?? '');
  const endMs = world.nowMs() + LIFT_MS;
  let view = answer;
  while (view['state'] === 'moving' && world.nowMs() < endMs) {
    await new Promise<void>((resolve) => void world.after(LOOK_MS, resolve));
    view = { ...(await client.request({ do: 'describe', bundle })), lifted: answer['lifted'] };
  }
  const { events: _, ...brief } = view;
  if (json) world.out(JSON.stringify(brief));
  else world.err(`baton: ${bundle}: ${liftText(view)}`);
  return view['state'] === 'quarantined' ? EXIT.failed : EXIT.ok;
}

/** How a lift has ended, in one line. */
function liftText(view: Json): string {
  switch (view['state']) {
    case 'quarantined':
      return `not lifted, in quarantine again: ${fullReason(view)}`;
    case 'held':
      return `lifted: ${view['holder']} holds it`;
    case 'parked':
      return 'lifted: nobody holds it, its owner gets it';
    default:
      return `the lift goes on: ${view['state']}; baton status --host says how it ends`;
  }
}

function one(plain: readonly string[], command: string): string {
  const [bundle] = plain;
  if (bundle === undefined || plain.length > 1) throw new UsageError(`${command} takes one BUNDLE`);
  return bundle;
}

async function order(
  world: CliWorld,
  client: ControlClient,
  request: Json,
  json: boolean,
  done: string | ((answer: Json) => string),
): Promise<number> {
  return told(world, await client.request(request), request, json, done);
}

/** Says what became of an order, and returns the exit status. */
function told(
  world: CliWorld,
  answer: Json,
  request: Json,
  json: boolean,
  done: string | ((answer: Json) => string),
): number {
  if (json) world.out(JSON.stringify(answer));
  else if (answer['ok'] === true) {
    const text = typeof done === 'string' ? done : done(answer);
    world.err(`baton: ${request['bundle'] ?? 'agent'}: ${text}`);
  } else world.err(`baton: ${(answer['error'] as { message: string }).message}`);
  if (answer['ok'] === true) return EXIT.ok;
  return (answer['error'] as { code: string }).code === 'stillLent' ? EXIT.declined : EXIT.failed;
}
