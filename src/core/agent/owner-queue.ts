/**
 * The owner's queue: which requests wait, in which order they are served, and what the borrowers are told. Pure.
 *
 * Each borrower has one request in it. The order is by priority and age: each request that is served raises those that
 * it passed by one, so that a difference of n in priority counts for n turns and nobody waits for ever. A request that
 * waits holds no consent, since epochs change while it does; at its turn the borrower is asked for one by an offer.
 */

import type { VmId } from '../protocol/ids.ts';
import type { Asked, Offer, OwnerState, Waiting } from './owner-state.ts';

/** Requests in the queue, at most one per borrower. Bounds memory only: a machine has few VMs. */
const WAITING_MAX = 16;

/** Returns the requests that the policy has allowed, in the order of their turns. */
export function inTurn(waiting: readonly Waiting[]): readonly Waiting[] {
  const rank = ({ priority, passed }: Waiting) => priority! + passed;
  // The sort is stable: of equal rank, the earlier one is first.
  return waiting
    .filter(({ priority }) => priority !== undefined)
    .sort((one, other) => rank(other) - rank(one));
}

/** Returns the request whose turn it is. */
export function nextOf({ waiting }: Pick<OwnerState, 'waiting'>): Waiting | undefined {
  return inTurn(waiting)[0];
}

/**
 * Returns the next request about which the policy was not asked. A place whose requests are replaced again and again
 * comes last, so that it does not keep the policy from the others.
 */
export function unasked({ waiting }: OwnerState): Waiting | undefined {
  const open = waiting.filter(({ number }) => number === 0);
  return open.sort((one, other) => one.asks - other.asks)[0];
}

/** Returns whether the queue has room for a request of `borrower`. */
export function mayWait({ waiting }: OwnerState, borrower: VmId): boolean {
  return waiting.length < WAITING_MAX || waiting.some((other) => other.borrower === borrower);
}

/**
 * Queues a request. A later one of a borrower replaces its earlier one at the same place and age, so that repeating
 * neither loses a turn nor gains one.
 */
export function join(state: OwnerState, asked: Asked): OwnerState {
  const entry = ({ asks, passed }: Pick<Waiting, 'asks' | 'passed'>): Waiting => ({
    ...asked,
    number: 0,
    priority: undefined,
    asks,
    passed,
    told: undefined,
  });
  const isIn = state.waiting.some(({ borrower }) => borrower === asked.borrower);
  const waiting = isIn
    ? state.waiting.map((one) => (one.borrower === asked.borrower ? entry(one) : one))
    : [...state.waiting, entry({ asks: 0, passed: 0 })];
  return { ...state, waiting };
}

/** Returns the state without this borrower's request. */
export function leave(state: OwnerState, borrower: VmId): OwnerState {
  return { ...state, waiting: state.waiting.filter((one) => one.borrower !== borrower) };
}

/** Returns the state with the request of `one` under way; those that it passed age. */
export function serve(state: OwnerState, one: Waiting, consent: Uint8Array): OwnerState {
  const rest = leave(state, one.borrower);
  const { priority: _, asks: _asks, passed: _passed, told: _told, ...asked } = one;
  return {
    ...rest,
    request: { ...asked, consent },
    waiting: rest.waiting.map((other) => ({ ...other, passed: other.passed + 1 })),
  };
}

/** Returns the state with all consents of the queue void: the epoch has changed. */
export function withoutConsents(state: OwnerState): OwnerState {
  if (state.waiting.every(({ consent }) => consent === undefined)) return state;
  return { ...state, waiting: state.waiting.map((one) => ({ ...one, consent: undefined })) };
}

/** What a borrower is to be told: its request, its place, and the leases before it, in ms. */
export interface Place {
  readonly one: Waiting;
  readonly position: number;
  readonly expectedMs: number;
}

/** Returns the borrowers whose place has changed since they were told. */
export function untold({ waiting }: OwnerState): readonly Place[] {
  let expectedMs = 0;
  const places = inTurn(waiting).map((one, position) => {
    const place = { one, position, expectedMs };
    expectedMs += one.leaseMs;
    return place;
  });
  return places.filter(({ one, position }) => one.told !== position);
}

/** Returns the state after these borrowers were told. All consents are void from then on. */
export function told(state: OwnerState, places: readonly Place[]): OwnerState {
  const waiting = state.waiting.map((one) => {
    const place = places.find((other) => other.one === one);
    return { ...one, told: place ? place.position : one.told, consent: undefined };
  });
  return { ...state, waiting };
}

/** Returns whether an answer is to the open offer. */
export function isOfOffer(offer: Offer | undefined, from: VmId, offerId: number): boolean {
  return offer !== undefined && offer.borrower === from && offer.offerId === offerId;
}
