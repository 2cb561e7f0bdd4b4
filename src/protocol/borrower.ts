/**
 * The borrower's table: a VM that asks for a bundle, uses it under a lease and gives it back.
 *
 * Pure: facts in, orders out (agent-io.ts). It resumes its driver only on verified evidence for an epoch that
 * made this incarnation the holder and is the highest it has seen (invariant S2). A grant that nobody here
 * wants any more is answered with `release`, never with a resume.
 */

import type { DriverStatus } from '../ports.ts';
import type { AgentConfig, AgentEffect, BorrowTerms, CommonInput, MessageInput } from './agent-io.ts';
import type { MoveCause } from './codes.ts';
import { findMismatch } from './evidence.ts';
import { type Epoch, HOST, type Incarnation, type VmId } from './ids.ts';
import { MESSAGES, type MessageOf } from './messages.ts';
import { makeTable, type Outcome, rowsOf, type Seen } from './table.ts';
import { BORROWER_TIMERS, type BorrowerTimer, noticeForUserMs } from './timers.ts';

/** States of a borrower, in the order of a handover. */
export const BORROWER_STATES = [
  /** Looks what its driver does. */
  'starting',
  /** Does not know who holds; starts, resumes and stops nothing. */
  'unknown',
  /** Has nothing and wants nothing. */
  'idle',
  /** Wants the bundle; asks the host for epoch and stamp first. */
  'asking',
  /** Asked the owner. */
  'requesting',
  /** The host announced the handover; the prepare hook may run. */
  'pending',
  /** Verified; its resume hook runs. */
  'resuming',
  /** Holds; its driver is active. */
  'held',
  /** Its suspend hook runs. */
  'suspending',
  /** Suspended; waits until the host has taken the bundle back. */
  'releasing',
] as const;
export type BorrowerStateName = (typeof BORROWER_STATES)[number];

export interface BorrowerState {
  readonly name: BorrowerStateName;
  /** Our life, as the host counts it; 0: not told yet. */
  readonly incarnation: Incarnation;
  /** Highest epoch seen. */
  readonly epoch: Epoch;
  /** Epoch of the last holder we were told of, and who it was. A consent names it. */
  readonly known: { readonly epoch: Epoch; readonly holder: VmId | undefined };
  readonly driver: DriverStatus;
  readonly terms?: BorrowTerms | undefined;
  /** The request was already repeated once with a fresh epoch. */
  readonly retried: boolean;
  /** While pending: nobody wants it any more. */
  readonly unwanted: boolean;
  /** While pending: the prepare hook runs. */
  readonly preparing: boolean;
  /** While pending: the grant arrived while the prepare hook ran. */
  readonly granted?: MessageOf<'remapped'> | MessageOf<'stateReported'> | undefined;
  /** While resuming or suspending: somebody else holds by now; nothing to release. */
  readonly overtaken: boolean;
  /** While resuming: notice was given already. */
  readonly recalled?: { readonly ms: number; readonly cause: MoveCause } | undefined;
  readonly unconfirmed: boolean;
}

export type BorrowerInput =
  | CommonInput<BorrowerTimer>
  | MessageInput<
      | 'handoverPending'
      | 'borrowDeclined'
      | 'refused'
      | 'remapped'
      | 'stateReported'
      | 'confirmed'
      | 'leaseEnding'
      | 'recallDevice'
    >
  /** A client wants the bundle. `fresh`: the last stamp of the host is young enough for a consent. */
  | { readonly on: 'borrow'; readonly terms: BorrowTerms; readonly fresh: boolean }
  /** The client is done, or gone. */
  | { readonly on: 'return' };

export type BorrowerEffect = AgentEffect<BorrowerTimer>;
type S = BorrowerState;
type Out = Outcome<BorrowerState, BorrowerEffect>;
type Told = MessageOf<'remapped'> | MessageOf<'stateReported'>;
type ToldSeen = Seen<S, { readonly message: Told }, AgentConfig>;

/** The state before the first input. */
export function initialBorrower(): BorrowerState {
  return {
    name: 'starting',
    incarnation: 0 as Incarnation,
    epoch: 0 as Epoch,
    known: { epoch: 0 as Epoch, holder: undefined },
    driver: 'unknown',
    retried: false,
    unwanted: false,
    preparing: false,
    overtaken: false,
    unconfirmed: false,
  };
}

