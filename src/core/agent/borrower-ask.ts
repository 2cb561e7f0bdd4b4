/** The borrower's rows from a client's request to the announced handover. Pure. */

import { retryAfter } from '../protocol/codes.ts';
import { MESSAGES } from '../protocol/messages.ts';
import { BORROWER_TIMERS } from '../protocol/timers.ts';
import {
  declinedNews,
  idle,
  isAnswer,
  notify,
  query,
  request,
  row,
  stop,
  timer,
  withdraw,
} from './borrower-state.ts';

/** Rows of asking, requesting and pending. */
export const ASKING_ROWS = [
  row({
    name: 'borrow-offered',
    on: 'borrow',
    from: ['idle'],
    when: 'the owner offers it, unasked',
    guard: ({ state }) => state.offer !== undefined,
    to: ['queued'],
    act: ({ state, input }) => {
      const requestId = state.nextRequest;
      const nextRequest = (requestId + 1) >>> 0;
      return {
        state: { ...state, name: 'queued', terms: input.terms, requestId, nextRequest },
        effects: [stop('offered'), ...query, timer('request', input.terms.waitMs), timer('queue')],
      };
    },
  }),
  row({
    name: 'borrow-request',
    on: 'borrow',
    from: ['idle'],
    when: 'epoch and timestamp token are fresh, the owner holds',
    guard: ({ state, input, config }) =>
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
    when: 'newer epoch, for our request',
    guard: (x) => x.input.message.epoch > x.state.epoch && isAnswer(x),
    to: ['pending'],
    act: ({ state, input }) => {
      const { epoch, reserveMs } = input.message;
      return {
        state: { ...state, name: 'pending', preparing: true },
        effects: [
          stop('request'),
          { do: 'persist', attempt: 'prepare', epoch },
          { do: 'hook', hook: 'prepare', epoch },
          timer('pending', reserveMs + BORROWER_TIMERS.pending),
        ],
      };
    },
  }),
  row({
    name: 'declined-stale',
    on: 'borrowDeclined',
    from: ['requesting'],
    when: 'refused for a stale consent, for the first time',
    guard: (x) => isAnswer(x) && x.input.message.refusal === 'consentStale' && !x.state.retried,
    to: ['asking'],
    act: ({ state }) => ({
      state: { ...state, name: 'asking', requestId: undefined, retried: true },
      effects: query,
    }),
  }),
  row({
    name: 'declined',
    on: 'borrowDeclined',
    from: ['requesting', 'queued', 'pending'],
    when: 'our request, and no prepare hook runs',
    guard: (x) => isAnswer(x) && !x.state.preparing,
    to: ['idle'],
    act: ({ state, input }) => ({
      state: idle(state),
      effects: [
        ...[stop('request'), stop('queue'), stop('query'), stop('pending')],
        ...(state.unwanted ? [] : [declinedNews(input.message)]),
      ],
    }),
  }),
  row({
    name: 'declined-preparing',
    on: 'borrowDeclined',
    from: ['pending'],
    when: 'our request',
    guard: isAnswer,
    to: ['stay'],
    act: ({ state, input }) => ({
      state: { ...state, unwanted: true },
      effects: state.unwanted ? [] : [declinedNews(input.message)],
    }),
  }),
  row({
    name: 'request-timeout',
    on: 'timer:request',
    from: ['asking', 'requesting', 'queued'],
    to: ['idle'],
    act: ({ state, config }) => ({
      state: idle(state),
      effects: [
        ...[stop('query'), stop('queue')],
        ...withdraw(state, config),
        notify(state.name === 'queued' ? { notice: 'timedOut', isQueued: true } : { notice: 'timedOut' }),
      ],
    }),
  }),
  row({
    name: 'pending-timeout',
    on: 'timer:pending',
    from: ['pending'],
    to: ['stay'],
    act: ({ state }) => ({ state, effects: [...query, timer('pending', BORROWER_TIMERS.pending)] }),
  }),
  row({
    name: 'refused-pending',
    on: 'refused',
    from: ['pending', 'requesting'],
    when: 'our handover is refused',
    guard: (x) =>
      x.input.message.command === MESSAGES.requestBorrow.number &&
      x.input.message.epoch > x.state.epoch &&
      isAnswer(x),
    to: ['idle', 'stay'],
    act: ({ state, input }) => {
      const news = state.unwanted
        ? []
        : [
            notify({
              notice: 'declined',
              reason: input.message.code,
              retryAfterMs: retryAfter(input.message.code),
            } as const),
          ];
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
];
