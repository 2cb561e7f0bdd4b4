/**
 * State, inputs and orders of the owner's table (owner.ts), and the actions that several of its rows share.
 *
 * Pure. An owner never resumes its driver but on evidence for an epoch that made this incarnation the holder and is
 * the highest it has seen (invariant S2), or because it never stopped holding.
 */

import type { DriverStatus } from '../../ports/world.ts';
import { BUSY_RETRY_MS } from '../protocol/codes.ts';
import type { AgentConfig } from '../protocol/evidence.ts';
import { findMismatch } from '../protocol/evidence.ts';
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
  /** Looks what its driver does. */
  'starting',
  /** Does not know who holds; starts, resumes and stops nothing. */
  'unknown',
  /** Holds; its driver is active. */
  'held',
  /** Its policy decides about a request. */
  'deciding',
  /** Waits for the host's reservation. */
  'preparing',
  /** Its suspend hook runs. */
  'suspending',
  /** Suspended; the host moves the bundle. */
  'lending',
  /** A borrower holds, or the bundle is on its way. */
  'lent',
  /** Nobody holds. */
  'parked',
  /** Its resume hook runs. */
  'resuming',
  /** Holds, but its driver did not resume. */
  'failed',
  /** The host put the bundle in quarantine. */
  'quarantined',
] as const;
export type OwnerStateName = (typeof OWNER_STATES)[number];

/** A request that is being dealt with. */
export interface OwnerRequest {
  /** Which of all requests it is: an answer to an earlier one is not taken for its own. */
  readonly number: number;
  readonly borrower: VmId;
  readonly purpose: string;
  readonly leaseMs: number;
  readonly minHoldMs: number;
  readonly noticeMs: number;
  readonly consent: Uint8Array;
  /** The borrower's number of it. */
  readonly requestId: number;
}

/** What a borrower asks for. */
export type Asked = Omit<OwnerRequest, 'number'>;

export interface OwnerState {
  readonly name: OwnerStateName;
  /** Our incarnation, as the host counts it; 0: not told yet. */
  readonly incarnation: Incarnation;
  /** Highest epoch seen. */
  readonly epoch: Epoch;
  /** Epoch at which we hold or last held. */
  readonly heldEpoch: Epoch;
  readonly driver: DriverStatus;
  /** Requests that the policy was asked about, all in all. */
  readonly requests: number;
  readonly request?: OwnerRequest | undefined;
  /** Requests that came meanwhile, in the order of their turns: of each borrower the last. */
  readonly waiting: readonly Asked[];
  /** Epoch of the attempt under way. */
  readonly attempt?: Epoch | undefined;
  /** The attempt must not go on; the request ends like this. */
  readonly dropped?: Decline | undefined;
  /** A holder's `confirm` is not answered yet. */
  readonly unconfirmed: boolean;
  /** While suspending: the bundle is not ours, do not lend but wait. */
  readonly overtaken: boolean;
  /** While lent: who borrows. */
  readonly borrower?: VmId | undefined;
  /** A recall whose grace ends in a reclaim. */
  readonly force: boolean;
  /** What was wrong with the evidence at `heldEpoch`: never resumed, whatever is told of this epoch later. */
  readonly rejected?: string | undefined;
}

/** Messages that the owner's table takes. */
export const OWNER_MESSAGES = [
  'requestBorrow',
  'withdrawBorrow',
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
  /** The user wants the bundle back; with `force`, whatever the borrower does. */
  | { readonly on: 'recall'; readonly graceMs: number; readonly force: boolean }
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
    requests: 0,
    waiting: [],
    unconfirmed: false,
    overtaken: false,
    force: false,
  };
}

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

/** Who asked, and by which request. */
export type Asker = Pick<OwnerRequest, 'borrower' | 'requestId'>;

export function decline(config: AgentConfig, to: Asker, how: Decline): OwnerEffect {
  const { requestId } = to;
  const message = { kind: 'borrowDeclined', bundle: config.definition.id, ...how, requestId } as const;
  return { do: 'send', to: to.borrower, message };
}

export const BUSY: Decline = { reason: 'busy', retryAfterMs: BUSY_RETRY_MS };

