/**
 * The borrower's rows for holding and giving back: resume, confirm, recall, notice, suspend, release. Pure.
 */

import { BUSY_RETRY_MS } from '../protocol/codes.ts';
import type { AgentConfig } from '../protocol/evidence.ts';
import type { Seen } from '../protocol/table.ts';
import {
  type BorrowerInput,
  type BorrowerState,
  confirm,
  earlier,
  hookNews,
  idle,
  isWaiting,
  learn,
  noticed,
  noticeTimer,
  notify,
  query,
  recalled,
  release,
  row,
  stop,
  suspend,
  take,
  withdraw,
} from './borrower-state.ts';

function isRecall({ state, input, config }: Seen<BorrowerState, Recall, AgentConfig>): boolean {
  return input.message.epoch === state.epoch && input.from === config.definition.owner;
}
type Recall = Extract<BorrowerInput, { on: 'recallDevice' }>;

/** Rows of resuming, holding and suspending. */
export const HOLDING_ROWS = [
  row({
    name: 'prepared-granted',
    on: 'hookDone',
    from: ['pending'],
    when: 'prepare ended; granted and wanted',
    guard: ({ state, input }) =>
      input.hook === 'prepare' &&
      state.granted !== undefined &&
      state.granted.epoch > state.epoch &&
      !state.unwanted,
    to: ['resuming', 'releasing'],
    act: (x) => {
      const message = x.state.granted!;
      return take({ ...x, input: { message }, state: { ...x.state, preparing: false } }, message);
    },
  }),
  row({
    name: 'prepared-unwanted-granted',
    on: 'hookDone',
    from: ['pending'],
    when: 'prepare ended; granted but unwanted',
    guard: ({ state, input }) =>
      input.hook === 'prepare' && state.granted !== undefined && state.granted.epoch > state.epoch,
    to: ['releasing'],
    act: ({ state, config }) => release(config, learn(state, state.granted!), [stop('pending')]),
  }),
  row({
    name: 'prepared',
    on: 'hookDone',
    from: ['pending'],
    when: 'prepare ended',
    guard: ({ input }) => input.hook === 'prepare',
    to: ['stay'],
    // A failed prepare hook costs time, not correctness: resume then does the whole work. An unwanted
    // handover stays pending until the host reports its outcome or the timer expires.
    act: ({ state, input }) => ({
      state: { ...state, preparing: false },
      effects: [...hookNews(input), ...(state.unwanted ? query : [])],
    }),
  }),
  row({
    name: 'resumed',
    on: 'hookDone',
    from: ['resuming'],
    when: 'resumed, not overtaken',
    guard: ({ state, input }) =>
      input.hook === 'resume' && input.result.ok && !state.overtaken && !state.unwanted,
    to: ['held'],
    act: ({ state, config }) => ({
      state: {
        ...state,
        name: 'held',
        driver: 'active',
        granted: undefined,
        recalled: isWaiting(state) ? state.recalled : undefined,
      },
      effects: [
        ...confirm(config, state.epoch),
        notify({ notice: 'granted', epoch: state.epoch, leaseMs: state.granted?.leaseMs ?? 0 }),
        ...(state.recalled && !isWaiting(state) ? recalled(state.recalled.ms, state.recalled.cause) : []),
      ],
    }),
  }),
  row({
    name: 'resume-undone',
    on: 'hookDone',
    from: ['resuming'],
    when: 'resume failed, overtaken or unwanted',
    guard: ({ input }) => input.hook === 'resume',
    to: ['suspending'],
    act: ({ state, input }) => {
      const news = state.overtaken
        ? [notify({ notice: 'lost', cause: undefined } as const)]
        : state.unwanted
          ? []
          : [
              ...hookNews(input),
              notify({ notice: 'declined', reason: 'hookFailed', retryAfterMs: 0 } as const),
            ];
      return suspend({ ...state, driver: 'unknown' }, news, state.overtaken);
    },
  }),
  row({
    name: 'suspended-release',
    on: 'hookDone',
    from: ['suspending'],
    when: 'suspend ended, the bundle is still ours',
    guard: ({ state, input }) => input.hook === 'suspend' && !state.overtaken,
    to: ['releasing'],
    act: ({ state, input, config }) =>
      release(config, { ...state, driver: input.result.ok ? 'suspended' : 'unknown' }, hookNews(input)),
  }),
  row({
    name: 'suspended-idle',
    on: 'hookDone',
    from: ['suspending'],
    when: 'suspend ended, the bundle is no longer ours',
    guard: ({ input }) => input.hook === 'suspend',
    to: ['idle'],
    act: ({ state, input }) => ({
      state: { ...idle(state), driver: input.result.ok ? 'suspended' : 'unknown' },
      effects: [
        ...hookNews(input),
        // After a restart no client here held it.
        ...(state.terms ? [notify({ notice: 'returned', epoch: state.epoch } as const)] : []),
      ],
    }),
  }),
  row({
    name: 'confirmed',
    on: 'confirmed',
    from: 'any',
    when: 'our epoch',
    guard: ({ state, input }) => state.unconfirmed && input.message.epoch === state.epoch,
    to: ['stay'],
    act: ({ state }) => ({ state: { ...state, unconfirmed: false }, effects: [stop('confirm')] }),
  }),
  row({
    name: 'confirm-again',
    on: 'timer:confirm',
    from: ['held'],
    when: 'not answered',
    guard: ({ state }) => state.unconfirmed,
    to: ['stay'],
    act: ({ state, config }) => ({ state, effects: confirm(config, state.epoch) }),
  }),
];