const row = rowsOf<BorrowerState, BorrowerInput, AgentConfig, BorrowerEffect>();

const timer = (name: BorrowerTimer, ms: number = BORROWER_TIMERS[name]): BorrowerEffect => ({
  do: 'timer',
  timer: name,
  ms,
});
const stop = (name: BorrowerTimer): BorrowerEffect => ({ do: 'stopTimer', timer: name });
const notify = (notice: Extract<BorrowerEffect, { do: 'notify' }>['notice']): BorrowerEffect => ({
  do: 'notify',
  notice,
});
const toHost = (message: Extract<BorrowerEffect, { do: 'send' }>['message']): BorrowerEffect => ({
  do: 'send',
  to: HOST,
  message,
});
const query: readonly BorrowerEffect[] = [{ do: 'query' }, timer('query')];

/** How long a borrower should wait when the bundle is not with its owner: one typical PIN entry. */
const BUSY_RETRY_MS = 3_000;

/** Forgets what belongs to one borrowing. */
function cleared(state: S): S {
  return {
    ...state,
    terms: undefined,
    retried: false,
    unwanted: false,
    preparing: false,
    granted: undefined,
    overtaken: false,
    recalled: undefined,
    unconfirmed: false,
  };
}

const idle = (state: S): S => ({ ...cleared(state), name: 'idle' });

/** Remembers who holds, and our own life. */
function learn(state: S, told: Told): S {
  const settled = told.kind === 'remapped' || told.phase !== 'moving';
  return {
    ...state,
    incarnation: told.kind === 'stateReported' ? told.yourIncarnation : state.incarnation,
    epoch: told.epoch,
    known: settled ? { epoch: told.epoch, holder: told.holder } : { epoch: told.epoch, holder: undefined },
  };
}

function release(config: AgentConfig, state: S, before: readonly BorrowerEffect[]): Out {
  return {
    state: { ...cleared(state), name: 'releasing' },
    effects: [
      ...before,
      toHost({ kind: 'release', bundle: config.definition.id, epoch: state.epoch }),
      timer('release'),
    ],
  };
}

function suspend(state: S, before: readonly BorrowerEffect[], overtaken: boolean): Out {
  return {
    state: { ...state, name: 'suspending', overtaken },
    effects: [
      ...before,
      stop('notice'),
      stop('confirm'),
      { do: 'persist', attempt: 'suspend', epoch: state.epoch, sync: false },
      { do: 'hook', hook: 'suspend', epoch: state.epoch },
    ],
  };
}

function request(state: S): Out {
  const terms = state.terms!;
  return {
    state: { ...state, name: 'requesting' },
    effects: [
      stop('query'),
      { do: 'request', epoch: state.known.epoch, incarnation: state.incarnation, terms },
    ],
  };
}

/** We were made holder and want it: check the evidence, then resume, or refuse. */
function take(x: ToldSeen, message: Told): Out {
  const state = learn(x.state, message);
  const stops = [stop('request'), stop('pending'), stop('query')];
  const what = findMismatch(x.config, state.incarnation, x.state.terms?.evidence ?? 'none', message);
  if (what === undefined) {
    return {
      state: { ...state, name: 'resuming', granted: message, unconfirmed: true, overtaken: false },
      effects: [
        ...stops,
        { do: 'persist', attempt: 'resume', epoch: message.epoch, sync: false },
        { do: 'hook', hook: 'resume', epoch: message.epoch },
      ],
    };
  }
  return {
    state: idle(state),
    effects: [
      ...stops,
      toHost({ kind: 'reject', bundle: x.config.definition.id, epoch: message.epoch, what }),
      notify({ notice: 'evidenceMismatch', what }),
    ],
  };
}

const isOurs = (x: { config: AgentConfig; input: { message: Told } }) =>
  x.input.message.holder === x.config.self &&
  (x.input.message.kind === 'remapped' || x.input.message.phase === 'held');
const isOld = (x: { state: S; input: { message: { epoch: Epoch } } }) =>
  x.input.message.epoch < x.state.epoch;

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
    from: ['unknown', 'asking', 'pending', 'releasing'],
    to: ['stay'],
    act: ({ state }) => ({ state, effects: query }),
  }),
  row({
    name: 'query-timer-late',
    on: 'timer:query',
    from: 'any',
    ignore: 'the answer is there or not needed',
  }),
];

