/** The owner's rows for requests: their queue, the policy's decision, withdrawals. Pure. */

import { BUSY_RETRY_MS } from '../protocol/codes.ts';
import type { AgentConfig } from '../protocol/evidence.ts';
import type { VmId } from '../protocol/ids.ts';
import type { MessageOf } from '../protocol/messages.ts';
import type { Decline, PolicyDecision } from './agent-io.ts';
import {
  type Asked,
  type Asker,
  BUSY,
  decline,
  giveUp,
  HOOK_FAILED,
  type OwnerEffect,
  type OwnerInput,
  type OwnerState,
  row,
  stop,
  timer,
  toHost,
} from './owner-state.ts';

/** How a denial by the policy is passed on. */
export function declineOf(decision: Extract<PolicyDecision, { allow: false }>): Decline {
  const { reason, retryAfterMs, detail } = decision;
  return detail === undefined ? { reason, retryAfterMs } : { reason, retryAfterMs, detail };
}

type Request = Extract<OwnerInput, { on: 'requestBorrow' }>;

const asker = (input: Request): Asker => ({ borrower: input.from, requestId: input.message.requestId });

function askedBy(input: Request): Asked {
  const { purpose, leaseMs, minHoldMs, noticeMs, consent, requestId } = input.message;
  return { borrower: input.from, purpose, leaseMs, minHoldMs, noticeMs, consent, requestId };
}

/** Asks the policy about a request. The answer carries the request's number. */
function decide(state: OwnerState, { consent, requestId, ...asked }: Asked) {
  const number = state.requests + 1;
  const request = { number, ...asked, consent, requestId };
  return {
    state: { ...state, name: 'deciding', requests: number, request } as const,
    effects: [{ do: 'decide', request: number, ...asked } as const, timer('policy')],
  };
}

/** Queued requests, at most one per borrower. Bounds memory only. */
const WAITING_MAX = 16;

/**
 * Queues a request. A later request of a borrower replaces its earlier one at the same position, so repeated requests
 * neither lose a turn nor gain one.
 */
function wait(state: OwnerState, asked: Asked): OwnerState {
  const isIn = state.waiting.some(({ borrower }) => borrower === asked.borrower);
  const waiting = isIn
    ? state.waiting.map((other) => (other.borrower === asked.borrower ? asked : other))
    : [...state.waiting, asked];
  return { ...state, waiting };
}

const mayWait = ({ waiting }: OwnerState, borrower: VmId) =>
  waiting.length < WAITING_MAX || waiting.some((other) => other.borrower === borrower);

/** A borrower has one request at a time: a new one implies that it gave up the current one. */
export const isSuperseded = ({ request, waiting }: OwnerState) =>
  waiting.some(({ borrower }) => borrower === request?.borrower);

const isOfBorrower = ({ state, input }: { state: OwnerState; input: { from: VmId } }) =>
  state.request?.borrower === input.from;

/** Returns whether this is the current request. Its later contents do not count: the first were decided upon. */
const isRepeated = ({ requestId }: Asked, asked: MessageOf<'requestBorrow'>) => requestId === asked.requestId;

/** Returns whether the borrower withdraws the current request, not an earlier one. */
const isOfRequest = (x: { state: OwnerState; input: Extract<OwnerInput, { on: 'withdrawBorrow' }> }) =>
  isOfBorrower(x) && x.state.request!.requestId === x.input.message.requestId;

const isWithdrawn = ({ borrower, requestId }: Asked, input: Extract<OwnerInput, { on: 'withdrawBorrow' }>) =>
  borrower === input.from && requestId === input.message.requestId;

/** The bundle is no longer wanted: cancel the attempt while that is possible. */
function callBack(state: OwnerState, config: AgentConfig): OwnerEffect {
  return toHost({ kind: 'cancel', bundle: config.definition.id, epoch: state.attempt ?? state.epoch });
}

