/** `baton recall`: the owner asks for its bundle back. */

import type { Json } from '../../common/lines.ts';
import { parseWords } from '../arguments.ts';
import { oneBundle, tellOutcome } from '../order.ts';
import { answerWithin, HungError } from '../patience.ts';
import type { Verb } from '../verb.ts';
import { absenceText, recallText } from '../words.ts';
import { type CliWorld, type ControlClient, duration, EXIT, LOOK_MS, parseDuration } from '../world.ts';

const HELP = `baton recall BUNDLE [--grace TIME] [--force] [-w [TIME]] [--socket PATH]

The owner asks for its bundle back. With --force the return starts after the grace, but never before the minimum
hold time in the borrower's consent is over: the host gives the notice of that consent, then takes the bundle. With
an enforcer that cannot take a bundle from a live borrower, it comes back only when the borrower releases it or its
VM ends; recall reports that.

  --grace TIME        time given to the borrower (default 2s)
  --force             after the grace, start the return: with notice, then by force
  -w, --wait [TIME]   wait until the bundle is back and its driver active, for TIME at most
                      (default: the grace plus 10s)

TIME: seconds, as 90, or with units: 500ms, 30s, 2m, 1m30s.
Exit status: 0 the recall has begun; with -w: the bundle is back. 1 not lent, or the host does not answer, and nothing
comes back without it; with -w: back, but its driver does not resume, or in quarantine. 124 with -w: not back within
TIME.
`;

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
  const bundle = oneBundle(plain, 'recall');
  const json = flags.has('--json');
  const request = { do: 'recall', bundle, graceMs, force: flags.has('--force') };
  const done = (answer: Json) => recalledText(graceMs, request.force, answer);
  if (!flags.has('--wait')) {
    const answer = await client.request(request);
    const status = tellOutcome(world, answer, request, json, done);
    return status === EXIT.ok && answer['hostSilent'] !== undefined ? EXIT.failed : status;
  }
  const endMs = world.nowMs() + waitMs;
  const answer = await beforeEnd(world, client, request, endMs);
  if (answer === undefined) return ended(world, bundle, UNSAID, json);
  const { code } = (answer['error'] ?? {}) as { code?: string };
  // Moving or already back: no borrower to recall, but a return to wait for.
  if (answer['ok'] !== true && code !== 'notLent') return tellOutcome(world, answer, request, json, done);
  const asked = answer['ok'] === true ? `${done(answer)}; ` : '';
  if (!json) world.err(`baton: ${bundle}: ${asked}waiting until it is back, ${duration(waitMs)} at most`);
  return untilBack(world, client, bundle, endMs, json);
}

/** Returns the outcome of a recall, in one line. */
function recalledText(
  graceMs: number,
  isForced: boolean,
  { forceRevoke, hostSilent, isOffer }: Json,
): string {
  if (isOffer === true) return 'the offer is withdrawn: no borrower had it';
  if (hostSilent === undefined) return recallText(graceMs, isForced, forceRevoke);
  return (
    `the borrower was asked, but the host is silent, and nothing comes back before it answers: ` +
    absenceText(hostSilent as Json)
  );
}

/** Longest duration of a return after the grace, in ms: remap, guard time, resume. */
const RECALL_WAIT_MS = 10_000;
/** Time in which the agent must answer at the end of the wait, in ms. It asks others for half a second at most. */
const LAST_LOOK_MS = 1_000;

/** The text at the end of a wait, and the exit status. */
type End = readonly [text: string, status: number];

/** The wait ended before the agent answered. */
const UNSAID: End = ['not known to be back within the wait: the agent does not answer', EXIT.waited];

/** Final states of a recalled bundle, with text and exit status. */
const ENDS: Readonly<Record<string, End>> = {
  held: ['back', EXIT.ok],
  failed: ['back, but its driver did not resume; the agent tries again', EXIT.failed],
  quarantined: ['quarantined; an operator lifts it at the host', EXIT.failed],
};

/** Asks the agent; undefined when the wait ends before the answer. */
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

/** Reports how a wait ended. Returns the exit status. */
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

export const RECALL: Verb = { says: 'ask for a lent bundle back', help: HELP, daemon: ['agent', recall] };