const asking = [
  row({
    name: 'borrow-request',
    on: 'borrow',
    from: ['idle'],
    when: 'epoch and stamp are fresh, the owner holds',
    holds: ({ state, input, config }) =>
      input.fresh && state.incarnation > 0 && state.known.holder === config.definition.owner,
    to: ['requesting'],
    act: (x) => {
      const out = request({ ...x.state, terms: x.input.terms });
      return { state: out.state, effects: [...out.effects, timer('request', x.input.terms.waitMs)] };
    },
  }),
  row({
    name: 'borrow-ask',
    on: 'borrow',
    from: ['idle'],
    to: ['asking'],
    act: ({ state, input }) => ({
      state: { ...state, name: 'asking', terms: input.terms },
      effects: [...query, timer('request', input.terms.waitMs)],
    }),
  }),
  row({
    name: 'borrow-not-now',
    on: 'borrow',
    from: 'any',
    to: ['stay'],
    act: ({ state }) => ({
      state,
      effects: [
        notify({
          notice: 'declined',
          reason: state.name === 'starting' || state.name === 'unknown' ? 'notReady' : 'inUse',
          retryAfterMs: 1_000,
        }),
      ],
    }),
  }),
  row({
    name: 'pending-prepare',
    on: 'handoverPending',
    from: ['requesting'],
    when: 'newer epoch',
    holds: ({ state, input }) => input.message.epoch > state.epoch,
    to: ['pending'],
    act: ({ state, input }) => {
      const { epoch, reserveMs } = input.message;
      return {
        state: { ...state, name: 'pending', preparing: true },
        effects: [
          stop('request'),
          { do: 'persist', attempt: 'prepare', epoch, sync: true },
          { do: 'hook', hook: 'prepare', epoch },
          timer('pending', reserveMs + BORROWER_TIMERS.pending),
        ],
      };
    },
  }),
  row({
    name: 'pending-unasked',
    on: 'handoverPending',
    from: 'any',
    ignore: 'nobody here waits for it; a grant would be released',
  }),
  row({
    name: 'declined-stale',
    on: 'borrowDeclined',
    from: ['requesting'],
    when: 'the consent was stale, first time',
    holds: ({ state, input }) => input.message.refusal === 'consentStale' && !state.retried,
    to: ['asking'],
    act: ({ state }) => ({ state: { ...state, name: 'asking', retried: true }, effects: query }),
  }),
  row({
    name: 'declined',
    on: 'borrowDeclined',
    from: ['requesting', 'pending'],
    when: 'no prepare hook runs',
    holds: ({ state }) => !state.preparing,
    to: ['idle'],
    act: ({ state, input }) => ({
      state: idle(state),
      effects: [stop('request'), stop('pending'), ...(state.unwanted ? [] : [declinedNews(input.message)])],
    }),
  }),
  row({
    name: 'declined-preparing',
    on: 'borrowDeclined',
    from: ['pending'],
    to: ['stay'],
    act: ({ state, input }) => ({
      state: { ...state, unwanted: true },
      effects: state.unwanted ? [] : [declinedNews(input.message)],
    }),
  }),
  row({ name: 'declined-late', on: 'borrowDeclined', from: 'any', ignore: 'no request is open' }),
  row({
    name: 'request-timeout',
    on: 'timer:request',
    from: ['asking', 'requesting'],
    to: ['idle'],
    act: ({ state, config }) => ({
      state: idle(state),
      effects: [
        stop('query'),
        {
          do: 'send',
          to: config.definition.owner,
          message: { kind: 'withdrawBorrow', bundle: config.definition.id },
        },
        notify({ notice: 'timedOut' }),
      ],
    }),
  }),
  row({ name: 'request-timer-late', on: 'timer:request', from: 'any', ignore: 'the answer is there' }),
  row({
    name: 'pending-timeout',
    on: 'timer:pending',
    from: ['pending'],
    to: ['stay'],
    act: ({ state }) => ({ state, effects: [...query, timer('pending', BORROWER_TIMERS.pending)] }),
  }),
  row({ name: 'pending-timer-late', on: 'timer:pending', from: 'any', ignore: 'the handover is over' }),
  row({
    name: 'refused-pending',
    on: 'refused',
    from: ['pending', 'requesting'],
    when: 'the handover is off',
    holds: ({ state, input }) =>
      input.message.command === MESSAGES.requestBorrow.number && input.message.epoch > state.epoch,
    to: ['idle', 'stay'],
    act: ({ state, input }) => {
      const news = state.unwanted
        ? []
        : [notify({ notice: 'declined', reason: input.message.code, retryAfterMs: BUSY_RETRY_MS } as const)];
      if (state.preparing) return { state: { ...state, unwanted: true }, effects: news };
      return { state: idle(state), effects: [stop('request'), stop('pending'), ...news] };
    },
  }),
  row({
    name: 'refused-ask',
    on: 'refused',
    from: ['releasing', 'held'],
    to: ['stay'],
    act: ({ state }) => ({ state, effects: query }),
  }),
  row({ name: 'refused-old', on: 'refused', from: 'any', ignore: 'the command is over' }),
];