/** Rows of requests and policy. */
export const REQUEST_ROWS = [
  row({
    name: 'request-decide',
    on: 'requestBorrow',
    from: ['held'],
    to: ['deciding'],
    act: ({ state, input }) => decide(state, askedBy(input)),
  }),
  row({
    name: 'request-again',
    on: 'requestBorrow',
    from: ['deciding', 'preparing', 'suspending', 'lending'],
    when: 'the same request',
    guard: (x) => isOfBorrower(x) && isRepeated(x.state.request!, x.input.message),
    ignore: 'the request is being processed',
  }),
  row({
    name: 'request-waits',
    on: 'requestBorrow',
    from: ['deciding', 'preparing'],
    when: 'another request is being processed, and the queue has room',
    guard: ({ state, input }) => mayWait(state, input.from),
    to: ['stay'],
    act: ({ state, input }) => ({ state: wait(state, askedBy(input)), effects: [] }),
  }),
  row({
    name: 'request-renewed-suspending',
    on: 'requestBorrow',
    from: ['suspending'],
    when: 'another request of the same borrower',
    guard: isOfBorrower,
    to: ['stay'],
    act: ({ state, input, config }) => ({
      state: { ...state, dropped: BUSY, request: undefined },
      effects: [decline(config, asker(input), BUSY)],
    }),
  }),
  row({
    name: 'request-renewed-lending',
    on: 'requestBorrow',
    from: ['lending'],
    when: 'another request of the same borrower',
    guard: isOfBorrower,
    to: ['stay'],
    act: ({ state, input, config }) => ({
      state,
      effects: [callBack(state, config), decline(config, asker(input), BUSY)],
    }),
  }),
  row({
    name: 'request-not-ready',
    on: 'requestBorrow',
    from: ['starting', 'unknown'],
    to: ['stay'],
    act: ({ state, input, config }) => ({
      state,
      effects: [decline(config, asker(input), { reason: 'notReady', retryAfterMs: 1_000 })],
    }),
  }),
  row({
    name: 'request-driver-failed',
    on: 'requestBorrow',
    from: ['failed'],
    to: ['stay'],
    act: ({ state, input, config }) => ({
      state,
      effects: [decline(config, asker(input), { ...HOOK_FAILED, detail: 'its driver does not resume yet' })],
    }),
  }),
  row({
    name: 'request-not-holder',
    on: 'requestBorrow',
    from: ['parked', 'quarantined'],
    to: ['stay'],
    act: ({ state, input, config }) => ({
      state,
      effects: [decline(config, asker(input), { reason: 'notHolder', retryAfterMs: BUSY_RETRY_MS })],
    }),
  }),
  row({
    name: 'request-busy',
    on: 'requestBorrow',
    from: 'any',
    to: ['stay'],
    act: ({ state, input, config }) => ({ state, effects: [decline(config, asker(input), BUSY)] }),
  }),
  row({
    name: 'withdraw-early',
    on: 'withdrawBorrow',
    from: ['deciding', 'preparing'],
    when: 'the current request',
    guard: isOfRequest,
    to: ['held'],
    act: (x) => giveUp(x, undefined),
  }),
  row({
    name: 'withdraw-late',
    on: 'withdrawBorrow',
    from: ['suspending'],
    when: 'the current request',
    guard: (x) => isOfRequest(x) && !x.state.overtaken,
    to: ['stay'],
    act: ({ state }) => ({ state: { ...state, dropped: BUSY, request: undefined }, effects: [] }),
  }),
  row({
    name: 'withdraw-lending',
    on: 'withdrawBorrow',
    from: ['lending'],
    when: 'the current request',
    guard: isOfRequest,
    to: ['stay'],
    act: ({ state, config }) => ({ state, effects: [callBack(state, config)] }),
  }),
  row({
    name: 'withdraw-waiting',
    on: 'withdrawBorrow',
    from: ['deciding', 'preparing'],
    when: 'a queued request',
    guard: ({ state, input }) => state.waiting.some((asked) => isWithdrawn(asked, input)),
    to: ['stay'],
    act: ({ state, input }) => ({
      state: { ...state, waiting: state.waiting.filter((asked) => !isWithdrawn(asked, input)) },
      effects: [],
    }),
  }),
  row({
    name: 'next-request',
    on: 'level',
    from: ['held'],
    when: 'the queue is not empty',
    guard: ({ state }) => state.waiting.length > 0,
    to: ['deciding'],
    act: ({ state }) => decide({ ...state, waiting: state.waiting.slice(1) }, state.waiting[0]!),
  }),
  row({
    name: 'waiting-declined',
    on: 'level',
    from: ['suspending', 'lending', 'lent', 'parked', 'resuming', 'failed', 'quarantined'],
    when: 'the queue is not empty, and the bundle will not be available soon',
    guard: ({ state }) => state.waiting.length > 0,
    to: ['stay'],
    act: ({ state, config }) => ({
      state: { ...state, waiting: [] },
      effects: state.waiting.map((asked) => decline(config, asked, BUSY)),
    }),
  }),
  row({
    name: 'policy-superseded',
    on: 'policyDecided',
    from: ['deciding'],
    when: 'this request, but the borrower has sent another one since',
    guard: ({ state, input }) => state.request?.number === input.request && isSuperseded(state),
    to: ['held'],
    act: (x) => giveUp(x, undefined),
  }),
  row({
    name: 'policy-allows',
    on: 'policyDecided',
    from: ['deciding'],
    when: 'allowed, this request',
    guard: ({ state, input }) => input.decision.allow && state.request?.number === input.request,
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
          requestId: state.request!.requestId,
          leaseMs: state.request!.leaseMs,
          minHoldMs: state.request!.minHoldMs,
          noticeMs: state.request!.noticeMs,
          purpose: state.request!.purpose,
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
    guard: ({ state, input }) => !input.decision.allow && state.request?.number === input.request,
    to: ['held'],
    act: (x) => {
      const { decision } = x.input;
      return giveUp(x, decision.allow ? undefined : declineOf(decision));
    },
  }),
  row({
    name: 'policy-timeout',
    on: 'timer:policy',
    from: ['deciding'],
    to: ['held'],
    act: (x) => giveUp(x, { reason: 'policyTimeout', retryAfterMs: BUSY_RETRY_MS }),
  }),
];
