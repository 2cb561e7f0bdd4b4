/**
 * The request part of `baton borrow`: asks until granted, finally refused, or timed out, and reports what it waits
 * for.
 */

import type { Json } from '../common/lines.ts';
import { EVIDENCE_LEVELS } from '../core/protocol/codes.ts';
import type { Words } from './arguments.ts';
import { queuedText, type Refusal, refusalText, silence } from './words.ts';
import { type CliWorld, type ControlClient, EXIT, parseDuration, UsageError } from './world.ts';

/** Time for the owner's answer with --no-wait, in ms. */
const ANSWER_MS = 1_000;
/**
 * Time that an agent may take beyond the given wait, in ms: a handover that has begun continues through a reservation
 * (5 s), a remap and the hooks.
 */
const AGENT_SLACK_MS = 15_000;
/** Error text for an agent that takes longer. */
const HUNG = 'the agent of this VM does not answer: is it stopped?';
/** Time between two requests for a busy bundle, in ms, unless the answer names a longer one. */
const RETRY_MS = 200;
/** The reason of the wait is shown after this time, in ms: a handover takes less. */
const SAY_AFTER_MS = 500;

/** Refusals without a decision: the request was not examined, or the bundle is elsewhere now. */
const NO_ANSWER: ReadonlySet<string> = new Set([
  'inUse',
  'busy',
  'notReady',
  'notHolder',
  'policyTimeout',
  'hostSilent',
  'epochStale',
  'consentStale',
  'reservationLapsed',
  'timedOut',
]);

/** The borrow request on the control socket. */
interface Asked {
  readonly bundle: string;
  readonly purpose: string;
  readonly leaseMs: number;
  readonly minHoldMs: number;
  readonly noticeMs: number;
  readonly evidence: string;
  /** Whether it may wait in the owner's queue. */
  readonly queue: boolean;
}

/** Requests a bundle. */
export class Asking {
  readonly #world: CliWorld;
  readonly #client: ControlClient;
  readonly #words: Words;
  readonly #asked: Asked;
  readonly #isPatient: boolean;
  readonly #waitMs: number;
  /** Reasons already shown. */
  readonly #said = new Set<string>();
  #cancel: () => void = () => {};

