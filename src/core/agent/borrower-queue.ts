/**
 * The borrower's rows for the owner's queue and its offers: told its place, it waits until the owner offers the
 * bundle, and then consents at the offered epoch. Pure.
 */

import { BUSY_RETRY_MS } from '../protocol/codes.ts';
import type { AgentConfig } from '../protocol/evidence.ts';
import type { Outcome, Seen } from '../protocol/table.ts';
import {
  accept,
  type BorrowerEffect,
  type BorrowerInput,
  type BorrowerState,
  idle,
  isAnswer,
  isOfferOpen,
  learn,
  notify,
  query,
  request,
  row,
  stop,
  timer,
  withdraw,
} from './borrower-state.ts';

type SeenOf<K extends BorrowerInput['on']> = Seen<
  BorrowerState,
  Extract<BorrowerInput, { on: K }>,
  AgentConfig
>;

/** Waits for the turn, as told. */
function wait({ state, input }: SeenOf<'queued'>): Outcome<BorrowerState, BorrowerEffect> {
  const { position, expectedMs } = input.message;
  return {
    state: { ...state, name: 'queued', place: { position, expectedMs } },
    effects: [timer('queue'), notify({ notice: 'queued', position, expectedMs })],
  };
}

/** Returns whether an offer is for the open request, at an epoch that is not over. */
const isForRequest = (x: SeenOf<'offerLease'>) =>
  x.state.requestId !== undefined && isAnswer(x) && x.input.message.epoch >= x.state.epoch;

/** Rows of the queue and of offers. */
export const QUEUE_ROWS = [
  row({
    name: 'queued-unwanted',
    on: 'queued',
    from: ['requesting'],
    when: 'our request, which may not wait',
    guard: (x) => isAnswer(x) && !x.state.terms!.mayQueue,
    to: ['idle'],
    act: ({ state, config }) => ({
      state: idle(state),
      effects: [
        stop('request'),
        ...withdraw(state, config),
        notify({ notice: 'declined', reason: 'busy', retryAfterMs: BUSY_RETRY_MS }),
      ],
    }),
  }),
  row({
    name: 'queued',
    on: 'queued',
    from: ['requesting', 'queued'],
    when: 'our request',
    guard: isAnswer,
    to: ['queued'],
    act: wait,
  }),
  row({
    name: 'queue-ask',
    on: 'timer:queue',
    from: ['queued'],
    to: ['stay'],
    act: ({ state }) => ({ state, effects: [...query, timer('queue')] }),
  }),
  row({
    name: 'offer-accept',
    on: 'offerLease',
    from: ['queued', 'requesting'],
    when: 'for our request; the timestamp token is fresh',
    guard: (x) => isForRequest(x) && x.input.fresh,
    to: ['requesting'],
    act: ({ state, input }) => accept(state, input.message),
  }),
  row({
    name: 'offer-ask',
    on: 'offerLease',
    from: ['queued', 'requesting'],
    when: 'for our request',
    guard: isForRequest,
    to: ['queued'],
    act: ({ state, input }) => {
      const { offerId, epoch } = input.message;
      const offer = { offerId, epoch };
      return { state: { ...state, name: 'queued', offer }, effects: [...query, timer('queue')] };
    },
  }),
  row({
    name: 'offer-unasked',
    on: 'offerLease',
    from: ['idle'],
    when: 'unasked',
    guard: ({ state, input }) =>
      input.message.requestId === undefined && input.message.epoch >= state.epoch && state.incarnation > 0,
    to: ['stay'],
    act: ({ state, input }) => {
      const { offerId, epoch, leaseMs, reservedMs } = input.message;
      return {
        state: { ...state, offer: { offerId, epoch } },
        effects: [timer('offered', reservedMs), notify({ notice: 'offered', leaseMs, reservedMs })],
      };
    },
  }),
  row({
    name: 'offer-declined',
    on: 'offerLease',
    from: [
      'idle',
      'asking',
      'requesting',
      'queued',
      'pending',
      'resuming',
      'held',
      'suspending',
      'releasing',
    ],
    to: ['stay'],
    act: ({ state, input, config }) => {
      const { bundle, offerId } = input.message;
      const message = { kind: 'declineOffer', bundle, offerId } as const;
      return { state, effects: [{ do: 'send', to: config.definition.owner, message }] };
    },
  }),
  row({
    name: 'offered-over',
    on: 'timer:offered',
    from: ['idle'],
    to: ['stay'],
    act: ({ state }) => ({ state: { ...state, offer: undefined }, effects: [] }),
  }),
];

/** The owner's agent has started anew, and with it its queue. */
const forgotten = row({
  name: 'stateReported-forgotten',
  on: 'stateReported',
  from: ['queued'],
  when: 'the owner holds, confirmed, and has not made an offer: it has forgotten the request',
  guard: ({ state, input, config }) =>
    input.message.phase === 'held' &&
    input.message.holder === config.definition.owner &&
    input.message.confirmed &&
    state.offer === undefined,
  to: ['requesting'],
  act: ({ state, input }) => {
    const out = request(learn({ ...state, place: undefined }, input.message));
    return { state: out.state, effects: [stop('queue'), ...out.effects] };
  },
});

/** Rows for ownership reports while queued, the same for `remapped` and `stateReported`. */
export const queuedReportRows = (on: 'remapped' | 'stateReported') => [
  row({
    name: `${on}-accept`,
    on,
    from: ['queued'],
    when: 'the owner holds at the epoch of its offer',
    guard: ({ state, input, config }) => isOfferOpen(state, input.message, config),
    to: ['requesting'],
    act: ({ state, input }) => accept(learn(state, input.message), state.offer!),
  }),
  ...(on === 'stateReported' ? [forgotten] : []),
  row({
    name: `${on}-queued`,
    on,
    from: ['queued'],
    to: ['stay'],
    act: ({ state, input }) => ({
      // An offer at an epoch that is over is void.
      state: { ...learn(state, input.message), offer: undefined },
      effects: [stop('query')],
    }),
  }),
];
