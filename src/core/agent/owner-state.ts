/**
 * State, inputs and orders of the owner's table (owner.ts), and the actions that several of its rows share.
 *
 * Pure. An owner resumes its driver only on evidence for an epoch that made this incarnation the holder and is the
 * highest it has seen (invariant S2), or because it never stopped holding.
 */

import type { DriverStatus } from '../../ports/world.ts';
import { BUSY_RETRY_MS } from '../protocol/codes.ts';
import type { AgentConfig } from '../protocol/evidence.ts';
import { type Epoch, HOST, type Incarnation, type VmId } from '../protocol/ids.ts';
import { type LEVEL, type Outcome, rowsOf, type Seen } from '../protocol/table.ts';
import { LENT_ASK_MS, OWNER_TIMERS, type OwnerTimer } from '../protocol/timers.ts';
import type {
  AgentEffect,
  CommonInput,
  Decline,
  MessageInput,
  OwnershipReport,
  PolicyDecision,
} from './agent-io.ts';

/** States of the owner, in the order of a handover. */
export const OWNER_STATES = [
  /** Inspects its driver. */
  'starting',
  /** Does not know who holds; starts, resumes and stops nothing. */
  'unknown',
  /** Holds; the driver is active. */
  'held',
  /** Holds, and has offered the bundle; the driver is active, or suspended since the last loan. */
  'offering',
  /** Waits for the host's reservation. */
  'preparing',
  /** The suspend hook runs. */
  'suspending',
  /** Suspended; the host moves the bundle. */
  'lending',
  /** A borrower holds, or the bundle is moving. */
  'lent',
  /** No VM holds. */
  'parked',
  /** The resume hook runs. */
  'resuming',
  /** Holds, but the driver did not resume. */
  'failed',
  /** The host put the bundle in quarantine. */
  'quarantined',
] as const;
export type OwnerStateName = (typeof OWNER_STATES)[number];

/** The request being processed. */
export interface OwnerRequest {
  /** Number by which the policy answers; 0: it was not asked yet. */
  readonly number: number;
  readonly borrower: VmId;
  readonly purpose: string;
  readonly leaseMs: number;
  readonly minHoldMs: number;
  readonly noticeMs: number;
  readonly consent: Uint8Array;
  /** The borrower's request id. */
  readonly requestId: number;
}

/** A renewal that the borrower asks for, with the number by which the policy answers. */
export interface OwnerRenewal extends Pick<OwnerRequest, 'number' | 'leaseMs' | 'consent' | 'requestId'> {
  /** Number of the renewal in its lease. */
  readonly renewal: number;
}

/** A request without its number. */
export type Asked = Omit<OwnerRequest, 'number'>;

/** A request in the queue (owner-queue.ts). */
export interface Waiting extends Omit<OwnerRequest, 'consent'> {
  /** Void, so undefined, once the epoch may have changed. */
  readonly consent: Uint8Array | undefined;
  /** What the policy has allowed; undefined: it has not decided. */
  readonly priority: number | undefined;
  /** How often the policy was asked about requests in this place. */
  readonly asks: number;
  /** Number of requests that were served before it since it came. */
  readonly passed: number;
  /** The place in the queue that the borrower was told last. */
  readonly told: number | undefined;
}

/** An open offer. `requestId`: of the queued request; absent: unasked. */
export interface Offer {
  readonly offerId: number;
  readonly borrower: VmId;
  readonly requestId: number | undefined;
}

export interface OwnerState {
  readonly name: OwnerStateName;
  /** Our incarnation, as the host counts it; 0: not known yet. */
  readonly incarnation: Incarnation;
  /** Highest epoch seen. */
  readonly epoch: Epoch;
  /** Epoch at which we hold or last held. */
  readonly heldEpoch: Epoch;
  readonly driver: DriverStatus;
  /** Numbers given so far to questions to the policy and to offers. */
  readonly numbers: number;
  readonly request?: OwnerRequest | undefined;
  /** While lent: the renewal that the policy decides about. */
  readonly renewal?: OwnerRenewal | undefined;
  /** Queued requests in the order in which they came, at most one per borrower. */
  readonly waiting: readonly Waiting[];
  /** The number of the queued request that the policy decides about. */
  readonly asking?: number | undefined;
  /** While offering. */
  readonly offer?: Offer | undefined;
  /** Epoch of the attempt under way. */
  readonly attempt?: Epoch | undefined;
  /** Set when the attempt must not go on: how the request is declined. */
  readonly dropped?: Decline | undefined;
  /** `confirm` is not answered yet. */
  readonly unconfirmed: boolean;
  /** While suspending or resuming: the ownership has changed; wait for the bundle instead of lending it. */
  readonly overtaken: boolean;
  /** While lent: the borrower. */
  readonly borrower?: VmId | undefined;
  /** While lent: our user wants the bundle back, so nobody else gets it before. */
  readonly isRecalled: boolean;
  /** The recall ends in a reclaim after its grace. */
  readonly force: boolean;
  /** What was wrong with the evidence at `heldEpoch`. This epoch is never resumed. */
  readonly rejected?: string | undefined;
}