function declinedNews(message: MessageOf<'borrowDeclined'>): BorrowerEffect {
  const reason = message.refusal ?? message.reason;
  return notify({ notice: 'declined', reason, retryAfterMs: message.retryAfterMs });
}

function lostNews(told: Told): BorrowerEffect {
  return notify({ notice: 'lost', cause: told.kind === 'remapped' ? told.cause : undefined });
}

/** After a restart nobody is left here who wants the bundle: quiesce; if it is ours, give it back. */
const foundActive = row({
  name: 'stateReported-found-active',
  on: 'stateReported',
  from: ['unknown'],
  when: 'driver not suspended',
  holds: (x) => x.state.driver !== 'suspended',
  to: ['suspending'],
  act: (x) => suspend(learn(x.state, x.input.message), [stop('query')], !isOurs(x)),
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
  row({
    name: `${on}-unwanted`,
    on,
    from: ['unknown', 'idle', 'asking', 'pending'],
    when: 'we hold, nobody here wants it, driver not active',
    holds: (x) =>
      isOurs(x) &&
      (x.state.name !== 'pending' || (x.state.unwanted && !x.state.preparing)) &&
      (x.state.name !== 'unknown' || x.state.driver === 'suspended'),
    to: ['releasing'],
    act: (x) => {
      const asked = x.state.name === 'asking';
      return release(x.config, learn(x.state, x.input.message), [
        stop('query'),
        stop('pending'),
        stop('request'),
        ...(asked ? [notify({ notice: 'declined', reason: 'busy', retryAfterMs: 1_000 } as const)] : []),
      ]);
    },
  }),
  ...(on === 'stateReported' ? [foundActive] : []),
  row({
    name: `${on}-known`,
    on,
    from: ['unknown', 'idle'],
    to: ['idle'],
    act: ({ state, input }) => ({ state: idle(learn(state, input.message)), effects: [stop('query')] }),
  }),
  row({
    name: `${on}-request`,
    on,
    from: ['asking'],
    when: 'the owner holds',
    holds: ({ input, config }) =>
      input.message.holder === config.definition.owner &&
      (input.message.kind === 'remapped' || input.message.phase === 'held'),
    to: ['requesting'],
    act: (x) => request(learn(x.state, x.input.message)),
  }),
  row({
    name: `${on}-owner-away`,
    on,
    from: ['asking'],
    to: ['idle'],
    act: ({ state, input }) => ({
      state: idle(learn(state, input.message)),
      effects: [
        stop('query'),
        stop('request'),
        notify({
          notice: 'declined',
          reason:
            input.message.kind === 'stateReported' && input.message.phase === 'quarantined'
              ? 'quarantined'
              : 'busy',
          retryAfterMs: BUSY_RETRY_MS,
        }),
      ],
    }),
  }),
  row({
    name: `${on}-granted-preparing`,
    on,
    from: ['pending'],
    when: 'we hold, the prepare hook runs',
    holds: (x) => isOurs(x) && x.state.preparing,
    to: ['stay'],
    act: ({ state, input }) => ({ state: { ...state, granted: input.message }, effects: [] }),
  }),
  row({
    name: `${on}-granted`,
    on,
    from: ['requesting', 'pending'],
    when: 'we hold at a newer epoch',
    holds: (x) => isOurs(x) && x.input.message.epoch > x.state.epoch,
    to: ['resuming', 'idle'],
    act: (x) => take(x, x.input.message),
  }),
  row({
    name: `${on}-still-pending`,
    on,
    from: ['requesting', 'pending'],
    when: 'nothing newer than the request, and it may still come',
    holds: ({ state, input: { message } }) =>
      message.kind === 'stateReported'
        ? message.pending || message.phase === 'moving' || state.name === 'requesting'
        : message.epoch === state.epoch,
    ignore: 'the handover is still to come; its timer or a refusal ends it',
  }),
  row({
    name: `${on}-came-to-nothing`,
    on,
    from: ['requesting', 'pending'],
    to: ['idle', 'stay'],
    act: ({ state, input }) => {
      const next = learn(state, input.message);
      const news = state.unwanted
        ? []
        : [notify({ notice: 'declined', reason: 'busy', retryAfterMs: BUSY_RETRY_MS } as const)];
      if (state.preparing) return { state: { ...next, unwanted: true }, effects: news };
      return { state: idle(next), effects: [stop('request'), stop('pending'), stop('query'), ...news] };
    },
  }),
  row({
    name: `${on}-ours-still`,
    on,
    from: ['held', 'resuming', 'suspending'],
    when: 'we hold at the epoch we know',
    holds: (x) => isOurs(x) && x.input.message.epoch === x.state.epoch,
    to: ['stay'],
    act: ({ state }) => ({ state, effects: [stop('query')] }),
  }),
  row({
    name: `${on}-lost`,
    on,
    from: ['held'],
    to: ['suspending'],
    act: ({ state, input }) => suspend(learn(state, input.message), [lostNews(input.message)], true),
  }),
  row({
    name: `${on}-overtaken`,
    on,
    from: ['resuming', 'suspending'],
    to: ['stay'],
    act: ({ state, input }) => ({
      state: { ...learn(state, input.message), overtaken: true },
      effects: state.name === 'suspending' && !state.overtaken ? [lostNews(input.message)] : [],
    }),
  }),
  row({
    name: `${on}-release-again`,
    on,
    from: ['releasing'],
    when: 'we still hold',
    holds: isOurs,
    to: ['releasing'],
    act: (x) => release(x.config, learn(x.state, x.input.message), [stop('query')]),
  }),
  row({
    name: `${on}-return-moving`,
    on,
    from: ['releasing'],
    when: 'the return is under way',
    holds: ({ input }) => input.message.kind === 'stateReported' && input.message.phase === 'moving',
    ignore: 'its end will be told, or asked for again',
  }),
  row({
    name: `${on}-returned`,
    on,
    from: ['releasing'],
    to: ['idle'],
    act: ({ state, input }) => ({
      state: idle(learn(state, input.message)),
      effects: [stop('release'), stop('query'), notify({ notice: 'returned', epoch: input.message.epoch })],
    }),
  }),
];

const holding = [
  row({
    name: 'prepared-granted',
    on: 'hookDone',
    from: ['pending'],
    when: 'prepare ended, granted and wanted',
    holds: ({ state, input }) =>
      input.hook === 'prepare' &&
      state.granted !== undefined &&
      state.granted.epoch > state.epoch &&
      !state.unwanted,
    to: ['resuming', 'idle'],
    act: (x) => {
      const message = x.state.granted!;
      return take({ ...x, input: { message }, state: { ...x.state, preparing: false } }, message);
    },
  }),
  row({
    name: 'prepared-unwanted-granted',
    on: 'hookDone',
    from: ['pending'],
    when: 'prepare ended, granted but unwanted',
    holds: ({ state, input }) =>
      input.hook === 'prepare' && state.granted !== undefined && state.granted.epoch > state.epoch,
    to: ['releasing'],
    act: ({ state, config }) => release(config, learn(state, state.granted!), [stop('pending')]),
  }),
  row({
    name: 'prepared',
    on: 'hookDone',
    from: ['pending'],
    when: 'prepare ended',
    holds: ({ input }) => input.hook === 'prepare',
    to: ['stay'],
    // A failed prepare hook costs speed, not correctness: resume does the whole work then. An unwanted
    // handover stays pending until the host or its timer says what became of it.
    act: ({ state, input }) => ({
      state: { ...state, preparing: false },
      effects: [...hookNews(input), ...(state.unwanted ? query : [])],
    }),
  }),
  row({
    name: 'resumed',
    on: 'hookDone',
    from: ['resuming'],
    when: 'resumed, not overtaken',
    holds: ({ state, input }) =>
      input.hook === 'resume' && input.result.ok && !state.overtaken && !state.unwanted,
    to: ['held'],
    act: ({ state, config }) => ({
      state: { ...state, name: 'held', driver: 'active', granted: undefined },
      effects: [
        ...confirm(config, state.epoch),
        notify({ notice: 'granted', epoch: state.epoch, leaseMs: state.granted?.leaseMs ?? 0 }),
        ...(state.recalled ? recalled(state.recalled.ms, state.recalled.cause) : []),
      ],
    }),
  }),
  row({
    name: 'resume-undone',
    on: 'hookDone',
    from: ['resuming'],
    when: 'failed, overtaken or unwanted',
    holds: ({ input }) => input.hook === 'resume',
    to: ['suspending'],
    act: ({ state, input }) => {
      const news = state.overtaken
        ? [notify({ notice: 'lost', cause: undefined } as const)]
        : state.unwanted
          ? []
          : [
              ...hookNews(input),
              notify({ notice: 'declined', reason: 'hookFailed', retryAfterMs: 0 } as const),
            ];
      return suspend({ ...state, driver: 'unknown' }, news, state.overtaken);
    },
  }),
  row({
    name: 'suspended-release',
    on: 'hookDone',
    from: ['suspending'],
    when: 'suspend ended, still ours',
    holds: ({ state, input }) => input.hook === 'suspend' && !state.overtaken,
    to: ['releasing'],
    act: ({ state, input, config }) =>
      release(config, { ...state, driver: input.result.ok ? 'suspended' : 'unknown' }, hookNews(input)),
  }),
  row({
    name: 'suspended-idle',
    on: 'hookDone',
    from: ['suspending'],
    when: 'suspend ended, not ours',
    holds: ({ input }) => input.hook === 'suspend',
    to: ['idle'],
    act: ({ state, input }) => ({
      state: { ...idle(state), driver: input.result.ok ? 'suspended' : 'unknown' },
      effects: [...hookNews(input), notify({ notice: 'returned', epoch: state.epoch })],
    }),
  }),
  row({ name: 'hook-late', on: 'hookDone', from: 'any', ignore: 'no hook of this kind is awaited' }),
  row({
    name: 'confirmed',
    on: 'confirmed',
    from: 'any',
    when: 'for our epoch',
    holds: ({ state, input }) => state.unconfirmed && input.message.epoch === state.epoch,
    to: ['stay'],
    act: ({ state }) => ({ state: { ...state, unconfirmed: false }, effects: [stop('confirm')] }),
  }),
  row({ name: 'confirmed-old', on: 'confirmed', from: 'any', ignore: 'confirmed before' }),
  row({
    name: 'confirm-again',
    on: 'timer:confirm',
    from: ['held'],
    when: 'not answered',
    holds: ({ state }) => state.unconfirmed,
    to: ['stay'],
    act: ({ state, config }) => ({ state, effects: confirm(config, state.epoch) }),
  }),
  row({ name: 'confirm-timer-late', on: 'timer:confirm', from: 'any', ignore: 'answered, or let go since' }),
];

function confirm(config: AgentConfig, epoch: Epoch): BorrowerEffect[] {
  return [toHost({ kind: 'confirm', bundle: config.definition.id, epoch }), timer('confirm')];
}

function recalled(ms: number, cause: MoveCause): BorrowerEffect[] {
  return [notify({ notice: 'recalled', ms, cause }), timer('notice', noticeForUserMs(ms))];
}

function hookNews(input: Extract<BorrowerInput, { on: 'hookDone' }>): BorrowerEffect[] {
  if (input.result.ok) return [];
  return [notify({ notice: 'hookFailed', hook: input.hook, error: input.result.error })];
}

const returning = [
  row({
    name: 'lease-ending',
    on: 'leaseEnding',
    from: ['held'],
    when: 'our epoch',
    holds: ({ state, input }) => input.message.epoch === state.epoch,
    to: ['stay'],
    act: ({ state, input }) => ({ state, effects: recalled(input.message.noticeMs, input.message.cause) }),
  }),
  row({
    name: 'lease-ending-resuming',
    on: 'leaseEnding',
    from: ['resuming'],
    when: 'our epoch',
    holds: ({ state, input }) => input.message.epoch === state.epoch,
    to: ['stay'],
    act: ({ state, input }) => ({
      state: { ...state, recalled: { ms: input.message.noticeMs, cause: input.message.cause } },
      effects: [],
    }),
  }),
  row({ name: 'lease-ending-old', on: 'leaseEnding', from: 'any', ignore: 'not held, or on its way back' }),
  row({
    name: 'recall',
    on: 'recallDevice',
    from: ['held'],
    when: 'our epoch, from the owner',
    holds: ({ state, input, config }) =>
      input.message.epoch === state.epoch && input.from === config.definition.owner,
    to: ['stay'],
    act: ({ state, input }) => ({ state, effects: recalled(input.message.graceMs, 'reclaim') }),
  }),
  row({
    name: 'recall-resuming',
    on: 'recallDevice',
    from: ['resuming'],
    when: 'our epoch, from the owner',
    holds: ({ state, input, config }) =>
      input.message.epoch === state.epoch && input.from === config.definition.owner,
    to: ['stay'],
    act: ({ state, input }) => ({
      state: { ...state, recalled: { ms: input.message.graceMs, cause: 'reclaim' } },
      effects: [],
    }),
  }),
  row({ name: 'recall-old', on: 'recallDevice', from: 'any', ignore: 'not held, or on its way back' }),
  row({
    name: 'notice-over',
    on: 'timer:notice',
    from: ['held'],
    to: ['suspending'],
    act: ({ state }) => suspend(state, [], false),
  }),
  row({ name: 'notice-timer-late', on: 'timer:notice', from: 'any', ignore: 'on its way back' }),
  row({
    name: 'return-held',
    on: 'return',
    from: ['held'],
    to: ['suspending'],
    act: ({ state }) => suspend(state, [], false),
  }),
  row({
    name: 'return-requesting',
    on: 'return',
    from: ['asking', 'requesting'],
    to: ['idle'],
    act: ({ state, config }) => ({
      state: idle(state),
      effects: [stop('query'), stop('request'), withdraw(config)],
    }),
  }),
  row({
    name: 'return-pending',
    on: 'return',
    from: ['pending', 'resuming'],
    to: ['stay'],
    act: ({ state, config }) => ({
      state: { ...state, unwanted: true },
      effects: state.name === 'pending' && !state.unwanted ? [withdraw(config)] : [],
    }),
  }),
  row({
    name: 'return-nothing',
    on: 'return',
    from: 'any',
    ignore: 'nothing is held, or it is on its way back',
  }),
  row({
    name: 'release-again',
    on: 'timer:release',
    from: ['releasing'],
    to: ['stay'],
    act: ({ state, config }) => ({
      state,
      effects: [
        toHost({ kind: 'release', bundle: config.definition.id, epoch: state.epoch }),
        { do: 'query' },
        timer('release'),
      ],
    }),
  }),
  row({ name: 'release-timer-late', on: 'timer:release', from: 'any', ignore: 'the bundle is back' }),
];

function withdraw(config: AgentConfig): BorrowerEffect {
  return {
    do: 'send',
    to: config.definition.owner,
    message: { kind: 'withdrawBorrow', bundle: config.definition.id },
  };
}

/** Inputs of the borrower's table, for the totality test and the diagrams. */
export const BORROWER_INPUTS: readonly BorrowerInput['on'][] = [
  'start',
  'driverInspected',
  'hostUp',
  'hookDone',
  'borrow',
  'return',
  'handoverPending',
  'borrowDeclined',
  'refused',
  'remapped',
  'stateReported',
  'confirmed',
  'leaseEnding',
  'recallDevice',
  ...(Object.keys(BORROWER_TIMERS) as BorrowerTimer[]).map((name) => `timer:${name}` as const),
];

/** The borrower's table. */
export const BORROWER_TABLE = makeTable('borrower', BORROWER_STATES, BORROWER_INPUTS, [
  ...starting,
  ...asking,
  ...told('remapped'),
  ...told('stateReported'),
  ...holding,
  ...returning,
]);
