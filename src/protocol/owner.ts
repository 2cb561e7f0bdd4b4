/**
 * The owner's table: the VM that holds title to a bundle, lends it and takes it back.
 *
 * Pure: facts in, orders out (agent-io.ts). It never resumes its driver but on evidence for an epoch that made
 * this incarnation the holder and is the highest it has seen (invariant S2), or because it never stopped
 * holding. Whoever reads the rows from top to bottom reads the procedures of the design in order.
 */

import type { DriverStatus } from '../ports.ts';
import type {
  AgentConfig,
  AgentEffect,
  CommonInput,
  Decline,
  MessageInput,
  PolicyDecision,
} from './agent-io.ts';
import { findMismatch } from './evidence.ts';
import { type Epoch, HOST, type Incarnation, type VmId } from './ids.ts';
import { MESSAGES, type MessageOf } from './messages.ts';
import { makeTable, type Outcome, rowsOf, type Seen } from './table.ts';
import { OWNER_TIMERS, type OwnerTimer } from './timers.ts';

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
  readonly borrower: VmId;
  readonly purpose: string;
  readonly leaseMs: number;
  readonly consent: Uint8Array;
}

export interface OwnerState {
  readonly name: OwnerStateName;
  /** Our life, as the host counts it; 0: not told yet. */
  readonly incarnation: Incarnation;
  /** Highest epoch seen. */
  readonly epoch: Epoch;
  /** Epoch at which we hold or last held. */
  readonly heldEpoch: Epoch;
  readonly driver: DriverStatus;
  readonly request?: OwnerRequest | undefined;
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
}

export type OwnerInput =
  | CommonInput<OwnerTimer>
  | MessageInput<
      'requestBorrow' | 'withdrawBorrow' | 'prepared' | 'refused' | 'remapped' | 'stateReported' | 'confirmed'
    >
  | { readonly on: 'policyDecided'; readonly borrower: VmId; readonly decision: PolicyDecision }
  /** The user wants the bundle back; with `force`, whatever the borrower does. */
  | { readonly on: 'recall'; readonly graceMs: number; readonly force: boolean };

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
    unconfirmed: false,
    overtaken: false,
    force: false,
  };
}

const row = rowsOf<OwnerState, OwnerInput, AgentConfig, OwnerEffect>();

/** How long a borrower should wait before it asks a busy owner again: one typical PIN entry. */
const BUSY_RETRY_MS = 3_000;

const toHost = (message: Extract<OwnerEffect, { do: 'send' }>['message']): OwnerEffect => ({
  do: 'send',
  to: HOST,
  message,
});
const timer = (name: OwnerTimer, ms: number = OWNER_TIMERS[name]): OwnerEffect => ({
  do: 'timer',
  timer: name,
  ms,
});
const stop = (name: OwnerTimer): OwnerEffect => ({ do: 'stopTimer', timer: name });
const query: readonly OwnerEffect[] = [{ do: 'query' }, timer('query')];

function decline(config: AgentConfig, to: VmId, how: Decline): OwnerEffect {
  return { do: 'send', to, message: { kind: 'borrowDeclined', bundle: config.definition.id, ...how } };
}

const BUSY: Decline = { reason: 'busy', retryAfterMs: BUSY_RETRY_MS };

/** Forgets the request and the attempt. */
function cleared(state: S): S {
  return { ...state, request: undefined, attempt: undefined, dropped: undefined, overtaken: false };
}

/** The attempt ends before our driver was touched: we still hold. */
function giveUp(x: Seen<S, unknown, AgentConfig>, how: Decline | undefined): Out {
  const borrower = x.state.request?.borrower;
  return {
    state: { ...cleared(x.state), name: 'held' },
    effects: [
      stop('policy'),
      stop('prepare'),
      ...(borrower && how ? [decline(x.config, borrower, how)] : []),
    ],
  };
}

/** Our driver may be suspended and we hold: resume it. */
function resume(state: S, before: readonly OwnerEffect[]): Out {
  return {
    state: { ...cleared(state), name: 'resuming', borrower: undefined, force: false },
    effects: [
      ...before,
      { do: 'persist', attempt: 'resume', epoch: state.heldEpoch, sync: false },
      { do: 'hook', hook: 'resume', epoch: state.heldEpoch },
    ],
  };
}