/** Messages that are inputs of the owner's table. */
export const OWNER_MESSAGES = [
  'requestBorrow',
  'withdrawBorrow',
  'acceptLease',
  'declineOffer',
  'renew',
  'renewed',
  'prepared',
  'refused',
  'remapped',
  'stateReported',
  'confirmed',
] as const;

export type OwnerInput =
  | CommonInput<OwnerTimer>
  | MessageInput<(typeof OWNER_MESSAGES)[number]>
  | { readonly on: 'policyDecided'; readonly request: number; readonly decision: PolicyDecision }
  /** The user wants the bundle back; `force`: reclaim it when the grace is over. */
  | { readonly on: 'recall'; readonly graceMs: number; readonly force: boolean }
  /** The user offers the bundle, unasked, for at most `leaseMs`; the offer is open for `reservedMs`. */
  | { readonly on: 'offer'; readonly to: VmId; readonly leaseMs: number; readonly reservedMs: number }
  | { readonly on: typeof LEVEL };

export type OwnerEffect = AgentEffect<OwnerTimer>;
type S = OwnerState;
type Out = Outcome<OwnerState, OwnerEffect>;

/** The state before the first input. */
export function initialOwner(): OwnerState {
  return {
    name: 'starting',
    incarnation: 0 as Incarnation,
    epoch: 0 as Epoch,
    heldEpoch: 0 as Epoch,
    driver: 'unknown',
    numbers: 0,
    waiting: [],
    unconfirmed: false,
    overtaken: false,
    isRecalled: false,
    force: false,
  };
}

/** What a row sees of an input. */
export type OwnerSeen<K extends OwnerInput['on']> = Seen<
  OwnerState,
  Extract<OwnerInput, { on: K }>,
  AgentConfig
>;

export const row = rowsOf<OwnerState, OwnerInput, AgentConfig, OwnerEffect>();

export const toHost = (message: Extract<OwnerEffect, { do: 'send' }>['message']): OwnerEffect => ({
  do: 'send',
  to: HOST,
  message,
});
export const timer = (name: OwnerTimer, ms: number = OWNER_TIMERS[name]): OwnerEffect => ({
  do: 'timer',
  timer: name,
  ms,
});
export const stop = (name: OwnerTimer): OwnerEffect => ({ do: 'stopTimer', timer: name });
export const query: readonly OwnerEffect[] = [{ do: 'query' }, timer('query')];

/** The borrower and its request id. */
export type Asker = Pick<OwnerRequest, 'borrower' | 'requestId'>;

/** Who sent a request or the answer to an offer, and its number. */
export const asker = (input: { from: VmId; message: { requestId: number } }): Asker => ({
  borrower: input.from,
  requestId: input.message.requestId,
});

/** The request in a message. */
export function askedBy({
  from,
  message,
}: Extract<OwnerInput, { on: 'requestBorrow' | 'acceptLease' }>): Asked {
  const { purpose, leaseMs, minHoldMs, noticeMs, consent, requestId } = message;
  return { borrower: from, purpose, leaseMs, minHoldMs, noticeMs, consent, requestId };
}

/** States in which a request waits: the bundle is away or on its way, or another request is being served. */
export const BUSY_STATES = [
  'offering',
  'preparing',
  'suspending',
  'lending',
  'lent',
  'parked',
  'resuming',
] as const;

export function decline(config: AgentConfig, to: Asker, how: Decline): OwnerEffect {
  const { requestId } = to;
  const message = { kind: 'borrowDeclined', bundle: config.definition.id, ...how, requestId } as const;
  return { do: 'send', to: to.borrower, message };
}