export const HOOK_FAILED: Decline = { reason: 'hookFailed', retryAfterMs: BUSY_RETRY_MS };

/** Forgets the request and the attempt. */
export function cleared(state: S): S {
  return { ...state, request: undefined, attempt: undefined, dropped: undefined, overtaken: false };
}

/** The attempt ends before our driver was touched: we still hold. */
export function giveUp(x: Seen<S, unknown, AgentConfig>, how: Decline | undefined): Out {
  const { request } = x.state;
  return {
    state: { ...cleared(x.state), name: 'held' },
    effects: [stop('policy'), stop('prepare'), ...(request && how ? [decline(x.config, request, how)] : [])],
  };
}

/** Our driver may be suspended and we hold: resume it. */
export function resume(state: S, before: readonly OwnerEffect[]): Out {
  return {
    state: { ...cleared(state), name: 'resuming', borrower: undefined, force: false },
    effects: [
      ...before,
      { do: 'persist', attempt: 'resume', epoch: state.heldEpoch },
      { do: 'hook', hook: 'resume', epoch: state.heldEpoch },
    ],
  };
}

/** What the host says about who holds, from `remapped` or `stateReported`. */

export function ownIncarnation(state: S, report: OwnershipReport): Incarnation {
  return report.kind === 'stateReported' ? report.yourIncarnation : state.incarnation;
}

/** We were made holder: check the evidence, then resume, or refuse for good. */
export function takeBack(x: Seen<S, { message: OwnershipReport }, AgentConfig>): Out {
  const { message } = x.input;
  const incarnation = ownIncarnation(x.state, message);
  const stops = (['lend', 'query', 'claim', 'recall'] as const).map(stop);
  const state: S = {
    ...x.state,
    incarnation,
    epoch: message.epoch,
    heldEpoch: message.epoch,
    rejected: undefined,
  };
  // Title makes no demand on the evidence: what the enforcer can give was settled when the VM was configured.
  const what = findMismatch(x.config, incarnation, 'none', message);
  if (what === undefined) return resume({ ...state, unconfirmed: true }, stops);
  return {
    state: { ...cleared(state), name: 'quarantined', borrower: undefined, rejected: what },
    effects: [
      ...stops,
      ...reject(x.config, message.epoch, what),
      { do: 'notify', notice: { notice: 'evidenceMismatch', what } },
    ],
  };
}

/** Says what is wrong with the evidence, and asks again what became of it: the word may be lost. */
export function reject(config: AgentConfig, epoch: Epoch, what: string): OwnerEffect[] {
  return [toHost({ kind: 'reject', bundle: config.definition.id, epoch, what }), timer('query')];
}

/**
 * The epoch of an attempt under way is not taken over: it makes nobody holder yet, and a host that dies before its
 * first write goes on at the epoch from before.
 */
export function settledEpoch(state: S, report: OwnershipReport): Epoch {
  return report.kind === 'stateReported' && report.phase === 'moving' ? state.epoch : report.epoch;
}

/** Somebody else holds, or nobody: wait for it. Our driver is known to be suspended. */
export function standBack(state: S, report: OwnershipReport): Out {
  const phase = report.kind === 'stateReported' ? report.phase : report.holder ? 'held' : 'parked';
  const base: S = {
    ...cleared(state),
    incarnation: ownIncarnation(state, report),
    epoch: settledEpoch(state, report),
    unconfirmed: false,
  };
  const stops = [stop('lend'), stop('query'), stop('confirm')];
  if (phase === 'quarantined') {
    // An operator may lift it at any time, and nobody tells us: keep asking.
    return {
      state: { ...base, name: 'quarantined', borrower: undefined },
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
  // What becomes of it is told once, and the word may be lost: a return may end in quarantine, or with nobody.
  return {
    state: { ...base, name: 'lent', borrower },
    effects: [...stops, timer('query', LENT_ASK_MS), ...news],
  };
}

/** Somebody else holds while our driver may be active: quiesce it, whatever it was doing. */
export function yieldDriver(state: S, report: OwnershipReport): Out {
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