/** What the host says about who holds, from `remapped` or `stateReported`. */
type Told = MessageOf<'remapped'> | MessageOf<'stateReported'>;

function ownLife(state: S, told: Told): Incarnation {
  return told.kind === 'stateReported' ? told.yourIncarnation : state.incarnation;
}

/** We were made holder: check the evidence, then resume, or refuse for good. */
function takeBack(x: Seen<S, { message: Told }, AgentConfig>): Out {
  const { message } = x.input;
  const incarnation = ownLife(x.state, message);
  const stops = (['lend', 'query', 'claim', 'recall'] as const).map(stop);
  const state: S = { ...x.state, incarnation, epoch: message.epoch, heldEpoch: message.epoch };
  // Title makes no demand on the evidence: what the back end can give was settled when the VM was configured.
  const what = findMismatch(x.config, incarnation, 'none', message);
  if (what === undefined) return resume({ ...state, unconfirmed: true }, stops);
  return {
    state: { ...cleared(state), name: 'quarantined', borrower: undefined },
    effects: [
      ...stops,
      toHost({ kind: 'reject', bundle: x.config.definition.id, epoch: message.epoch, what }),
      { do: 'notify', notice: { notice: 'evidenceMismatch', what } },
      timer('query'),
    ],
  };
}

/** Somebody else holds, or nobody: wait for it. Our driver is known to be suspended. */
function standBack(state: S, told: Told): Out {
  const phase = told.kind === 'stateReported' ? told.phase : told.holder ? 'held' : 'parked';
  const base: S = {
    ...cleared(state),
    incarnation: ownLife(state, told),
    epoch: told.epoch,
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
  const borrower = told.holder;
  const news: OwnerEffect[] =
    borrower && state.name !== 'lent'
      ? [{ do: 'notify', notice: { notice: 'lent', borrower, epoch: told.epoch } }]
      : [];
  return { state: { ...base, name: 'lent', borrower }, effects: [...stops, ...news] };
}

/** Somebody else holds while our driver may be active: quiesce it, whatever it was doing. */
function yieldDriver(state: S, told: Told): Out {
  const next: S = {
    ...cleared(state),
    incarnation: ownLife(state, told),
    epoch: told.epoch,
    unconfirmed: false,
  };
  return {
    state: { ...next, name: 'suspending', overtaken: true },
    effects: [stop('query'), stop('confirm'), { do: 'hook', hook: 'suspend', epoch: told.epoch }],
  };
}

const isOld = (x: { state: S; input: { message: { epoch: Epoch } } }) =>
  x.input.message.epoch < x.state.epoch;
const isOurs = (x: { config: AgentConfig; input: { message: Told } }) =>
  x.input.message.holder === x.config.self &&
  (x.input.message.kind === 'remapped' || x.input.message.phase === 'held');

const requests = [
  row({
    name: 'request-decide',
    on: 'requestBorrow',
    from: ['held'],
    to: ['deciding'],
    act: ({ state, input }) => {
      const { purpose, leaseMs, consent } = input.message;
      return {
        state: { ...state, name: 'deciding', request: { borrower: input.from, purpose, leaseMs, consent } },
        effects: [{ do: 'decide', borrower: input.from, purpose, leaseMs }, timer('policy')],
      };
    },
  }),
  row({
    name: 'request-again',
    on: 'requestBorrow',
    from: ['deciding', 'preparing', 'suspending', 'lending'],
    when: 'same borrower',
    holds: ({ state, input }) => state.request?.borrower === input.from,
    ignore: 'the request is being dealt with',
  }),
  row({
    name: 'request-not-ready',
    on: 'requestBorrow',
    from: ['starting', 'unknown'],
    to: ['stay'],
    act: ({ state, input, config }) => ({
      state,
      effects: [decline(config, input.from, { reason: 'notReady', retryAfterMs: 1_000 })],
    }),
  }),
  row({
    name: 'request-not-holder',
    on: 'requestBorrow',
    from: ['parked', 'quarantined', 'failed'],
    to: ['stay'],
    act: ({ state, input, config }) => ({
      state,
      effects: [decline(config, input.from, { reason: 'notHolder', retryAfterMs: BUSY_RETRY_MS })],
    }),
  }),
  row({
    name: 'request-busy',
    on: 'requestBorrow',
    from: 'any',
    to: ['stay'],
    act: ({ state, input, config }) => ({ state, effects: [decline(config, input.from, BUSY)] }),
  }),
  row({
    name: 'withdraw-early',
    on: 'withdrawBorrow',
    from: ['deciding', 'preparing'],
    when: 'by the borrower of the request',
    holds: ({ state, input }) => state.request?.borrower === input.from,
    to: ['held'],
    act: (x) => giveUp(x, undefined),
  }),
  row({
    name: 'withdraw-late',
    on: 'withdrawBorrow',
    from: ['suspending'],
    when: 'by the borrower of the request',
    holds: ({ state, input }) => state.request?.borrower === input.from && !state.overtaken,
    to: ['stay'],
    act: ({ state }) => ({ state: { ...state, dropped: BUSY, request: undefined }, effects: [] }),
  }),
  row({
    name: 'withdraw-lending',
    on: 'withdrawBorrow',
    from: ['lending'],
    when: 'by the borrower of the request',
    holds: ({ state, input }) => state.request?.borrower === input.from,
    to: ['stay'],
    act: ({ state, config }) => ({
      state,
      effects: [
        toHost({ kind: 'cancel', bundle: config.definition.id, epoch: state.attempt ?? state.epoch }),
      ],
    }),
  }),
  row({
    name: 'withdraw-nothing',
    on: 'withdrawBorrow',
    from: 'any',
    ignore: 'no request of this borrower is open; a holder uses release',
  }),
  row({
    name: 'policy-allows',
    on: 'policyDecided',
    from: ['deciding'],
    when: 'allowed, same borrower',
    holds: ({ state, input }) => input.decision.allow && state.request?.borrower === input.borrower,
    to: ['preparing'],
    act: ({ state, config }) => ({
      state: { ...state, name: 'preparing' },
      effects: [
        stop('policy'),
        toHost({
          kind: 'prepare',
          bundle: config.definition.id,
          epoch: state.heldEpoch,
          digest: config.digest,
          borrower: state.request!.borrower,
          consent: state.request!.consent,
        }),
        timer('prepare'),
      ],
    }),
  }),
  row({
    name: 'policy-denies',
    on: 'policyDecided',
    from: ['deciding'],
    when: 'denied, same borrower',
    holds: ({ state, input }) => !input.decision.allow && state.request?.borrower === input.borrower,
    to: ['held'],
    act: (x) => {
      const { decision } = x.input;
      return giveUp(x, decision.allow ? undefined : declineOf(decision));
    },
  }),
  row({ name: 'policy-late', on: 'policyDecided', from: 'any', ignore: 'the request is over' }),
  row({
    name: 'policy-timeout',
    on: 'timer:policy',
    from: ['deciding'],
    to: ['held'],
    act: (x) => giveUp(x, { reason: 'policyTimeout', retryAfterMs: BUSY_RETRY_MS }),
  }),
  row({ name: 'policy-timer-late', on: 'timer:policy', from: 'any', ignore: 'the request is over' }),
];

function declineOf(decision: Extract<PolicyDecision, { allow: false }>): Decline {
  const { reason, retryAfterMs, detail } = decision;
  return detail === undefined ? { reason, retryAfterMs } : { reason, retryAfterMs, detail };
}

const lending = [
  row({
    name: 'prepared-suspend',
    on: 'prepared',
    from: ['preparing'],
    when: 'newer epoch',
    holds: ({ state, input }) => input.message.epoch > state.heldEpoch,
    to: ['suspending'],
    act: ({ state, input }) => {
      const { epoch } = input.message;
      return {
        state: { ...state, name: 'suspending', attempt: epoch, overtaken: false },
        effects: [
          stop('prepare'),
          { do: 'persist', attempt: 'suspend', epoch, sync: true },
          { do: 'hook', hook: 'suspend', epoch },
        ],
      };
    },
  }),
  row({
    name: 'prepared-late',
    on: 'prepared',
    from: ['held', 'deciding', 'resuming'],
    to: ['stay'],
    act: ({ state, input, config }) => ({
      state,
      effects: [toHost({ kind: 'cancel', bundle: config.definition.id, epoch: input.message.epoch })],
    }),
  }),
  row({ name: 'prepared-known', on: 'prepared', from: 'any', ignore: 'the attempt is known or over' }),
  row({
    name: 'prepare-timeout',
    on: 'timer:prepare',
    from: ['preparing'],
    to: ['held'],
    act: (x) => giveUp(x, { reason: 'hostSilent', retryAfterMs: BUSY_RETRY_MS }),
  }),
  row({ name: 'prepare-timer-late', on: 'timer:prepare', from: 'any', ignore: 'the answer is there' }),
  row({
    name: 'suspended-lend',
    on: 'hookDone',
    from: ['suspending'],
    when: 'suspended, still wanted',
    holds: ({ state, input }) =>
      input.hook === 'suspend' && input.result.ok && !state.dropped && !state.overtaken,
    to: ['lending'],
    act: ({ state, config }) => ({
      state: { ...state, name: 'lending', driver: 'suspended' },
      effects: [toHost({ kind: 'lend', bundle: config.definition.id, epoch: state.attempt! }), timer('lend')],
    }),
  }),
  row({
    name: 'suspended-yielded',
    on: 'hookDone',
    from: ['suspending'],
    when: 'overtaken',
    holds: ({ state, input }) => input.hook === 'suspend' && state.overtaken,
    to: ['lent'],
    act: ({ state, input }) => ({
      state: { ...cleared(state), name: 'lent', driver: input.result.ok ? 'suspended' : 'unknown' },
      effects: [...query, ...hookNews(input)],
    }),
  }),
  row({
    name: 'suspend-undone',
    on: 'hookDone',
    from: ['suspending'],
    when: 'failed or no longer wanted',
    holds: ({ input }) => input.hook === 'suspend',
    to: ['resuming'],
    act: ({ state, input, config }) => {
      const failed: Decline = { reason: 'hookFailed', retryAfterMs: BUSY_RETRY_MS };
      const borrower = state.request?.borrower;
      return resume({ ...state, driver: 'unknown' }, [
        toHost({ kind: 'cancel', bundle: config.definition.id, epoch: state.attempt! }),
        ...(borrower ? [decline(config, borrower, state.dropped ?? failed)] : []),
        ...hookNews(input),
      ]);
    },
  }),
  row({
    name: 'lend-timeout',
    on: 'timer:lend',
    from: ['lending'],
    to: ['stay'],
    act: ({ state, config }) => ({
      state,
      effects: [
        toHost({ kind: 'lend', bundle: config.definition.id, epoch: state.attempt! }),
        { do: 'query' },
        timer('lend'),
      ],
    }),
  }),
  row({ name: 'lend-timer-late', on: 'timer:lend', from: 'any', ignore: 'the answer is there' }),
  row({
    name: 'refused-prepare',
    on: 'refused',
    from: ['preparing'],
    when: 'prepare was refused',
    holds: ({ state, input }) =>
      input.message.command === MESSAGES.prepare.number && input.message.epoch === state.heldEpoch,
    to: ['held'],
    act: (x) =>
      giveUp(x, { reason: 'refusedByHost', retryAfterMs: BUSY_RETRY_MS, refusal: x.input.message.code }),
  }),
  row({
    name: 'refused-suspending',
    on: 'refused',
    from: ['suspending'],
    when: 'the attempt is over',
    holds: ({ state, input }) => !state.overtaken && input.message.epoch === state.attempt,
    to: ['stay'],
    act: ({ state, input }) => ({
      state: {
        ...state,
        dropped: { reason: 'refusedByHost', retryAfterMs: BUSY_RETRY_MS, refusal: input.message.code },
      },
      effects: [],
    }),
  }),
  row({
    name: 'refused-lend',
    on: 'refused',
    from: ['lending'],
    when: 'lend was refused, we still hold',
    holds: ({ state, input, config }) =>
      input.message.epoch === state.attempt &&
      input.message.command === MESSAGES.lend.number &&
      input.message.holder === config.self &&
      input.message.currentEpoch === state.heldEpoch,
    to: ['resuming'],
    act: ({ state, input, config }) => {
      const borrower = state.request?.borrower;
      const how: Decline = {
        reason: 'refusedByHost',
        retryAfterMs: BUSY_RETRY_MS,
        refusal: input.message.code,
      };
      return resume(state, [stop('lend'), ...(borrower ? [decline(config, borrower, how)] : [])]);
    },
  }),
  row({
    name: 'refused-ask',
    on: 'refused',
    from: ['lending', 'lent', 'parked', 'held'],
    to: ['stay'],
    act: ({ state }) => ({ state, effects: query }),
  }),
  row({ name: 'refused-old', on: 'refused', from: 'any', ignore: 'the command is over' }),
];

function hookNews(input: Extract<OwnerInput, { on: 'hookDone' }>): OwnerEffect[] {
  if (input.result.ok) return [];
  return [{ do: 'notify', notice: { notice: 'hookFailed', hook: input.hook, error: input.result.error } }];
}

/** An owner that starts where its driver works already leaves it as found. */
const foundActive = row({
  name: 'stateReported-found-active',
  on: 'stateReported',
  from: ['unknown'],
  when: 'we hold, driver active',
  holds: (x) => isOurs(x) && x.state.driver === 'active',
  to: ['held'],
  act: ({ state, input, config }) => ({
    state: {
      ...state,
      name: 'held',
      incarnation: ownLife(state, input.message),
      epoch: input.message.epoch,
      heldEpoch: input.message.epoch,
      unconfirmed: true,
    },
    effects: [stop('query'), ...confirm(config, input.message.epoch)],
  }),
});

/** An owner that starts while somebody else holds and whose driver may be active quiesces it. */
const foundIntruding = row({
  name: 'stateReported-found-intruding',
  on: 'stateReported',
  from: ['unknown'],
  when: 'we do not hold, driver not suspended',
  holds: ({ state }) => state.driver !== 'suspended',
  to: ['suspending'],
  act: ({ state, input }) => yieldDriver(state, input.message),
});

/** Rows for what the host tells about the holder; the same for `remapped` and `stateReported`. */
const told = (on: 'remapped' | 'stateReported') => [
  row({
    name: `${on}-too-early`,
    on,
    from: on === 'remapped' ? ['starting', 'unknown'] : ['starting'],
    ignore: 'an agent that has just started does nothing before the host answered its query',
  }),
  row({
    name: `${on}-old`,
    on,
    from: 'any',
    when: 'older epoch',
    holds: isOld,
    ignore: 'a newer epoch is known',
  }),
  ...(on === 'stateReported' ? [foundActive] : []),
  row({
    name: `${on}-ours-already`,
    on,
    from: ['held', 'deciding', 'preparing', 'suspending', 'resuming', 'failed', 'quarantined'],
    when: 'we hold at the epoch we know',
    holds: (x) => isOurs(x) && x.input.message.epoch === x.state.heldEpoch && !x.state.overtaken,
    to: ['stay'],
    act: ({ state, input }) => ({
      state: { ...state, incarnation: ownLife(state, input.message) },
      effects: [stop('query')],
    }),
  }),
  row({
    name: `${on}-not-lent-yet`,
    on,
    from: ['lending'],
    when: 'we hold at the epoch from before the attempt',
    holds: (x) => isOurs(x) && x.input.message.epoch === x.state.heldEpoch,
    ignore: 'the answer to lend decides; it is said again until it comes',
  }),
  row({
    name: `${on}-take-back`,
    on,
    from: ['unknown', 'lending', 'lent', 'parked', 'quarantined', 'held', 'deciding', 'preparing', 'failed'],
    when: 'we hold',
    holds: isOurs,
    to: ['resuming', 'quarantined'],
    act: takeBack,
  }),
  row({
    name: `${on}-ours-while-suspending`,
    on,
    from: ['suspending', 'resuming'],
    when: 'we hold at a newer epoch',
    holds: isOurs,
    to: ['stay'],
    // The hook that runs ends first; the query after it brings this news again.
    act: ({ state }) => ({ state: { ...state, overtaken: true }, effects: [] }),
  }),
  row({
    name: `${on}-yield`,
    on,
    from: ['held', 'deciding', 'preparing', 'failed'],
    to: ['suspending'],
    act: ({ state, input }) => yieldDriver(state, input.message),
  }),
  ...(on === 'stateReported' ? [foundIntruding] : []),
  row({
    name: `${on}-yield-after-hook`,
    on,
    from: ['suspending', 'resuming'],
    to: ['stay'],
    act: ({ state, input }) => ({
      state: { ...state, overtaken: true, epoch: input.message.epoch },
      effects: [],
    }),
  }),
  row({
    name: `${on}-stand-back`,
    on,
    from: ['unknown', 'lending', 'lent', 'parked', 'quarantined'],
    to: ['lent', 'parked', 'quarantined'],
    act: ({ state, input }) => standBack(state, input.message),
  }),
];

function confirm(config: AgentConfig, epoch: Epoch): OwnerEffect[] {
  return [toHost({ kind: 'confirm', bundle: config.definition.id, epoch }), timer('confirm')];
}

const holding = [
  row({
    name: 'resumed',
    on: 'hookDone',
    from: ['resuming'],
    when: 'resumed, not overtaken',
    holds: ({ state, input }) => input.hook === 'resume' && input.result.ok && !state.overtaken,
    to: ['held'],
    act: ({ state, config }) => ({
      state: { ...state, name: 'held', driver: 'active' },
      effects: [
        ...(state.unconfirmed ? confirm(config, state.heldEpoch) : []),
        { do: 'notify', notice: { notice: 'resumed', epoch: state.heldEpoch } },
      ],
    }),
  }),
  row({
    name: 'resumed-overtaken',
    on: 'hookDone',
    from: ['resuming'],
    when: 'overtaken',
    holds: ({ state, input }) => input.hook === 'resume' && state.overtaken,
    to: ['suspending'],
    act: ({ state }) => ({
      state: { ...state, name: 'suspending', driver: 'unknown' },
      effects: [{ do: 'hook', hook: 'suspend', epoch: state.epoch }],
    }),
  }),
  row({
    name: 'resume-failed',
    on: 'hookDone',
    from: ['resuming'],
    when: 'failed',
    holds: ({ input }) => input.hook === 'resume',
    to: ['failed'],
    act: ({ state, input }) => ({
      state: { ...state, name: 'failed', driver: 'unknown' },
      effects: [...hookNews(input), timer('retry')],
    }),
  }),
  row({ name: 'hook-late', on: 'hookDone', from: 'any', ignore: 'no hook of this kind is awaited' }),
  row({
    name: 'retry-resume',
    on: 'timer:retry',
    from: ['failed'],
    to: ['resuming'],
    act: ({ state }) => resume(state, []),
  }),
  row({ name: 'retry-late', on: 'timer:retry', from: 'any', ignore: 'the driver was resumed or taken away' }),
  row({
    name: 'confirmed',
    on: 'confirmed',
    from: 'any',
    when: 'for our epoch',
    holds: ({ state, input }) => state.unconfirmed && input.message.epoch === state.heldEpoch,
    to: ['stay'],
    act: ({ state }) => ({ state: { ...state, unconfirmed: false }, effects: [stop('confirm')] }),
  }),
  row({ name: 'confirmed-old', on: 'confirmed', from: 'any', ignore: 'confirmed before' }),
  row({
    name: 'confirm-again',
    on: 'timer:confirm',
    from: ['held', 'deciding', 'preparing'],
    when: 'not answered',
    holds: ({ state }) => state.unconfirmed,
    to: ['stay'],
    act: ({ state, config }) => ({ state, effects: confirm(config, state.heldEpoch) }),
  }),
  row({
    name: 'confirm-timer-late',
    on: 'timer:confirm',
    from: 'any',
    ignore: 'answered, or we let go since',
  }),
  row({
    name: 'recall',
    on: 'recall',
    from: ['lent'],
    when: 'a borrower holds',
    holds: ({ state }) => state.borrower !== undefined,
    to: ['stay'],
    act: ({ state, input, config }) => ({
      state: { ...state, force: input.force },
      effects: [
        {
          do: 'send',
          to: state.borrower!,
          message: {
            kind: 'recallDevice',
            bundle: config.definition.id,
            epoch: state.epoch,
            graceMs: input.graceMs,
          },
        },
        ...(input.force ? [timer('recall', input.graceMs)] : []),
      ],
    }),
  }),
  row({ name: 'recall-nothing', on: 'recall', from: 'any', ignore: 'no borrower holds the bundle' }),
  row({
    name: 'recall-force',
    on: 'timer:recall',
    from: ['lent'],
    when: 'forced',
    holds: ({ state }) => state.force,
    to: ['stay'],
    act: ({ state, config }) => ({
      state: { ...state, force: false },
      effects: [toHost({ kind: 'reclaim', bundle: config.definition.id, epoch: state.epoch })],
    }),
  }),
  row({ name: 'recall-timer-late', on: 'timer:recall', from: 'any', ignore: 'the bundle is back' }),
  row({
    name: 'claim',
    on: 'timer:claim',
    from: ['parked'],
    to: ['stay'],
    act: ({ state, config }) => ({
      state,
      effects: [toHost({ kind: 'claim', bundle: config.definition.id, epoch: state.epoch }), timer('claim')],
    }),
  }),
  row({ name: 'claim-timer-late', on: 'timer:claim', from: 'any', ignore: 'the bundle is no longer parked' }),
];

const starting = [
  row({
    name: 'start',
    on: 'start',
    from: ['starting'],
    to: ['stay'],
    act: ({ state }) => ({ state, effects: [{ do: 'inspect' }] }),
  }),
  row({ name: 'start-again', on: 'start', from: 'any', ignore: 'started before' }),
  row({
    name: 'inspected',
    on: 'driverInspected',
    from: ['starting'],
    to: ['unknown'],
    act: ({ state, input }) => ({
      state: { ...state, name: 'unknown', driver: input.status },
      effects: query,
    }),
  }),
  row({ name: 'inspected-late', on: 'driverInspected', from: 'any', ignore: 'the hooks know better by now' }),
  row({
    name: 'host-up-starting',
    on: 'hostUp',
    from: ['starting'],
    ignore: 'the driver is inspected first',
  }),
  row({
    name: 'host-up',
    on: 'hostUp',
    from: 'any',
    to: ['stay'],
    act: ({ state }) => ({ state, effects: query }),
  }),
  row({
    name: 'query-again',
    on: 'timer:query',
    from: ['unknown', 'lent', 'lending', 'quarantined'],
    to: ['stay'],
    act: ({ state }) => ({ state, effects: query }),
  }),
  row({ name: 'query-timer-late', on: 'timer:query', from: 'any', ignore: 'the answer is there' }),
];

/** Inputs of the owner's table, for the totality test and the diagrams. */
export const OWNER_INPUTS: readonly OwnerInput['on'][] = [
  'start',
  'driverInspected',
  'hostUp',
  'hookDone',
  'requestBorrow',
  'withdrawBorrow',
  'policyDecided',
  'prepared',
  'refused',
  'remapped',
  'stateReported',
  'confirmed',
  'recall',
  ...(Object.keys(OWNER_TIMERS) as OwnerTimer[]).map((name) => `timer:${name}` as const),
];

/** The owner's table. */
export const OWNER_TABLE = makeTable('owner', OWNER_STATES, OWNER_INPUTS, [
  ...starting,
  ...requests,
  ...lending,
  ...told('remapped'),
  ...told('stateReported'),
  ...holding,
]);
