/** Turns answers of a control socket into text for people: why a request failed, and what can be done. Pure. */

import type { Json } from '../common/lines.ts';
import { DECLINE_REASONS, MOVE_CAUSES, QUARANTINE_CAUSES, REFUSAL_CODES } from '../core/protocol/codes.ts';
import { type ControlClient, duration, UsageError } from './world.ts';

/** The `error` of a refused borrow. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly reason?: string;
  readonly retryAfterMs?: number;
  /** The owner's explanation. */
  readonly detail?: string;
}

/** Reasons of the borrower's own agent, besides those of docs/PROTOCOL.md, section 6. */
const OWN_REASONS: Readonly<Record<string, string>> = {
  inUse: 'another program of this VM borrows it, or is giving it back',
};
const SENTENCES: Readonly<Record<string, string>> = { ...REFUSAL_CODES, ...DECLINE_REASONS, ...OWN_REASONS };
const MOVES: Readonly<Record<string, string>> = MOVE_CAUSES;
/** A retry is useless after a failed hook of the borrower, but not of the owner. */
const OWN_HOOK = 'a driver hook of this VM failed; the log of its agent says which';

/** Refusals that a missing session may explain. */
const SILENCES: ReadonlySet<string> = new Set(['timedOut', 'notReady', 'hostSilent']);

/**
 * Returns why a borrow failed, in one line. Asks the agent for further details. `asked`: the requested evidence;
 * `isGoingOn`: the request is repeated anyway.
 */
export async function refusalText(
  client: ControlClient,
  bundle: string,
  error: Refusal,
  asked: string,
  isGoingOn = false,
): Promise<string> {
  const { code, message, reason } = error;
  const isOfEvidence = code === 'evidenceMismatch' && message.includes('evidence ');
  if (reason === 'evidenceTooWeak' || isOfEvidence) {
    const view = await answerOf(client, { do: 'describe', bundle });
    const gives =
      typeof view?.['evidence'] === 'string' ? `, and the enforcer gives ${view['evidence']}` : '';
    return `${withoutName(bundle, code === 'declined' ? declined(error) : message)}: asked for ${asked}${gives}`;
  }
  const text = code === 'declined' ? declined(error, isGoingOn) : withoutName(bundle, message);
  return SILENCES.has(reason ?? code) ? `${text}${await silence(client)}` : text;
}

function declined({ reason = 'no reason', retryAfterMs = 0, detail }: Refusal, isGoingOn = false): string {
  const sentence = reason === 'hookFailed' && retryAfterMs === 0 ? OWN_HOOK : own(SENTENCES, reason);
  const more = detail === undefined ? '' : `: ${detail}`;
  const again = retryAfterMs > 0 && !isGoingOn ? `; ask again in ${duration(retryAfterMs)}` : '';
  return `declined: ${reason}${sentence === undefined ? '' : ` (${sentence})`}${more}${again}`;
}

/** Peers without a session with the agent. */
export async function silence(client: ControlClient): Promise<string> {
  const status = await answerOf(client, { do: 'status' });
  const missing = ((status?.['peers'] ?? []) as Json[]).filter(({ up }) => up !== true);
  return missing.map((peer) => `; ${absenceText(peer)}`).join('');
}

async function answerOf(client: ControlClient, request: Json): Promise<Json | undefined> {
  const answer = await client.request(request).catch(() => undefined);
  return answer?.['ok'] === true ? answer : undefined;
}

/** Messages about a bundle start with its name, and so does every line of `borrow`. */
function withoutName(bundle: string, message: string): string {
  return message.startsWith(`${bundle}: `) ? message.slice(bundle.length + 2) : message;
}

/** Describes a missing peer: for how long, why, and when it was last heard. */
export function absenceText({ peer, forMs, heardMs, hint }: Json): string {
  const time = typeof forMs === 'number' ? ` for ${duration(forMs)}` : '';
  const heard = typeof heardMs === 'number' ? `, last heard ${duration(heardMs)} ago` : '';
  return `no session with ${peer}${time}${heard}${hint === undefined ? '' : `: ${hint}`}`;
}

/** What a place in the owner's queue means. The present borrower may be done sooner. */
export function queuedText(position: number, expectedMs: number): string {
  const place = position === 0 ? 'next in turn' : `${position} before it`;
  return `queued: ${place}, in ${duration(expectedMs)} at the latest`;
}

/** Returns the reason of a view, who waits, and which parties have a different definition. */
export function reasonText(view: Json): string {
  const waiting = (view['waiting'] ?? []) as readonly unknown[];
  const waits = waiting.length > 0 ? `; waiting: ${waiting.join(', ')}` : '';
  const place = view['place'] as
    | { readonly position: number; readonly expectedMs: number }
    | null
    | undefined;
  const from = (view['definitionDiffersFrom'] ?? []) as readonly unknown[];
  const whose = from.length > 0 ? from.join(' and ') : 'another party';
  const isDifferent = from.length > 0 || view['definitionDiffers'] === true;
  const reason = place ? queuedText(place.position, place.expectedMs) : view['reason'];
  return `${reason}${waits}${isDifferent ? ` (bundle definition differs from that of ${whose})` : ''}`;
}