/** Rows of recall, notice, return and release. */
export const RETURNING_ROWS = [
  row({
    name: 'lease-ending',
    on: 'leaseEnding',
    from: ['held', 'resuming'],
    when: 'our epoch',
    guard: ({ state, input }) => input.message.epoch === state.epoch,
    to: ['stay'],
    act: ({ state, input }) => noticed(state, input.message.noticeMs, input.message.cause),
  }),
  row({
    name: 'lease-ending-unwanted',
    on: 'leaseEnding',
    from: ['idle'],
    when: 'the host lists us as the holder',
    guard: ({ state, input }) => input.message.epoch >= state.epoch,
    to: ['releasing'],
    act: ({ state, input, config }) => release(config, { ...state, epoch: input.message.epoch }, []),
  }),
  row({
    name: 'recall-held-back',
    on: 'recallDevice',
    from: ['held', 'resuming'],
    when: 'our epoch, from the owner, within the minimum hold time',
    guard: (x) => isRecall(x) && isWaiting(x.state),
    to: ['stay'],
    act: ({ state, input }) => ({
      state: { ...state, recalled: earlier(state.recalled, { ms: input.message.graceMs, cause: 'reclaim' }) },
      effects: [],
    }),
  }),
  row({
    name: 'recall-resuming',
    on: 'recallDevice',
    from: ['resuming'],
    when: 'our epoch, from the owner',
    guard: isRecall,
    to: ['stay'],
    act: ({ state, input }) => ({
      state: { ...state, recalled: earlier(state.recalled, { ms: input.message.graceMs, cause: 'reclaim' }) },
      effects: [noticeTimer(input.message.graceMs)],
    }),
  }),
  row({
    name: 'recall',
    on: 'recallDevice',
    from: ['held'],
    when: 'our epoch, from the owner',
    guard: isRecall,
    to: ['stay'],
    act: ({ state, input }) => ({ state, effects: recalled(input.message.graceMs, 'reclaim') }),
  }),
  row({
    name: 'min-hold-expired',
    on: 'timer:minHold',
    from: ['held', 'resuming'],
    to: ['stay'],
    act: ({ state }) => {
      const next = { ...state, isMinHold: false };
      const waiting = isWaiting(state) ? state.recalled : undefined;
      if (!waiting) return { state: next, effects: [] };
      if (state.name === 'resuming') return { state: next, effects: [noticeTimer(waiting.ms)] };
      return { state: { ...next, recalled: undefined }, effects: recalled(waiting.ms, waiting.cause) };
    },
  }),
  row({
    name: 'lease-expired',
    on: 'timer:lease',
    from: ['held', 'resuming'],
    to: ['stay'],
    act: ({ state }) => ({ state, effects: query }),
  }),
  row({
    name: 'notice-expired',
    on: 'timer:notice',
    from: ['held'],
    to: ['suspending'],
    act: ({ state }) => suspend(state, [], false),
  }),
  row({
    name: 'notice-expired-resuming',
    on: 'timer:notice',
    from: ['resuming'],
    to: ['stay'],
    act: ({ state }) => ({
      state: { ...state, unwanted: true },
      effects: state.unwanted
        ? []
        : [notify({ notice: 'declined', reason: 'busy', retryAfterMs: BUSY_RETRY_MS } as const)],
    }),
  }),
  row({
    name: 'return-held',
    on: 'return',
    from: ['held'],
    to: ['suspending'],
    act: ({ state }) => suspend(state, [], false),
  }),
  row({
    name: 'return-requesting',
    on: 'return',
    from: ['asking', 'requesting', 'queued'],
    to: ['idle'],
    act: ({ state, config }) => ({
      state: idle(state),
      effects: [stop('query'), stop('queue'), stop('request'), ...withdraw(state, config)],
    }),
  }),
  row({
    name: 'return-pending',
    on: 'return',
    from: ['pending', 'resuming'],
    to: ['stay'],
    act: ({ state, config }) => ({
      state: { ...state, unwanted: true },
      effects: state.name === 'pending' && !state.unwanted ? withdraw(state, config) : [],
    }),
  }),
  row({
    name: 'release-again',
    on: 'timer:release',
    from: ['releasing'],
    to: ['stay'],
    act: ({ state, config }) => {
      const out = release(config, state, []);
      return { state: out.state, effects: [...out.effects, { do: 'query' }] };
    },
  }),
];
