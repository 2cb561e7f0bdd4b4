/**
 * State, inputs and orders of the borrower's table (borrower.ts), and the actions that several of its rows share.
 *
 * Pure. A borrower resumes its driver only on verified evidence for an epoch that made this incarnation the holder
 * and is the highest it has seen (invariant S2). An unwanted grant is released, never resumed.
 */

import type { DriverStatus } from '../../ports/world.ts';
import type { MoveCause } from '../protocol/codes.ts';
import type { AgentConfig } from '../protocol/evidence.ts';
import { findMismatch } from '../protocol/evidence.ts';
import { type Epoch, HOST, type Incarnation, type VmId } from '../protocol/ids.ts';
import type { MessageOf } from '../protocol/messages.ts';
import { type Outcome, rowsOf, type Seen } from '../protocol/table.ts';
import { BORROWER_TIMERS, type BorrowerTimer, LEASE_ASK_MS, noticeForUserMs } from '../protocol/timers.ts';
import type { AgentEffect, BorrowTerms, CommonInput, MessageInput, OwnershipReport } from './agent-io.ts';

/** States of a borrower, in the order of a handover. */
export const BORROWER_STATES = [
  /** Inspects its driver. */
  'starting',
  /** Does not know who holds; starts, resumes and stops nothing. */
  'unknown',
  /** Neither holds nor wants the bundle. */
  'idle',
  /** Wants the bundle; queries the host for epoch and timestamp token first. */
  'asking',
  /** Sent its request to the owner, or accepted its offer. */
  'requesting',
  /** Its request waits in the owner's queue. */
  'queued',
  /** The host announced the handover; the prepare hook may run. */
  'pending',
  /** Evidence verified; the resume hook runs. */
  'resuming',
  /** Holds; the driver is active. */
  'held',
  /** The suspend hook runs. */
  'suspending',
  /** Suspended, or never resumed; waits until the host has taken the bundle back. */
  'releasing',
] as const;
export type BorrowerStateName = (typeof BORROWER_STATES)[number];

/** A pending return: the time left for the user, and the cause. */
export interface Recalled {
  readonly ms: number;
  readonly cause: MoveCause;
}

export interface BorrowerState {
  readonly name: BorrowerStateName;
  /** Our incarnation, as the host counts it; 0: not known yet. */
  readonly incarnation: Incarnation;
  /** Highest epoch seen. */
  readonly epoch: Epoch;
  /** The last reported holder and its epoch. A consent names this epoch. */
  readonly known: { readonly epoch: Epoch; readonly holder: VmId | undefined };
  readonly driver: DriverStatus;
  readonly terms?: BorrowTerms | undefined;
  /** Id of the open request. A message with another id answers another request. */
  readonly requestId?: number | undefined;
  /** Id of the next request. Ids count up from a random start, so that none is used twice in a process. */
  readonly nextRequest: number;
  /** While queued: what the owner told. */
  readonly place?: { readonly position: number; readonly expectedMs: number } | undefined;
  /** An offer that is not answered yet: while queued, it waits for the host's report; while idle, for a client. */
  readonly offer?: { readonly offerId: number; readonly epoch: Epoch } | undefined;
  /** The request was already repeated once with a fresh epoch. */
  readonly retried: boolean;
  /** From pending until held: no client wants it any more. */
  readonly unwanted: boolean;
  /** While pending: the prepare hook runs. */
  readonly preparing: boolean;
  /** The report that granted it, until held: while pending it waits for the end of the prepare hook. */
  readonly granted?: MessageOf<'remapped'> | MessageOf<'stateReported'> | undefined;
  /** While resuming or suspending: another VM holds by now; nothing to release. */
  readonly overtaken: boolean;
  /** The minimum hold time runs: a recall by the owner waits for its end. */
  readonly isMinHold: boolean;
  /** The host gave notice of the return. */
  readonly noticed: boolean;
  /** Notice or recall not yet passed on to the user: the driver resumes, or the minimum hold time runs. */
  readonly recalled?: Recalled | undefined;
  /** While releasing: what was wrong with the evidence at this epoch. Reported to the host instead of a release. */
  readonly rejected?: { readonly epoch: Epoch; readonly what: string } | undefined;
  readonly unconfirmed: boolean;
  /** Number of renewals of the lease so far. */
  readonly renewals: number;
  /** The renewal that is not answered yet: the lease that is asked for, and how often `renew` was sent. */
  readonly renewing?: { readonly leaseMs: number; readonly sent: number } | undefined;
}