/** A host's answer about a bundle older than this, in ms, is marked as old. */
const OLD_MS = 2_000;

/** Returns the age of an agent's view, if it is not fresh. */
export function ageText(view: Json): string {
  const { role, toldMs, phase } = view;
  if (role === undefined || phase === 'unknown' || toldMs === undefined) return '';
  if (toldMs === null) return '; the host has not reported it yet';
  return Number(toldMs) < OLD_MS ? '' : `; as the host reported ${duration(Number(toldMs))} ago`;
}

/** Returns the holder of a bundle: a VM, nobody, or the state. Views of the host have the state in `state`. */
export function holderText({ holder, phase, state, role }: Json): string {
  const stands = phase ?? (role === undefined ? state : undefined);
  if (typeof holder === 'string') return holder;
  if (stands === 'quarantined' || stands === 'moving') return stands;
  return stands === 'parked' ? 'nobody' : '?';
}

const FREELY = 'it comes back when the borrower releases it, or its VM ends';
const NOT_BEFORE = 'not before the agreed minimum hold time is over';

/** Returns the effect of a recall. `forceRevoke`: whether the enforcer can force a return; null: not known. */
export function recallText(graceMs: number, isForced: boolean, forceRevoke: unknown): string {
  const time = duration(graceMs);
  if (!isForced) return `asked back: its borrower has ${time}`;
  if (forceRevoke === false)
    return `asked back: its borrower has ${time}; this enforcer cannot force a return: ${FREELY}`;
  const where = forceRevoke === true ? '' : ', where the enforcer can';
  return `recalled: by force after ${time} and the agreed notice${where}, but ${NOT_BEFORE}`;
}

/** Returns the reason of a view with the sentence for its code: a cause of quarantine comes first, any other last. */
export function fullReason(view: Json): string {
  const reason = String(view['reason']);
  const [first = ''] = /^\w+(?=, )/.exec(reason) ?? [];
  const [, last = ''] = /: (\w+)$/.exec(reason) ?? [];
  const causes: Readonly<Record<string, string>> = QUARANTINE_CAUSES;
  const sentence = own(causes, first) ?? own({ ...MOVES, ...SENTENCES }, last);
  return `${reasonText(view)}${sentence === undefined ? '' : ` (${sentence})`}`;
}

/** Returns the cause of a move: the code and its sentence. */
export function causeText(cause: unknown): string {
  const sentence = own(MOVES, String(cause));
  return sentence === undefined ? String(cause ?? 'cause not told') : `${cause}: ${sentence}`;
}

/** Returns the sentence for a code that others may have chosen: `constructor` has none. */
function own(sentences: Readonly<Record<string, string>>, word: string): string | undefined {
  return Object.hasOwn(sentences, word) ? sentences[word] : undefined;
}

/** Returns the text for a value of a view or an event: phase times with their unit, fractions with one digit. */
export function valueText(value: unknown): string {
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : value.toFixed(1);
  if (typeof value !== 'object' || value === null) return String(value);
  const entries = Object.entries(value);
  if (!Array.isArray(value) && entries.every(([, inner]) => typeof inner === 'number'))
    return entries.map(([name, ms]) => `${name} ${valueText(ms)} ms`).join(', ') || 'none';
  return JSON.stringify(value);
}

/** A client that reports when the socket belongs to the other daemon, which does not know the command. */
export function guardSocket(
  client: ControlClient,
  command: string,
  kind: 'agent' | 'host',
  path: string,
): ControlClient {
  const other = kind === 'agent' ? 'the host' : 'an agent';
  return {
    ...client,
    request: async (request) => {
      const answer = await client.request(request);
      const { message = '' } = (answer['error'] ?? {}) as Partial<Refusal>;
      if (!message.startsWith('"do" is ')) return answer;
      const right = kind === 'agent' ? 'of an agent' : 'of the host';
      throw new UsageError(
        `${path} is the socket of ${other}: baton ${command} takes that ${right}, by --socket`,
      );
    },
  };
}

/** Returns why a control socket cannot be reached, and what to do. */
export function connectText(message: string, kind: 'agent' | 'host', path: string): string {
  const start = `start baton-${kind} --config FILE, or name another socket with --socket`;
  if (message.includes('EACCES'))
    return `no ${kind} at ${path}: this user may not connect; run this as the user of baton-${kind}, or as root`;
  if (message.includes('ENOENT')) return `no ${kind} at ${path}: no such socket; ${start}`;
  if (message.includes('ECONNREFUSED'))
    return `no ${kind} at ${path}: nobody listens there any more; ${start}`;
  return `no ${kind} at ${path}: ${message}; ${start}`;
}