export const BUSY: Decline = { reason: 'busy', retryAfterMs: BUSY_RETRY_MS };

export const HOOK_FAILED: Decline = { reason: 'hookFailed', retryAfterMs: BUSY_RETRY_MS };

/** Returns the state without the request and the attempt. */
export function cleared(state: S): S {
  return {
    ...state,
    request: undefined,
    attempt: undefined,
    dropped: undefined,
    renewal: undefined,
    offer: undefined,
    overtaken: false,
  };
}

/** Our incarnation, from an ownership report. */
export function ownIncarnation(state: S, report: OwnershipReport): Incarnation {
  return report.kind === 'stateReported' ? report.yourIncarnation : state.incarnation;
}

/** Rejects the evidence and queries the outcome, since the rejection may be lost. */
export function reject(config: AgentConfig, epoch: Epoch, what: string): OwnerEffect[] {
  return [toHost({ kind: 'reject', bundle: config.definition.id, epoch, what }), timer('query')];
}

/**
 * The epoch of an attempt under way is not adopted: it has no holder yet, and a host that dies before its first write
 * continues at the previous epoch.
 */
export function settledEpoch(state: S, report: OwnershipReport): Epoch {
  return report.kind === 'stateReported' && report.phase === 'moving' ? state.epoch : report.epoch;
}

/** Another VM holds, or none: wait for the bundle. Our driver is suspended. */
export function awaitBundle(state: S, report: OwnershipReport): Out {
  const phase = report.kind === 'stateReported' ? report.phase : report.holder ? 'held' : 'parked';
  const base: S = {
    ...cleared(state),
    incarnation: ownIncarnation(state, report),
    epoch: settledEpoch(state, report),
    unconfirmed: false,
  };
  const stops = [stop('lend'), stop('query'), stop('confirm')];
  if (phase === 'quarantined') {
    // An operator may lift it at any time without a message to us: keep querying.
    return {
      state: { ...base, name: 'quarantined', borrower: undefined, isRecalled: false },
      effects: [...stops, timer('query')],
    };
  }
  if (phase === 'parked') {
    return {
      state: { ...base, name: 'parked', borrower: undefined, force: false },
      effects: [...stops, stop('recall'), timer('claim')],
    };
  }
  if (phase === 'moving')
    return { state: { ...base, name: 'lent' }, effects: [stop('lend'), timer('query')] };
  const borrower = report.holder;
  const news: OwnerEffect[] =
    borrower && state.name !== 'lent'
      ? [{ do: 'notify', notice: { notice: 'lent', borrower, epoch: report.epoch } }]
      : [];
  // The outcome is reported once, and that report may be lost: a return may end quarantined or parked.
  return {
    state: { ...base, name: 'lent', borrower },
    effects: [...stops, timer('query', LENT_ASK_MS), ...news],
  };
}

/** Another VM holds while our driver may be active: quiesce it in any state. */
export function quiesceDriver(state: S, report: OwnershipReport): Out {
  const next: S = {
    ...cleared(state),
    incarnation: ownIncarnation(state, report),
    epoch: settledEpoch(state, report),
    unconfirmed: false,
  };
  return {
    state: { ...next, name: 'suspending', overtaken: true },
    effects: [stop('query'), stop('confirm'), { do: 'hook', hook: 'quiesce', epoch: report.epoch }],
  };
}

export const isOld = (x: { state: S; input: { message: { epoch: Epoch } } }) =>
  x.input.message.epoch < x.state.epoch;
export const isOurs = (x: { config: AgentConfig; input: { message: OwnershipReport } }) =>
  x.input.message.holder === x.config.self &&
  (x.input.message.kind === 'remapped' || x.input.message.phase === 'held');

export function hookNews(input: Extract<OwnerInput, { on: 'hookDone' }>): OwnerEffect[] {
  if (input.result.ok) return [];
  return [{ do: 'notify', notice: { notice: 'hookFailed', hook: input.hook, error: input.result.error } }];
}

export function confirm(config: AgentConfig, epoch: Epoch): OwnerEffect[] {
  return [toHost({ kind: 'confirm', bundle: config.definition.id, epoch }), timer('confirm')];
}