/** Messages that are inputs of the borrower's table. */
export const BORROWER_MESSAGES = [
  'handoverPending',
  'borrowDeclined',
  'queued',
  'refused',
  'remapped',
  'stateReported',
  'confirmed',
  'leaseEnding',
  'recallDevice',
  'renewed',
] as const;

export type BorrowerInput =
  | CommonInput<BorrowerTimer>
  | MessageInput<(typeof BORROWER_MESSAGES)[number]>
  /** An offer by the owner. `fresh`: as for `borrow`. */
  | (MessageInput<'offerLease'> & { readonly fresh: boolean })
  /** A client wants the bundle. `fresh`: the host's last timestamp token is recent enough for a consent. */
  | { readonly on: 'borrow'; readonly terms: BorrowTerms; readonly fresh: boolean }
  /** A client wants its lease to last `leaseMs` from now on. */
  | { readonly on: 'renew'; readonly leaseMs: number }
  /** The client returns the bundle, or its connection closed. */
  | { readonly on: 'return' };

export type BorrowerEffect = AgentEffect<BorrowerTimer>;
type S = BorrowerState;
type Out = Outcome<BorrowerState, BorrowerEffect>;
type ReportSeen = Seen<S, { readonly message: OwnershipReport }, AgentConfig>;

/** The state before the first input. `firstRequest`: random, a uint32. */
export function initialBorrower(firstRequest = 1): BorrowerState {
  return {
    nextRequest: firstRequest,
    name: 'starting',
    incarnation: 0 as Incarnation,
    epoch: 0 as Epoch,
    known: { epoch: 0 as Epoch, holder: undefined },
    driver: 'unknown',
    retried: false,
    unwanted: false,
    preparing: false,
    overtaken: false,
    isMinHold: false,
    noticed: false,
    unconfirmed: false,
    renewals: 0,
  };
}

export const row = rowsOf<BorrowerState, BorrowerInput, AgentConfig, BorrowerEffect>();

export const timer = (name: BorrowerTimer, ms: number = BORROWER_TIMERS[name]): BorrowerEffect => ({
  do: 'timer',
  timer: name,
  ms,
});
export const stop = (name: BorrowerTimer): BorrowerEffect => ({ do: 'stopTimer', timer: name });
export const notify = (notice: Extract<BorrowerEffect, { do: 'notify' }>['notice']): BorrowerEffect => ({
  do: 'notify',
  notice,
});
export const toHost = (message: Extract<BorrowerEffect, { do: 'send' }>['message']): BorrowerEffect => ({
  do: 'send',
  to: HOST,
  message,
});
export const query: readonly BorrowerEffect[] = [{ do: 'query' }, timer('query')];

/** Returns the state without what belongs to one borrowing. */
export function cleared(state: S): S {
  return {
    ...state,
    terms: undefined,
    requestId: undefined,
    place: undefined,
    offer: undefined,
    retried: false,
    unwanted: false,
    preparing: false,
    granted: undefined,
    overtaken: false,
    isMinHold: false,
    noticed: false,
    recalled: undefined,
    rejected: undefined,
    unconfirmed: false,
    renewals: 0,
    renewing: undefined,
  };
}

export const idle = (state: S): S => ({ ...cleared(state), name: 'idle' });

/** Stores who holds, and our own incarnation. */
export function learn(state: S, report: OwnershipReport): S {
  const settled = report.kind === 'remapped' || report.phase !== 'moving';
  return {
    ...state,
    incarnation: report.kind === 'stateReported' ? report.yourIncarnation : state.incarnation,
    // The epoch of an attempt under way has no holder yet, and the attempt may fail.
    epoch: settled ? report.epoch : state.epoch,
    known: settled
      ? { epoch: report.epoch, holder: report.holder }
      : { epoch: report.epoch, holder: undefined },
  };
}

