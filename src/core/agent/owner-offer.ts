/** The owner's rows for offers: at a borrower's turn, or unasked. Pure. */

import type { AgentConfig } from '../protocol/evidence.ts';
import { isOfOffer, join, leave, serve } from './owner-queue.ts';
import {
  askedBy,
  asker,
  BUSY,
  decline,
  type OwnerEffect,
  type OwnerSeen,
  type OwnerState,
  row,
  stop,
} from './owner-state.ts';
import { offer, passOn, prepare } from './owner-turn.ts';

const isAnswer = (x: OwnerSeen<'acceptLease'> | OwnerSeen<'declineOffer'>) =>
  isOfOffer(x.state.offer, x.input.from, x.input.message.offerId);

/** Rows of offers and their answers. */
export const OFFER_ROWS = [
  row({
    name: 'offer',
    on: 'offer',
    from: ['held'],
    when: 'nobody waits',
    guard: ({ state }) => state.waiting.length === 0,
    to: ['offering'],
    act: ({ state, input, config }) =>
      offer(state, config, { borrower: input.to, leaseMs: input.leaseMs }, input.reservedMs),
  }),
  row({
    name: 'offer-not-now',
    on: 'offer',
    from: 'any',
    to: ['stay'],
    act: ({ state, input }) => ({
      state,
      effects: [{ do: 'notify', notice: { notice: 'notOffered', to: input.to, reason: 'notNow' } }],
    }),
  }),
  row({
    name: 'accepted',
    on: 'acceptLease',
    from: ['offering'],
    when: 'the open offer to a queued request',
    guard: (x) => isAnswer(x) && x.state.offer!.requestId !== undefined,
    to: ['preparing'],
    act: ({ state, input, config }) => {
      const one = state.waiting.find(({ borrower }) => borrower === input.from)!;
      const { consent, requestId } = input.message;
      // The policy has allowed the terms of the request: the host refuses a consent to longer ones.
      const next: OwnerState = { ...serve(state, { ...one, requestId }, consent), offer: undefined };
      return {
        state: { ...next, name: 'preparing' },
        effects: [stop('offer'), ...prepare(next, config)],
      };
    },
  }),
  row({
    name: 'accepted-unasked',
    on: 'acceptLease',
    from: ['offering'],
    when: 'the open, unasked offer',
    guard: isAnswer,
    to: ['offering', 'held', 'resuming'],
    act: ({ state, input, config }) => passOn(join(state, askedBy(input)), config, [stop('offer')]),
  }),
  row({
    name: 'accepted-late',
    on: 'acceptLease',
    from: 'any',
    to: ['stay'],
    act: ({ state, input, config }) => ({ state, effects: [decline(config, asker(input), BUSY)] }),
  }),
  row({
    name: 'offer-declined',
    on: 'declineOffer',
    from: ['offering'],
    when: 'the open offer',
    guard: isAnswer,
    to: ['offering', 'held', 'resuming'],
    act: ({ state, config }) => unoffered(state, config, 'declined', []),
  }),
  row({
    name: 'offer-lapses',
    on: 'timer:offer',
    from: ['offering'],
    to: ['offering', 'held', 'resuming'],
    act: ({ state, config }) => {
      const { borrower, requestId } = state.offer!;
      // It may live, and wait: the offer or its answer was lost.
      const no = requestId === undefined ? [] : [decline(config, { borrower, requestId }, BUSY)];
      return unoffered(state, config, 'notAnswered', no);
    },
  }),
];

/** The borrower did not take the offer: its turn is over. */
function unoffered(
  state: OwnerState,
  config: AgentConfig,
  reason: 'declined' | 'notAnswered',
  before: readonly OwnerEffect[],
) {
  const { borrower, requestId } = state.offer!;
  const notice = { notice: 'notOffered', to: borrower, reason } as const;
  const news: OwnerEffect[] = requestId === undefined ? [{ do: 'notify', notice }] : [];
  const rest = requestId === undefined ? state : leave(state, borrower);
  return passOn(rest, config, [stop('offer'), ...before, ...news]);
}
