/** The borrower's rows for ownership reports: granted, unwanted, lost, returned. Pure. */

import { BUSY_RETRY_MS } from '../protocol/codes.ts';
import { queuedReportRows } from './borrower-queue.ts';
import {
  type BorrowerState,
  idle,
  isAnswer,
  isOld,
  isOurs,
  learn,
  lostNews,
  notify,
  release,
  request,
  row,
  stillHolds,
  stop,
  suspend,
  take,
} from './borrower-state.ts';

/** After a restart no client here wants the bundle: suspend the driver, and release the bundle if we hold it. */
const foundActive = row({
  name: 'stateReported-found-active',
  on: 'stateReported',
  from: ['unknown'],
  when: 'driver not suspended',
  guard: (x) => x.state.driver !== 'suspended',
  to: ['suspending'],
  act: (x) => suspend(learn(x.state, x.input.message), [stop('query')], !isOurs(x)),
});

/** Returns whether no open request matches a grant. */
const isUnwanted = (x: Parameters<typeof isAnswer>[0]) => {
  const { name, unwanted, driver } = x.state;
  if (name === 'unknown') return driver === 'suspended';
  if (name === 'requesting' || name === 'queued' || name === 'pending') return unwanted || !isAnswer(x);
  return true;
};

/** Notifies the waiting client: a grant by another request makes its consent void. */
const goneNews = ({ name, unwanted }: BorrowerState) =>
  name === 'asking' || name === 'queued' || ((name === 'requesting' || name === 'pending') && !unwanted)
    ? [notify({ notice: 'declined', reason: 'busy', retryAfterMs: 1_000 } as const)]
    : [];

