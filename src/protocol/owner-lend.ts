/**
 * The owner's rows from a borrower's request to the moment the host moves the bundle. Pure.
 */

import type { Decline, PolicyDecision } from './agent-io.ts';
import { BUSY_RETRY_MS, retryAfter } from './codes.ts';
import { consentMark, MESSAGES, type MessageOf } from './messages.ts';
import {
  BUSY,
  cleared,
  decline,
  giveUp,
  hookNews,
  type OwnerState,
  query,
  resume,
  row,
  stop,
  timer,
  toHost,
} from './owner-state.ts';

/** Rows of requests and policy. */
export const REQUEST_ROWS = [
  row({
    name: 'request-decide',
    on: 'requestBorrow',
    from: ['held'],
    to: ['deciding'],
    act: ({ state, input }) => {
      const { purpose, leaseMs, minTenureMs, noticeMs, consent } = input.message;
      const asked = { borrower: input.from, purpose, leaseMs, minTenureMs, noticeMs };
      const number = state.requests + 1;
      return {
        state: { ...state, name: 'deciding', requests: number, request: { number, ...asked, consent } },
        effects: [{ do: 'decide', request: number, ...asked }, timer('policy')],
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
    name: 'request-driver-failed',
    on: 'requestBorrow',
    from: ['failed'],
    to: ['stay'],
    act: ({ state, input, config }) => ({
      state,
      effects: [decline(config, input.from, { reason: 'hookFailed', retryAfterMs: BUSY_RETRY_MS })],
    }),
  }),
  row({
    name: 'request-not-holder',
    on: 'requestBorrow',
    from: ['parked', 'quarantined'],
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
    when: 'allowed, this request',
    holds: ({ state, input }) => input.decision.allow && state.request?.number === input.request,
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
          leaseMs: state.request!.leaseMs,
          minTenureMs: state.request!.minTenureMs,
          noticeMs: state.request!.noticeMs,
        }),
        timer('prepare'),
      ],
    }),
  }),
  row({
    name: 'policy-denies',
    on: 'policyDecided',
    from: ['deciding'],
    when: 'denied, this request',
    holds: ({ state, input }) => !input.decision.allow && state.request?.number === input.request,
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

/** Whether a reservation is for what the request under way consents to, and not for an earlier one. */
function isForRequest({ request }: OwnerState, { borrower, mark }: MessageOf<'prepared'>): boolean {
  return request?.borrower === borrower && consentMark(request.consent) === mark;
}

/** Rows of prepare, suspend and lend. */
export const LENDING_ROWS = [
  row({
    name: 'prepared-suspend',
    on: 'prepared',
    from: ['preparing'],
    when: 'newer epoch, for the consent of this request',
    holds: ({ state, input }) => input.message.epoch > state.heldEpoch && isForRequest(state, input.message),
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
    from: ['held', 'deciding', 'preparing', 'resuming'],
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
    holds: ({ state, input }) => input.hook !== 'resume' && state.overtaken,
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
        // First, or the host's word of the cancelled reservation is there before the reason for it.
        ...(borrower ? [decline(config, borrower, state.dropped ?? failed)] : []),
        toHost({ kind: 'cancel', bundle: config.definition.id, epoch: state.attempt! }),
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
    when: 'this prepare was refused',
    holds: ({ state, input }) =>
      input.message.command === MESSAGES.prepare.number &&
      input.message.epoch === state.heldEpoch &&
      input.message.mark === consentMark(state.request!.consent),
    to: ['held'],
    act: (x) =>
      giveUp(x, {
        reason: 'refusedByHost',
        retryAfterMs: retryAfter(x.input.message.code),
        refusal: x.input.message.code,
      }),
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
        dropped: {
          reason: 'refusedByHost',
          retryAfterMs: retryAfter(input.message.code),
          refusal: input.message.code,
        },
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
        retryAfterMs: retryAfter(input.message.code),
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
