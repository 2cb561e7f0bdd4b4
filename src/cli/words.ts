/** Answers of a control socket in words for people: why a request came to nothing, and what may be done. */

import type { Json } from '../common/lines.ts';
import { DECLINE_REASONS, MOVE_CAUSES, QUARANTINE_CAUSES, REFUSAL_CODES } from '../core/protocol/codes.ts';
import { type ControlClient, duration, UsageError } from './world.ts';

/** The `error` of an answer that is no grant. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly reason?: string;
  readonly retryAfterMs?: number;
  /** What the owner said besides. */
  readonly detail?: string;
}

/** Reasons of the borrower's own agent, besides those of docs/PROTOCOL.md, section 6. */
const OWN_REASONS: Readonly<Record<string, string>> = {
  inUse: 'another program of this VM borrows it, or is giving it back',
};
const SENTENCES: Readonly<Record<string, string>> = { ...REFUSAL_CODES, ...DECLINE_REASONS, ...OWN_REASONS };
const MOVES: Readonly<Record<string, string>> = MOVE_CAUSES;
/** A borrower's own hook that failed is not worth asking again; the owner's may be. */
const OWN_HOOK = 'a driver hook of this VM failed; the log of its agent says which';

/** Refusals that a missing session explains. */
const SILENCES: ReadonlySet<string> = new Set(['timedOut', 'notReady', 'hostSilent']);

/**
 * Why a borrow came to nothing, in one line. Asks the agent for what else it knows. `asked`: the evidence asked for;
 * `isGoingOn`: it is asked for again anyway.
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

/** Whom the agent has no session with. */
export async function silence(client: ControlClient): Promise<string> {
  const status = await answerOf(client, { do: 'status' });
  const missing = ((status?.['peers'] ?? []) as Json[]).filter(({ up }) => up !== true);
  return missing.map((peer) => `; ${absenceText(peer)}`).join('');
}

async function answerOf(client: ControlClient, request: Json): Promise<Json | undefined> {
  const answer = await client.request(request).catch(() => undefined);
  return answer?.['ok'] === true ? answer : undefined;
}

/** Messages begin with the bundle when they are about one; so does every line of `borrow`. */
function withoutName(bundle: string, message: string): string {
  return message.startsWith(`${bundle}: `) ? message.slice(bundle.length + 2) : message;
}

/** A peer that is not there: for how long, why, and when it was last heard. */
export function absenceText({ peer, forMs, heardMs, hint }: Json): string {
  const time = typeof forMs === 'number' ? ` for ${duration(forMs)}` : '';
  const heard = typeof heardMs === 'number' ? `, last heard ${duration(heardMs)} ago` : '';
  return `no session with ${peer}${time}${heard}${hint === undefined ? '' : `: ${hint}`}`;
}

/** The reason of a view, and whose definition differs from that of the daemon which was asked. */
export function reasonText(view: Json): string {
  const from = (view['definitionDiffersFrom'] ?? []) as readonly unknown[];
  const whose = from.length > 0 ? from.join(' and ') : 'somebody else';
  const isDifferent = from.length > 0 || view['definitionDiffers'] === true;
  return `${view['reason']}${isDifferent ? ` (bundle definition differs from that of ${whose})` : ''}`;
}

/** Answers of the host about a bundle that are older than this, in ms, are said to be old. */
const OLD_MS = 2_000;

/** How old a view of an agent is, where it is not fresh. */
export function ageText(view: Json): string {
  const { role, toldMs, phase } = view;
  if (role === undefined || phase === 'unknown' || toldMs === undefined) return '';
  if (toldMs === null) return '; the host has not said so yet';
  return Number(toldMs) < OLD_MS ? '' : `; as the host said ${duration(Number(toldMs))} ago`;
}

/** Who has a bundle: a VM, nobody, or why that cannot be said. Views of the host have their phase in `state`. */
export function holderText({ holder, phase, state, role }: Json): string {
  const stands = phase ?? (role === undefined ? state : undefined);
  if (typeof holder === 'string') return holder;
  if (stands === 'quarantined' || stands === 'moving') return stands;
  return stands === 'parked' ? 'nobody' : '?';
}

const FREELY = 'it comes back when the borrower gives it, or its VM ends';
const NOT_BEFORE = 'not before the agreed minimum hold time is over';

/**
 * What a recall does. `forceRevoke`: whether the enforcer takes from a holder that does not give back; null: nobody
 * has told.
 */
export function recallText(graceMs: number, isForced: boolean, forceRevoke: unknown): string {
  const time = duration(graceMs);
  if (!isForced) return `asked back: its borrower has ${time}`;
  if (forceRevoke === false)
    return `asked back: its borrower has ${time}; by force is not possible with this enforcer: ${FREELY}`;
  const where = forceRevoke === true ? '' : ', where the enforcer can';
  return `called in: by force after ${time} and the agreed notice${where}, but ${NOT_BEFORE}`;
}

/** The reason of a view with the sentence behind its code: a cause of quarantine comes first, any other last. */
export function fullReason(view: Json): string {
  const reason = String(view['reason']);
  const [first = ''] = /^\w+(?=, )/.exec(reason) ?? [];
  const [, last = ''] = /: (\w+)$/.exec(reason) ?? [];
  const causes: Readonly<Record<string, string>> = QUARANTINE_CAUSES;
  const sentence = own(causes, first) ?? own({ ...MOVES, ...SENTENCES }, last);
  return `${reasonText(view)}${sentence === undefined ? '' : ` (${sentence})`}`;
}

/** Why a bundle moves: the code and its sentence. */
export function causeText(cause: unknown): string {
  const sentence = own(MOVES, String(cause));
  return sentence === undefined ? String(cause ?? 'cause not told') : `${cause}: ${sentence}`;
}

/** The sentence of a word, which others may have chosen: `constructor` has none. */
function own(sentences: Readonly<Record<string, string>>, word: string): string | undefined {
  return Object.hasOwn(sentences, word) ? sentences[word] : undefined;
}

/** A value of a view or an event: times of phases with their unit, broken numbers with one digit. */
export function valueText(value: unknown): string {
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : value.toFixed(1);
  if (typeof value !== 'object' || value === null) return String(value);
  const entries = Object.entries(value);
  if (!Array.isArray(value) && entries.every(([, inner]) => typeof inner === 'number'))
    return entries.map(([name, ms]) => `${name} ${valueText(ms)} ms`).join(', ') || 'none';
  return JSON.stringify(value);
}

/** A client that says so when the socket is that of the other daemon, which does not know the command. */
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

/** Why nobody could be reached at a control socket, and what to do. */
export function connectText(message: string, kind: 'agent' | 'host', path: string): string {
  const start = `start baton-${kind} --config FILE, or name another socket with --socket`;
  if (message.includes('EACCES'))
    return `no ${kind} at ${path}: this user may not connect; run this as the user of baton-${kind}, or as root`;
  if (message.includes('ENOENT')) return `no ${kind} at ${path}: no such socket; ${start}`;
  if (message.includes('ECONNREFUSED'))
    return `no ${kind} at ${path}: nobody listens there any more; ${start}`;
  return `no ${kind} at ${path}: ${message}; ${start}`;
}