/** Rows for ownership reports, the same for `remapped` and `stateReported`. */
export const borrowerReportRows = (on: 'remapped' | 'stateReported') => [
  row({
    name: `${on}-too-early`,
    on,
    from: on === 'remapped' ? ['starting', 'unknown'] : ['starting'],
    ignore: 'after a start the agent acts only on the answer to its own query',
  }),
  row({
    name: `${on}-old`,
    on,
    from: 'any',
    when: 'older epoch',
    guard: isOld,
    ignore: 'a newer epoch is known',
  }),
  row({
    name: `${on}-unwanted`,
    on,
    from: ['unknown', 'idle', 'asking', 'requesting', 'queued', 'pending'],
    when: 'we hold by a request that is not open, driver not active',
    guard: (x) => isOurs(x) && !x.state.preparing && isUnwanted(x),
    to: ['releasing'],
    act: (x) =>
      release(x.config, learn(x.state, x.input.message), [
        stop('query'),
        stop('queue'),
        stop('pending'),
        stop('request'),
        ...goneNews(x.state),
      ]),
  }),
  ...(on === 'stateReported' ? [foundActive] : []),
  row({
    name: `${on}-known`,
    on,
    from: ['unknown', 'idle'],
    to: ['idle'],
    act: ({ state, input }) => {
      const { offer } = state.name === 'idle' ? state : {};
      return { state: { ...idle(learn(state, input.message)), offer }, effects: [stop('query')] };
    },
  }),
  row({
    name: `${on}-request`,
    on,
    from: ['asking'],
    when: 'the owner holds, or the request may wait for its return',
    guard: ({ state, input, config }) => {
      const phase = input.message.kind === 'remapped' ? 'held' : input.message.phase;
      if (phase === 'quarantined') return false;
      return state.terms!.mayQueue || (phase === 'held' && input.message.holder === config.definition.owner);
    },
    to: ['requesting'],
    act: (x) => request(learn(x.state, x.input.message)),
  }),
  row({
    name: `${on}-owner-away`,
    on,
    from: ['asking'],
    to: ['idle'],
    act: ({ state, input }) => ({
      state: idle(learn(state, input.message)),
      effects: [
        stop('query'),
        stop('request'),
        notify({
          notice: 'declined',
          reason:
            input.message.kind === 'stateReported' && input.message.phase === 'quarantined'
              ? 'quarantined'
              : 'busy',
          retryAfterMs: BUSY_RETRY_MS,
        }),
      ],
    }),
  }),
  row({
    name: `${on}-granted-preparing`,
    on,
    from: ['pending'],
    when: 'we hold, the prepare hook runs',
    guard: (x) => isOurs(x) && x.state.preparing,
    to: ['stay'],
    act: (x) => {
      const { state, input } = x;
      const granted = input.message;
      if (isAnswer(x)) return { state: { ...state, granted }, effects: [] };
      return { state: { ...state, granted, unwanted: true }, effects: goneNews(state) };
    },
  }),
  row({
    name: `${on}-granted`,
    on,
    from: ['requesting', 'queued', 'pending'],
    when: 'we hold at a newer epoch',
    guard: (x) => isOurs(x) && x.input.message.epoch > x.state.epoch,
    to: ['resuming', 'releasing'],
    act: (x) => take(x, x.input.message),
  }),
  ...queuedReportRows(on),
  row({
    name: `${on}-still-pending`,
    on,
    from: ['requesting', 'pending'],
    when: 'the report is not newer than the request, and the grant may still come',
    guard: (x) => {
      const { state, input } = x;
      const { message } = input;
      if (message.kind === 'remapped') return message.epoch === state.epoch;
      return (message.pending && isAnswer(x)) || message.phase === 'moving' || state.name === 'requesting';
    },
    ignore: 'the handover may still come; its timer or a refusal ends it',
  }),
  row({
    name: `${on}-not-granted`,
    on,
    from: ['requesting', 'pending'],
    to: ['idle', 'stay'],
    act: ({ state, input }) => {
      const next = learn(state, input.message);
      const news = state.unwanted
        ? []
        : [notify({ notice: 'declined', reason: 'busy', retryAfterMs: BUSY_RETRY_MS } as const)];
      if (state.preparing) return { state: { ...next, unwanted: true }, effects: news };
      return { state: idle(next), effects: [stop('request'), stop('pending'), stop('query'), ...news] };
    },
  }),
  row({
    name: `${on}-ours-still`,
    on,
    from: ['held', 'resuming', 'suspending'],
    when: 'we hold at the known epoch',
    guard: (x) => isOurs(x) && x.input.message.epoch === x.state.epoch,
    to: ['stay'],
    act: ({ state, input, config }) => stillHolds(state, input.message, config),
  }),
  row({
    name: `${on}-lost`,
    on,
    from: ['held'],
    to: ['suspending'],
    act: ({ state, input }) => suspend(learn(state, input.message), [lostNews(input.message)], true),
  }),
  row({
    name: `${on}-overtaken`,
    on,
    from: ['resuming', 'suspending'],
    to: ['stay'],
    act: ({ state, input }) => ({
      state: { ...learn(state, input.message), overtaken: true },
      effects: state.name === 'suspending' && !state.overtaken ? [lostNews(input.message)] : [],
    }),
  }),
  row({
    name: `${on}-release-again`,
    on,
    from: ['releasing'],
    when: 'we still hold',
    guard: isOurs,
    to: ['releasing'],
    act: (x) => release(x.config, learn(x.state, x.input.message), [stop('query')]),
  }),
  row({
    name: `${on}-return-moving`,
    on,
    from: ['releasing'],
    when: 'the return is under way',
    guard: ({ input }) => input.message.kind === 'stateReported' && input.message.phase === 'moving',
    ignore: 'its end will be reported, or queried again',
  }),
  row({
    name: `${on}-returned`,
    on,
    from: ['releasing'],
    to: ['idle'],
    act: ({ state, input }) => ({
      state: idle(learn(state, input.message)),
      effects: [
        stop('release'),
        stop('query'),
        // A rejected bundle was never in use here.
        ...(state.rejected ? [] : [notify({ notice: 'returned', epoch: input.message.epoch } as const)]),
      ],
    }),
  }),
];
