/** `baton lift`: ends a quarantine. */

import type { Json } from '../../common/lines.ts';
import { parseWords } from '../arguments.ts';
import { oneBundle, tellOutcome } from '../order.ts';
import type { Verb } from '../verb.ts';
import { fullReason } from '../words.ts';
import { type CliWorld, type ControlClient, EXIT, LOOK_MS } from '../world.ts';

const HELP = `baton lift BUNDLE [--socket PATH]

Ends a quarantine, on the host's own socket: everything is blocked, synced and reset once more, and the bundle
is parked if that succeeds. Also lets borrowers that rejected the bundle's evidence borrow again. Reports the outcome,
after 10 s at most.

Exit status: 0 lifted, or there was nothing to lift. 1 in quarantine again.
`;

/** Time after which the outcome of a lift is read for the last time, in ms: longer than a remap. */
const LIFT_MS = 10_000;

/** Text for what was lifted, by the host's `lifted` field. */
const LIFTED: Readonly<Record<string, string>> = {
  rejections: 'borrowers that rejected its evidence may borrow again',
  nothing: 'nothing to lift: it is not in quarantine, and no borrower is barred',
};

export async function lift(world: CliWorld, client: ControlClient, args: readonly string[]): Promise<number> {
  const { plain, flags } = parseWords(args, {});
  const bundle = oneBundle(plain, 'lift');
  const json = flags.has('--json');
  const request = { do: 'lift', bundle };
  const answer = await client.request(request);
  const text = LIFTED[String(answer['lifted'])];
  if (answer['ok'] !== true || text !== undefined)
    return tellOutcome(world, answer, request, json, text ?? '');
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

/** Returns the outcome of a lift, in one line. */
function liftText(view: Json): string {
  switch (view['state']) {
    case 'quarantined':
      return `not lifted, in quarantine again: ${fullReason(view)}`;
    case 'held':
      return `lifted: ${view['holder']} holds it`;
    case 'parked':
      return 'lifted: nobody holds it, its owner gets it';
    default:
      return `the lift is not finished: ${view['state']}; baton status --host shows its outcome`;
  }
}

export const LIFT: Verb = { says: 'end a quarantine (host)', help: HELP, daemon: ['host', lift] };