/** Gives the bundle back. Wrong evidence is reported as a rejection: a plain release would not bar the borrower. */
export function release(config: AgentConfig, state: S, before: readonly BorrowerEffect[]): Out {
  const rejected = state.rejected?.epoch === state.epoch ? state.rejected : undefined;
  const word = { bundle: config.definition.id, epoch: state.epoch };
  return {
    state: { ...cleared(state), name: 'releasing', rejected },
    effects: [
      ...before,
      toHost(rejected ? { kind: 'reject', ...word, what: rejected.what } : { kind: 'release', ...word }),
      timer('release'),
    ],
  };
}

export function suspend(state: S, before: readonly BorrowerEffect[], overtaken: boolean): Out {
  return {
    state: { ...state, name: 'suspending', overtaken },
    effects: [
      ...before,
      stop('notice'),
      stop('lease'),
      stop('minHold'),
      stop('confirm'),
      stop('renewal'),
      { do: 'persist', attempt: 'suspend', epoch: state.epoch },
      { do: 'hook', hook: 'suspend', epoch: state.epoch },
    ],
  };
}

export function request(state: S): Out {
  const terms = state.terms!;
  const requestId = state.nextRequest;
  return {
    state: { ...state, name: 'requesting', requestId, nextRequest: (requestId + 1) >>> 0 },
    effects: [
      stop('query'),
      { do: 'request', requestId, epoch: state.known.epoch, incarnation: state.incarnation, terms },
    ],
  };
}

/** Answers an offer with a consent at its epoch. */
export function accept(
  state: S,
  { offerId, epoch }: { readonly offerId: number; readonly epoch: Epoch },
): Out {
  const { incarnation } = state;
  const [terms, requestId] = [state.terms!, state.requestId!];
  return {
    state: { ...state, name: 'requesting', place: undefined, offer: undefined },
    effects: [stop('queue'), stop('query'), { do: 'request', requestId, epoch, incarnation, terms, offerId }],
  };
}

/** Returns whether the owner holds at the epoch of its open offer, as the host reports. */
export function isOfferOpen({ offer }: S, report: OwnershipReport, { definition }: AgentConfig): boolean {
  const isHeld = report.kind === 'remapped' || report.phase === 'held';
  return isHeld && report.holder === definition.owner && report.epoch === offer?.epoch;
}

/** We were made holder and want it: check the evidence, then resume or reject. */
export function take(x: ReportSeen, message: OwnershipReport): Out {
  const state = learn(x.state, message);
  const stops = [stop('request'), stop('queue'), stop('pending'), stop('query')];
  const what = findMismatch(x.config, state.incarnation, x.state.terms?.evidence ?? 'none', message);
  if (what !== undefined) {
    const rejected = { epoch: message.epoch, what };
    const out = release(x.config, { ...state, rejected }, stops);
    return { state: out.state, effects: [...out.effects, notify({ notice: 'evidenceMismatch', what })] };
  }
  const minHoldMs = x.state.terms?.minHoldMs ?? 0;
  const taken: S = {
    ...state,
    name: 'resuming',
    granted: message,
    unconfirmed: true,
    overtaken: false,
    isMinHold: minHoldMs > 0,
  };
  // The grant may be lost; then it is reported in answer to a query, possibly after notice was given.
  const ending = message.kind === 'stateReported' ? message.ending : undefined;
  const out =
    message.kind === 'stateReported' && ending !== undefined
      ? noticed(taken, message.noticeMs ?? 0, ending)
      : { state: taken, effects: [] };
  return {
    state: out.state,
    effects: [
      ...stops,
      { do: 'persist', attempt: 'resume', epoch: message.epoch },
      { do: 'hook', hook: 'resume', epoch: message.epoch },
      timer('lease', message.leaseMs),
      ...(minHoldMs > 0 ? [timer('minHold', minHoldMs)] : []),
      ...out.effects,
    ],
  };
}

export const isOurs = (x: { config: AgentConfig; input: { message: OwnershipReport } }) =>
  x.input.message.holder === x.config.self &&
  (x.input.message.kind === 'remapped' || x.input.message.phase === 'held');
