/** Rows of the owner's queue and its offers that no search reaches (directed.ts). */

import type { BorrowerState } from '../../src/core/agent/borrower-state.ts';
import type { OwnerState } from '../../src/core/agent/owner-state.ts';
import { ANDROID, VAULT } from '../../targets/lab/machine/board.ts';
import {
  allowed,
  borrower,
  fromBorrower,
  fromHost,
  fromOwner,
  held,
  knowing,
  lent,
  message,
  OTHER,
  on,
  owner,
  owning,
  REQUEST,
  remapped,
  requesting,
  sent,
  TERMS,
} from '../core/protocol/requirements-support.ts';
import type { Directed } from './directed-case.ts';

const RECALL = { on: 'recall', graceMs: 0, force: false } as const;
const OFFER = { on: 'offer', to: OTHER, leaseMs: 60, reservedMs: 5_000 } as const;
/** An offer to a borrower that did not ask, with an old timestamp token. */
const UNASKED_WORD = {
  on: 'offerLease',
  from: ANDROID,
  message: message('offerLease', { epoch: 3, reservedMs: 9, offerId: 4, leaseMs: 9, requestId: undefined }),
  fresh: false,
};
const UNASKED = UNASKED_WORD as never;
const QUEUED = fromOwner(message('queued', { requestId: 1, position: 0, expectedMs: 0 }));

export const DIRECTED_QUEUE: readonly Directed[] = [
  {
    row: 'o:policy-over',
    play: () =>
      owner([fromBorrower(REQUEST), fromBorrower({ ...REQUEST, requestId: 2 }), allowed(1)], owning()),
    // The next one is decided at once; nobody is told of the one that its borrower gave up.
    wants: ['held', 2, 2],
    seen: ({ state, effects }) => {
      const { name, asking, waiting } = state as unknown as OwnerState;
      return [name, asking, waiting[0]!.requestId, ...sent(effects)];
    },
  },
  {
    row: 'o:request-recalled',
    play: () => owner([RECALL, fromBorrower({ ...REQUEST, requestId: 2 })], lent()),
    wants: ['lent', 'borrowDeclined'],
    seen: ({ state, effects }) => [state.name, ...sent(effects)],
  },
  {
    row: 'o:request-full',
    play: () => {
      const full = Array.from({ length: 17 }, (_, i) => {
        return { on: 'requestBorrow', from: `vm${i}`, message: REQUEST } as never;
      });
      return owner(full, owning());
    },
    wants: [16, 'borrowDeclined'],
    seen: ({ state, effects }) => [(state as unknown as OwnerState).waiting.length, ...sent(effects)],
  },
  {
    row: 'o:recall-offering',
    play: () => owner([OFFER, RECALL], owning()),
    wants: ['held', undefined],
    seen: ({ state }) => [state.name, (state as unknown as OwnerState).offer],
  },
  {
    row: 'o:offer',
    play: () => owner([OFFER], owning()),
    wants: ['offering', 'offerLease'],
    seen: ({ state, effects }) => [state.name, ...sent(effects)],
  },
  {
    row: 'o:offer-not-now',
    play: () => owner([OFFER], lent()),
    wants: ['lent'],
    seen: ({ state, effects }) => [state.name, ...sent(effects)],
  },
  {
    row: 'o:accepted-unasked',
    play: () => {
      const fields = { ...REQUEST, offerId: owning().numbers + 1, requestId: 5 };
      const accepts = { on: 'acceptLease', from: OTHER, message: message('acceptLease', fields) };
      return owner([OFFER, accepts as never], owning());
    },
    wants: ['held', OTHER, true],
    seen: ({ state }) => {
      const { name, waiting, asking } = state as unknown as OwnerState;
      return [name, waiting[0]!.borrower, asking === waiting[0]!.number];
    },
  },
  {
    row: 'b:offer-unasked',
    play: () => borrower([UNASKED], knowing()),
    wants: ['idle', { offerId: 4, epoch: 3 }],
    seen: ({ state }) => [state.name, (state as unknown as BorrowerState).offer],
  },
  {
    row: 'b:offered-over',
    play: () => borrower([UNASKED, on('timer:offered')], knowing()),
    wants: ['idle', undefined],
    seen: ({ state }) => [state.name, (state as unknown as BorrowerState).offer],
  },
  {
    row: 'b:borrow-offered',
    play: () => borrower([UNASKED, { on: 'borrow', terms: TERMS, fresh: true }], knowing()),
    wants: ['queued', true],
    seen: ({ state, effects }) => [state.name, effects.some((effect) => effect.do === 'query')],
  },
  ...(
    [
      ['b:remapped-accept', remapped(ANDROID, 3)],
      ['b:stateReported-accept', held(ANDROID, 3, VAULT)],
    ] as const
  ).map(
    ([row, report]): Directed => ({
      row,
      play: () =>
        borrower([UNASKED, { on: 'borrow', terms: TERMS, fresh: true }, fromHost(report)], knowing()),
      wants: ['requesting', 3, 4],
      seen: ({ state, effects }) => {
        const request = effects.find((effect) => effect.do === 'request');
        const { epoch, offerId } = request as unknown as { epoch: number; offerId: number };
        return [state.name, epoch, offerId];
      },
    }),
  ),
  {
    row: 'b:offer-ask',
    play: () => {
      const { state } = borrower([QUEUED], requesting());
      const offer = { ...UNASKED_WORD, message: { ...UNASKED_WORD.message, requestId: 1 } };
      return borrower([offer as never], state);
    },
    wants: ['queued', 'query'],
    seen: ({ state, effects }) => [state.name, effects[0]!.do],
  },
  {
    row: 'b:queued-unwanted',
    play: () => borrower([QUEUED], requesting({ ...TERMS, mayQueue: false })),
    wants: ['idle', 'withdrawBorrow'],
    seen: ({ state, effects }) => [state.name, ...sent(effects)],
  },
];
