/** The owner's rows for requests and withdrawals: they join its queue, and leave it. Pure. */

import { BUSY_RETRY_MS } from '../protocol/codes.ts';
import type { AgentConfig } from '../protocol/evidence.ts';
import type { MessageOf } from '../protocol/messages.ts';
import { join, leave, mayWait } from './owner-queue.ts';
import {
  type Asked,
  askedBy,
  asker,
  BUSY,
  BUSY_STATES,
  decline,
  HOOK_FAILED,
  type OwnerEffect,
  type OwnerSeen,
  type OwnerState,
  row,
  stop,
  toHost,
} from './owner-state.ts';
import { giveUp, passOn } from './owner-turn.ts';

/** A borrower has one request at a time: a new one implies that it gave up the current one. */
export const isSuperseded = ({ request, waiting }: OwnerState) =>
  waiting.some(({ borrower }) => borrower === request?.borrower);

const isOfBorrower = ({ state, input }: OwnerSeen<'requestBorrow'> | OwnerSeen<'withdrawBorrow'>) =>
  state.request?.borrower === input.from;

/** Returns whether this is the current request. Its later contents do not count: the first were decided upon. */
const isRepeated = ({ requestId }: Pick<Asked, 'requestId'>, asked: MessageOf<'requestBorrow'>) =>
  requestId === asked.requestId;

const queuedOf = ({ state, input }: OwnerSeen<'requestBorrow'> | OwnerSeen<'withdrawBorrow'>) =>
  state.waiting.find(({ borrower }) => borrower === input.from);

/** Returns whether the borrower withdraws the current request, not an earlier one. */
const isOfRequest = (x: OwnerSeen<'withdrawBorrow'>) =>
  isOfBorrower(x) && x.state.request!.requestId === x.input.message.requestId;

const isQueued = (x: OwnerSeen<'withdrawBorrow'>) => queuedOf(x)?.requestId === x.input.message.requestId;

const isOffered = ({ state, input }: OwnerSeen<'requestBorrow'> | OwnerSeen<'withdrawBorrow'>) =>
  state.offer?.borrower === input.from && state.offer.requestId !== undefined;

/** The bundle is no longer wanted: cancel the attempt while that is possible. */
function callBack(state: OwnerState, config: AgentConfig): OwnerEffect {
  return toHost({ kind: 'cancel', bundle: config.definition.id, epoch: state.attempt ?? state.epoch });
}

/** Rows of requests and withdrawals. */
export const REQUEST_ROWS = [
  row({
    name: 'request-again',
    on: 'requestBorrow',
    from: ['preparing', 'suspending', 'lending'],
    when: 'the same request',
    guard: (x) => isOfBorrower(x) && isRepeated(x.state.request!, x.input.message),
    ignore: 'the request is being processed',
  }),
  row({
    name: 'request-queued-again',
    on: 'requestBorrow',
    from: ['held', ...BUSY_STATES],
    when: 'the same request, which is queued',
    guard: (x) => queuedOf(x) !== undefined && isRepeated(queuedOf(x)!, x.input.message),
    ignore: 'the request is queued',
  }),
  row({
    name: 'request-recalled',
    on: 'requestBorrow',
    from: ['lent', 'parked'],
    when: 'the owner has recalled the bundle',
    guard: ({ state }) => state.isRecalled,
    to: ['stay'],
    act: ({ state, input, config }) => ({ state, effects: [decline(config, asker(input), BUSY)] }),
  }),
  row({
    name: 'request-full',
    on: 'requestBorrow',
    from: ['held', ...BUSY_STATES],
    when: 'the queue is full',
    guard: ({ state, input }) => !mayWait(state, input.from),
    to: ['stay'],
    act: ({ state, input, config }) => ({ state, effects: [decline(config, asker(input), BUSY)] }),
  }),
  row({
    name: 'request-renewed-offering',
    on: 'requestBorrow',
    from: ['offering'],
    when: 'another request of the borrower that has the offer',
    guard: isOffered,
    to: ['offering', 'held', 'resuming'],
    act: ({ state, input, config }) => passOn(join(state, askedBy(input)), config, [stop('offer')]),
  }),
  row({
    name: 'request-renewed-suspending',
    on: 'requestBorrow',
    from: ['suspending'],
    when: 'another request of the same borrower',
    guard: isOfBorrower,
    to: ['stay'],
    act: ({ state, input }) => ({
      state: { ...join(state, askedBy(input)), dropped: BUSY, request: undefined },
      effects: [],
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
      state: join(state, askedBy(input)),
      effects: [callBack(state, config)],
    }),
  }),
  row({
    name: 'request',
    on: 'requestBorrow',
    from: ['held', ...BUSY_STATES],
    to: ['stay'],
    act: ({ state, input }) => ({ state: join(state, askedBy(input)), effects: [] }),
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
    from: ['quarantined'],
    to: ['stay'],
    act: ({ state, input, config }) => ({
      state,
      effects: [decline(config, asker(input), { reason: 'notHolder', retryAfterMs: BUSY_RETRY_MS })],
    }),
  }),
  row({
    name: 'withdraw-early',
    on: 'withdrawBorrow',
    from: ['preparing'],
    when: 'the current request',
    guard: isOfRequest,
    to: ['held', 'offering', 'resuming'],
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
    name: 'withdraw-offered',
    on: 'withdrawBorrow',
    from: ['offering'],
    when: 'the offered request',
    guard: (x) => isOffered(x) && isQueued(x),
    to: ['offering', 'held', 'resuming'],
    act: ({ state, input, config }) => passOn(leave(state, input.from), config, [stop('offer')]),
  }),
  row({
    name: 'withdraw-waiting',
    on: 'withdrawBorrow',
    from: ['held', ...BUSY_STATES],
    when: 'a queued request',
    guard: isQueued,
    to: ['stay'],
    act: ({ state, input }) => ({ state: leave(state, input.from), effects: [] }),
  }),
];
