/** The owner's rows for its policy, and for whose turn it is. Pure. */

import { BUSY_RETRY_MS } from '../protocol/codes.ts';
import type { Decline, PolicyDecision } from './agent-io.ts';
import { leave, nextOf, serve, told, unasked, untold } from './owner-queue.ts';
import { BUSY, BUSY_STATES, decline, type OwnerSeen, row, stop, timer } from './owner-state.ts';
import { offer, passOn, prepare } from './owner-turn.ts';

/** States in which a borrower is told its place: its consent cannot count any more. */
const AWAY_STATES = ['suspending', 'lending', 'lent', 'parked'] as const;

/** How a denial by the policy is passed on. */
export function declineOf(decision: Extract<PolicyDecision, { allow: false }>): Decline {
  const { reason, retryAfterMs, detail } = decision;
  return detail === undefined ? { reason, retryAfterMs } : { reason, retryAfterMs, detail };
}

/** Returns whether the policy's answer is about the queued request for which it was asked. */
const isAsked = ({ state, input }: OwnerSeen<'policyDecided'>) =>
  state.asking === input.request && state.waiting.some(({ number }) => number === state.asking);

/** The policy has not allowed the request for which it was asked. */
function denied({ state, config }: Pick<OwnerSeen<'policyDecided'>, 'state' | 'config'>, how: Decline) {
  const one = state.waiting.find(({ number }) => number === state.asking);
  return {
    state: { ...(one ? leave(state, one.borrower) : state), asking: undefined },
    effects: [stop('policy'), ...(one ? [decline(config, one, how)] : [])],
  };
}

/** Rows of the policy, and of whose turn it is. */
export const TURN_ROWS = [
  row({
    name: 'policy-allows',
    on: 'policyDecided',
    from: 'any',
    when: 'allowed, this request',
    guard: (x) => x.input.decision.allow && isAsked(x),
    to: ['stay'],
    act: ({ state, input }) => {
      const { priority = 0 } = input.decision as Extract<PolicyDecision, { allow: true }>;
      const waiting = state.waiting.map((one) => (one.number === state.asking ? { ...one, priority } : one));
      return { state: { ...state, waiting, asking: undefined }, effects: [stop('policy')] };
    },
  }),
  row({
    name: 'policy-denies',
    on: 'policyDecided',
    from: 'any',
    when: 'denied, this request',
    guard: isAsked,
    to: ['stay'],
    act: (x) => denied(x, declineOf(x.input.decision as Extract<PolicyDecision, { allow: false }>)),
  }),
  row({
    name: 'policy-over',
    on: 'policyDecided',
    from: 'any',
    when: 'the request is over',
    guard: ({ state, input }) => state.asking === input.request,
    to: ['stay'],
    act: ({ state }) => ({ state: { ...state, asking: undefined }, effects: [stop('policy')] }),
  }),
  row({
    name: 'policy-timeout',
    on: 'timer:policy',
    from: 'any',
    when: 'not decided',
    guard: ({ state }) => state.asking !== undefined,
    to: ['stay'],
    act: (x) => denied(x, { reason: 'policyTimeout', retryAfterMs: BUSY_RETRY_MS }),
  }),
  row({
    name: 'recall-offering',
    on: 'recall',
    from: ['offering'],
    to: ['held', 'resuming'],
    act: ({ state, config }) =>
      passOn({ ...state, waiting: [], asking: undefined }, config, [
        ...[stop('offer'), stop('policy')],
        ...state.waiting.map((asked) => decline(config, asked, BUSY)),
      ]),
  }),
  row({
    name: 'waiting-declined',
    on: 'level',
    from: ['lent', 'parked', 'failed', 'quarantined'],
    when: 'requests wait, and the owner has recalled the bundle or cannot lend it soon',
    guard: ({ state }) =>
      state.waiting.length > 0 &&
      (state.isRecalled || state.name === 'failed' || state.name === 'quarantined'),
    to: ['stay'],
    act: ({ state, config }) => ({
      state: { ...state, waiting: [] },
      effects: state.waiting.map((asked) => decline(config, asked, BUSY)),
    }),
  }),
  row({
    name: 'ask-policy',
    on: 'level',
    from: ['held', ...BUSY_STATES],
    when: 'a request is new, and the policy is not busy',
    guard: ({ state }) => state.asking === undefined && unasked(state) !== undefined,
    to: ['stay'],
    act: ({ state }) => {
      const one = unasked(state)!;
      const number = state.numbers + 1;
      const { borrower, purpose, leaseMs, minHoldMs, noticeMs } = one;
      const asked = { borrower, purpose, leaseMs, minHoldMs, noticeMs };
      return {
        state: {
          ...state,
          numbers: number,
          asking: number,
          waiting: state.waiting.map((other) =>
            other === one ? { ...one, number, asks: one.asks + 1 } : other,
          ),
        },
        effects: [{ do: 'decide', request: number, ...asked }, timer('policy')],
      };
    },
  }),
  row({
    name: 'next-prepare',
    on: 'level',
    from: ['held'],
    when: 'the next request has a consent',
    guard: ({ state }) => nextOf(state)?.consent !== undefined,
    to: ['preparing'],
    act: ({ state, config }) => {
      const one = nextOf(state)!;
      const next = serve(state, one, one.consent!);
      return { state: { ...next, name: 'preparing' }, effects: prepare(next, config) };
    },
  }),
  row({
    name: 'next-offer',
    on: 'level',
    from: ['held'],
    when: 'a request waits',
    guard: ({ state }) => nextOf(state) !== undefined,
    to: ['offering'],
    act: ({ state, config }) => offer(state, config, nextOf(state)!),
  }),
  row({
    name: 'tell-place',
    on: 'level',
    from: [...AWAY_STATES],
    when: 'the place of a request has changed',
    guard: ({ state }) => untold(state).length > 0,
    to: ['stay'],
    act: ({ state, config }) => {
      const places = untold(state);
      const { id: bundle } = config.definition;
      return {
        state: told(state, places),
        effects: places.map(({ one, position, expectedMs }) => ({
          do: 'send',
          to: one.borrower,
          message: { kind: 'queued', bundle, requestId: one.requestId, position, expectedMs },
        })),
      };
    },
  }),
];