/** Returns whether the message belongs to the open request. */
export const isAnswer = (x: { state: S; input: { message: { requestId?: number | undefined } } }) =>
  x.state.requestId !== undefined && x.input.message.requestId === x.state.requestId;
export const isOld = (x: { state: S; input: { message: { epoch: Epoch } } }) =>
  x.input.message.epoch < x.state.epoch;

export function declinedNews(message: MessageOf<'borrowDeclined'>): BorrowerEffect {
  const { refusal, retryAfterMs, detail } = message;
  const news = { notice: 'declined', reason: refusal ?? message.reason, retryAfterMs } as const;
  return notify(detail === undefined ? news : { ...news, detail });
}

export function lostNews(report: OwnershipReport): BorrowerEffect {
  return notify({ notice: 'lost', cause: report.kind === 'remapped' ? report.cause : undefined });
}

export function confirm(config: AgentConfig, epoch: Epoch): BorrowerEffect[] {
  return [toHost({ kind: 'confirm', bundle: config.definition.id, epoch }), timer('confirm')];
}

/** Tells the user that the bundle must go back, and starts the timer that enforces it. */
export function recalled(ms: number, cause: MoveCause): BorrowerEffect[] {
  return [notify({ notice: 'recalled', ms, cause }), noticeTimer(ms)];
}

/** The earlier deadline counts: of a recall and a notice, or of a notice and its repetition. */
export function noticeTimer(ms: number): BorrowerEffect {
  return { do: 'timer', timer: 'notice', ms: noticeForUserMs(ms), sooner: true };
}

/** Returns whether a recall by the owner must wait: the minimum hold time runs, and the host has not ended it. */
export const isWaiting = (state: S) => state.isMinHold && !state.noticed;

/** Returns the earlier of two deadlines that were not passed on to the user yet. */
export function earlier(known: Recalled | undefined, report: Recalled): Recalled {
  return known && known.ms <= report.ms ? known : report;
}

/** The host ends our lease; `ms` are left. */
export function noticed(state: S, ms: number, cause: MoveCause): Out {
  if (state.noticed) return { state, effects: [noticeTimer(ms)] };
  const next: S = { ...state, noticed: true };
  // While the driver resumes, the user has nothing to give back yet. The time runs all the same.
  if (state.name === 'resuming') {
    // A recall that waits for the minimum hold time counts from its end, so a running notice has priority.
    const known = isWaiting(state) ? undefined : state.recalled;
    return { state: { ...next, recalled: earlier(known, { ms, cause }) }, effects: [noticeTimer(ms)] };
  }
  return { state: { ...next, recalled: undefined }, effects: recalled(ms, cause) };
}

/** The host reports that we hold, at the epoch that we know. */
export function stillHolds(before: S, report: OwnershipReport, config: AgentConfig): Out {
  // A restarted host may have lost our confirmation. Without it, it would take the bundle back.
  const isUnheard = before.name === 'held' && (report.kind === 'remapped' || !report.confirmed);
  const out = heldOn(isUnheard ? { ...before, unconfirmed: true } : before, report);
  return isUnheard ? { state: out.state, effects: [...out.effects, ...confirm(config, before.epoch)] } : out;
}

function heldOn(state: S, report: OwnershipReport): Out {
  if (report.kind === 'remapped' || state.name === 'suspending') return { state, effects: [stop('query')] };
  if (report.ending === undefined) {
    return {
      state,
      effects: [stop('query'), timer('lease', report.leaseMs > 0 ? report.leaseMs : LEASE_ASK_MS)],
    };
  }
  const out = noticed(state, report.noticeMs ?? 0, report.ending);
  return { state: out.state, effects: [stop('query'), ...out.effects] };
}

export function hookNews(input: Extract<BorrowerInput, { on: 'hookDone' }>): BorrowerEffect[] {
  if (input.result.ok) return [];
  return [notify({ notice: 'hookFailed', hook: input.hook, error: input.result.error })];
}

/** Withdraws the open request at the owner, if one was sent. */
export function withdraw({ requestId }: S, { definition }: AgentConfig): BorrowerEffect[] {
  if (requestId === undefined) return [];
  const message = { kind: 'withdrawBorrow', bundle: definition.id, requestId } as const;
  return [{ do: 'send', to: definition.owner, message }];
}
