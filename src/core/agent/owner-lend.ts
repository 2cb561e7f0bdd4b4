/** The owner's rows from the host's reservation to the move of the bundle. Pure. */

import { BUSY_RETRY_MS, retryAfter } from '../protocol/codes.ts';
import { MESSAGES, type MessageOf } from '../protocol/messages.ts';
import type { Decline } from './agent-io.ts';
import { isSuperseded } from './owner-request.ts';
import {
  cleared,
  decline,
  HOOK_FAILED,
  hookNews,
  type OwnerState,
  query,
  row,
  stop,
  timer,
  toHost,
} from './owner-state.ts';
import { giveUp, resume } from './owner-turn.ts';

/** Returns whether a reservation is for the current request, not for an earlier one. */
function isForRequest({ request }: OwnerState, { borrower, requestId }: MessageOf<'prepared'>): boolean {
  return request?.borrower === borrower && request.requestId === requestId;
}

/** Rows of prepare, suspend and lend. */
export const LENDING_ROWS = [
  row({
    name: 'prepared-lend',
    on: 'prepared',
    from: ['preparing'],
    when: 'newer epoch, for this request, and the driver is suspended since the last loan',
    guard: ({ state, input }) =>
      input.message.epoch > state.heldEpoch &&
      isForRequest(state, input.message) &&
      !isSuperseded(state) &&
      state.driver === 'suspended',
    to: ['lending'],
    act: ({ state, input }) => {
      const { bundle, epoch } = input.message;
      return {
        state: { ...state, name: 'lending', attempt: epoch, overtaken: false },
        effects: [stop('prepare'), toHost({ kind: 'lend', bundle, epoch }), timer('lend')],
      };
    },
  }),
  row({
    name: 'prepared-suspend',
    on: 'prepared',
    from: ['preparing'],
    when: 'newer epoch, for this request',
    guard: ({ state, input }) =>
      input.message.epoch > state.heldEpoch && isForRequest(state, input.message) && !isSuperseded(state),
    to: ['suspending'],
    act: ({ state, input }) => {
      const { epoch } = input.message;
      return {
        state: { ...state, name: 'suspending', attempt: epoch, overtaken: false },
        effects: [
          stop('prepare'),
          { do: 'persist', attempt: 'suspend', epoch },
          { do: 'hook', hook: 'suspend', epoch },
        ],
      };
    },
  }),
  row({
    name: 'prepared-superseded',
    on: 'prepared',
    from: ['preparing'],
    when: 'for this request, but the borrower has sent another request since',
    guard: ({ state, input }) => input.message.epoch > state.heldEpoch && isForRequest(state, input.message),
    to: ['held', 'offering', 'resuming'],
    act: (x) => {
      const out = giveUp(x, undefined);
      const { bundle, epoch } = x.input.message;
      return { state: out.state, effects: [toHost({ kind: 'cancel', bundle, epoch }), ...out.effects] };
    },
  }),
  row({
    name: 'prepared-cancel',
    on: 'prepared',
    from: ['held', 'offering', 'preparing', 'resuming'],
    to: ['stay'],
    act: ({ state, input, config }) => ({
      state,
      effects: [toHost({ kind: 'cancel', bundle: config.definition.id, epoch: input.message.epoch })],
    }),
  }),
  row({
    name: 'prepare-timeout',
    on: 'timer:prepare',
    from: ['preparing'],
    to: ['held', 'offering', 'resuming'],
    act: (x) => giveUp(x, { reason: 'hostSilent', retryAfterMs: BUSY_RETRY_MS }),
  }),
  row({
    name: 'suspended-lend',
    on: 'hookDone',
    from: ['suspending'],
    when: 'suspended, still wanted',
    guard: ({ state, input }) =>
      input.hook === 'suspend' && input.result.ok && !state.dropped && !state.overtaken,
    to: ['lending'],
    act: ({ state, config }) => ({
      state: { ...state, name: 'lending', driver: 'suspended' },
      effects: [toHost({ kind: 'lend', bundle: config.definition.id, epoch: state.attempt! }), timer('lend')],
    }),
  }),
  row({
    name: 'suspended-overtaken',
    on: 'hookDone',
    from: ['suspending'],
    when: 'overtaken',
    guard: ({ state, input }) => input.hook !== 'resume' && state.overtaken,
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
    when: 'suspend failed, or the attempt is no longer wanted',
    guard: ({ input }) => input.hook === 'suspend',
    to: ['resuming'],
    act: ({ state, input, config }) => {
      const { result } = input;
      const where = result.ok ? undefined : result.where;
      const failed: Decline = where === undefined ? HOOK_FAILED : { ...HOOK_FAILED, detail: where };
      const { request } = state;
      return resume({ ...state, driver: 'unknown' }, [
        // The reason first, so that it arrives before the host reports the cancelled reservation.
        ...(request ? [decline(config, request, state.dropped ?? failed)] : []),
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
  row({
    name: 'refused-prepare',
    on: 'refused',
    from: ['preparing'],
    when: 'this prepare was refused',
    guard: ({ state, input }) =>
      input.message.command === MESSAGES.prepare.number &&
      input.message.epoch === state.heldEpoch &&
      input.message.requestId === state.request!.requestId,
    to: ['held', 'offering', 'resuming'],
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
    guard: ({ state, input }) => !state.overtaken && input.message.epoch === state.attempt,
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
    when: 'lend was refused and we still hold',
    guard: ({ state, input, config }) =>
      input.message.epoch === state.attempt &&
      input.message.command === MESSAGES.lend.number &&
      input.message.holder === config.self &&
      input.message.currentEpoch === state.heldEpoch,
    to: ['resuming'],
    act: ({ state, input, config }) => {
      const { request } = state;
      const how: Decline = {
        reason: 'refusedByHost',
        retryAfterMs: retryAfter(input.message.code),
        refusal: input.message.code,
      };
      return resume(state, [stop('lend'), ...(request ? [decline(config, request, how)] : [])]);
    },
  }),
  row({
    name: 'refused-ask',
    on: 'refused',
    from: ['lending', 'lent', 'parked', 'held'],
    to: ['stay'],
    act: ({ state }) => ({ state, effects: query }),
  }),
];