  /** Throws a UsageError. */
  constructor(world: CliWorld, client: ControlClient, bundle: string, words: Words) {
    const time = (name: string, otherwise: string) =>
      parseDuration(words.values.get(name) ?? otherwise, name);
    this.#world = world;
    this.#client = client;
    this.#words = words;
    this.#isPatient = !words.flags.has('--no-wait');
    this.#waitMs = this.#isPatient ? time('--wait', '5s') : ANSWER_MS;
    this.#asked = {
      bundle,
      purpose: words.values.get('--purpose') ?? 'unspecified',
      leaseMs: time('--lease', '30s'),
      minHoldMs: time('--min-hold', '0'),
      noticeMs: time('--notice', '2s'),
      evidence: words.values.get('--min-evidence') ?? 'observed',
      queue: this.#isPatient,
    };
    const { evidence } = this.#asked;
    if (!EVIDENCE_LEVELS.some((level) => level === evidence))
      throw new UsageError(`--min-evidence ${evidence}: expected ${EVIDENCE_LEVELS.join(', ')}`);
  }

  /** Returns the grant, or the exit status. */
  async run(): Promise<Json | number> {
    const endMs = this.#world.nowMs() + this.#waitMs;
    /** The last refusal with a decision. */
    let no: Refusal | undefined;
    for (;;) {
      const waitMs = Math.max(Math.round(endMs - this.#world.nowMs()), 1);
      const answer = await this.#answer({ do: 'borrow', ...this.#asked, waitMs, progress: true }, waitMs);
      this.#cancel();
      if (answer['ok'] === true) return answer;
      const error = answer['error'] as Refusal;
      if (!isNoAnswer(error)) no = error;
      const leftMs = endMs - this.#world.nowMs();
      if (!this.#isPatient || !isWorthAsking(error, leftMs) || leftMs <= RETRY_MS) {
        // A refusal is kept, even if a later request is not answered.
        return this.#refused(error.code === 'timedOut' && no !== undefined ? no : error, no !== undefined);
      }
      await this.#sayWhy(error);
      const retryMs = Math.max(RETRY_MS, Math.min(error.retryAfterMs ?? 0, leftMs - RETRY_MS));
      await new Promise<void>((resolve) => this.#world.after(retryMs, resolve));
    }
  }

  /** The agent answers within the given wait, unless it hangs or is stopped. */
  async #answer(request: Json, waitMs: number): Promise<Json> {
    let cancel: () => void = () => {};
    const late = new Promise<Json>((resolve) => {
      const error = { code: 'timedOut', message: HUNG };
      cancel = this.#world.after(waitMs + AGENT_SLACK_MS, () => resolve({ ok: false, error }));
    });
    return Promise.race([this.#client.request(request), late]).finally(() => cancel());
  }

  /** The agent reports the progress of the request. */
  heard(event: Json): void {
    if (event['bundle'] !== this.#asked.bundle) return;
    this.#cancel();
    const text = stepText(event);
    if (text === undefined) return;
    this.#cancel = this.#world.after(SAY_AFTER_MS, () => void this.#sayStep(event, text));
  }

  async #sayStep(event: Json, text: string): Promise<void> {
    const isAnswerDue = event['state'] === 'asking' || event['state'] === 'requesting';
    // Only here, since it asks the agent.
    const more = isAnswerDue && !this.#said.has(text) ? await silence(this.#client) : '';
    this.#sayOnce(text, event, `${text}${more}`);
  }

  async #sayWhy(error: Refusal): Promise<void> {
    const cause = error.reason ?? error.code;
    if (this.#said.has(cause)) return;
    const { bundle, evidence } = this.#asked;
    const holder = cause === 'busy' ? await this.#holder() : undefined;
    const text =
      holder === undefined
        ? await refusalText(this.#client, bundle, error, evidence, true)
        : `held by ${holder}`;
    this.#sayOnce(cause, { event: 'waiting', bundle, ...error }, `${text}; asked again`);
  }

  /** Returns the holder as the agent knows it, if it is neither the owner nor this VM. */
  async #holder(): Promise<string | undefined> {
    const view = await this.#client
      .request({ do: 'describe', bundle: this.#asked.bundle })
      .catch((): Json => ({}));
    const { holder, owner } = view;
    return typeof holder === 'string' && holder !== owner ? holder : undefined;
  }

  #sayOnce(cause: string, event: Json, text: string): void {
    if (this.#said.has(cause)) return;
    this.#said.add(cause);
    const { bundle } = this.#asked;
    say(this.#world, this.#words, { ...event, why: text }, `${bundle}: waiting: ${text}`);
  }

  async #refused(error: Refusal, wasNo: boolean): Promise<number> {
    const { bundle, evidence } = this.#asked;
    const isJson = this.#words.flags.has('--json');
    // A hung agent is not asked for the reason.
    const isAsked = !isJson && error.message !== HUNG;
    const text = isAsked ? await refusalText(this.#client, bundle, error, evidence) : error.message;
    say(this.#world, this.#words, { event: error.code, bundle, ...error }, `${bundle}: ${text}`);
    const status = statusOf(error);
    if (status === EXIT.waited || (status === EXIT.declined && isNoAnswer(error) && this.#isPatient))
      return wasNo ? EXIT.declined : EXIT.waited;
    return status;
  }
}

/** Returns whether no decision was made: a retry may get another answer without any change of policy. */
function isNoAnswer({ code, reason }: Refusal): boolean {
  return NO_ANSWER.has(code === 'declined' ? (reason ?? '') : code);
}

/**
 * Returns whether a retry within `leftMs` may help. Another program of this VM does not announce when it will be
 * done.
 */
function isWorthAsking(error: Refusal, leftMs: number): boolean {
  const { code, retryAfterMs = 0 } = error;
  if (code === 'inUse') return true;
  // For a busy bundle the time is a guess; for a decision it is the time for which the decision stays.
  return code === 'declined' && retryAfterMs > 0 && (isNoAnswer(error) || retryAfterMs < leftMs);
}

function statusOf({ code, reason }: Refusal): number {
  // Refused before anything changed, or rejected by the agent's own check of the grant.
  if (code === 'evidenceMismatch' || reason === 'evidenceTooWeak') return EXIT.evidence;
  if (code === 'declined' || code === 'inUse' || code === 'withdrawn') return EXIT.declined;
  if (code === 'timedOut') return EXIT.waited;
  if (code === 'lost') return EXIT.lost;
  return code === 'badRequest' ? EXIT.usage : EXIT.failed;
}

/** What a request waits for, by its progress. */
function stepText({ state, owner, position, expectedMs }: Json): string | undefined {
  switch (state) {
    case 'asking':
      return 'the host has not reported who holds it';
    case 'requesting':
      return `${owner} has not answered`;
    case 'queued':
      // Without a place: it takes an offer that came unasked.
      return position === undefined
        ? 'the host has not reported who holds it'
        : queuedText(Number(position), Number(expectedMs));
    case 'pending':
      return `the drivers of ${owner} are being suspended`;
    case 'resuming':
      return 'the drivers of this VM are being resumed';
    case 'suspending':
    case 'releasing':
      return 'this VM is still returning it';
    default:
      return undefined;
  }
}

/** Reports an event, as a JSON line or as text. */
export function say(world: CliWorld, words: Words, event: Json, text: string): void {
  if (words.flags.has('--json')) world.out(JSON.stringify(event));
  else world.err(`baton: ${text}`);
}
