/** The owner's rows for ownership reports, and for holding: resume, confirm, recall, claim. Pure. */

import type { OwnershipReport } from './agent-io.ts';
import {
  awaitBundle,
  confirm,
  hookNews,
  isOld,
  isOurs,
  ownIncarnation,
  quiesceDriver,
  reject,
  row,
  settledEpoch,
  stop,
  timer,
  toHost,
} from './owner-state.ts';
import { resume, takeBack } from './owner-turn.ts';

/** An owner that starts while its driver is active and it holds leaves the driver as it is. */
const foundActive = row({
  name: 'stateReported-found-active',
  on: 'stateReported',
  from: ['unknown'],
  when: 'we hold, driver active',
  guard: (x) => isOurs(x) && x.state.driver === 'active',
  to: ['held'],
  act: ({ state, input, config }) => ({
    state: {
      ...state,
      name: 'held',
      incarnation: ownIncarnation(state, input.message),
      epoch: input.message.epoch,
      heldEpoch: input.message.epoch,
      unconfirmed: true,
    },
    effects: [stop('query'), ...confirm(config, input.message.epoch)],
  }),
});

/** An owner that starts while another VM holds, and whose driver may be active, quiesces it. */
const foundIntruding = row({
  name: 'stateReported-found-intruding',
  on: 'stateReported',
  from: ['unknown'],
  when: 'we do not hold, driver not suspended',
  guard: ({ state }) => state.driver !== 'suspended',
  to: ['suspending'],
  act: ({ state, input }) => quiesceDriver(state, input.message),
});

/** Returns whether the host lacks our confirmation: it repeats its report to an unconfirmed owner. */
const isUnheard = (message: OwnershipReport) => message.kind === 'remapped' || !message.confirmed;

/** Rows for ownership reports, the same for `remapped` and `stateReported`. */
export const ownerReportRows = (on: 'remapped' | 'stateReported') => [
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
  ...(on === 'stateReported' ? [foundActive] : []),
  row({
    name: `${on}-rejected`,
    on,
    from: ['quarantined'],
    when: 'we hold at the epoch whose evidence we rejected',
    guard: (x) => isOurs(x) && x.input.message.epoch === x.state.heldEpoch && x.state.rejected !== undefined,
    to: ['stay'],
    act: ({ state, config }) => ({ state, effects: reject(config, state.heldEpoch, state.rejected!) }),
  }),
  row({
    name: `${on}-unconfirmed`,
    on,
    from: ['held', 'offering', 'preparing'],
    when: 'we hold at the known epoch, driver active, and the host lacks our confirmation',
    guard: (x) =>
      isOurs(x) &&
      x.state.driver === 'active' &&
      x.input.message.epoch === x.state.heldEpoch &&
      !x.state.overtaken &&
      isUnheard(x.input.message),
    to: ['stay'],
    // The host restarted and lost the record of our confirmation.
    act: ({ state, input, config }) => ({
      state: { ...state, incarnation: ownIncarnation(state, input.message), unconfirmed: true },
      effects: [stop('query'), ...confirm(config, state.heldEpoch)],
    }),
  }),
  row({
    name: `${on}-ours-already`,
    on,
    from: ['held', 'offering', 'preparing', 'suspending', 'resuming', 'failed'],
    when: 'we hold at the known epoch',
    guard: (x) => isOurs(x) && x.input.message.epoch === x.state.heldEpoch && !x.state.overtaken,
    to: ['stay'],
    act: ({ state, input }) => ({
      state: { ...state, incarnation: ownIncarnation(state, input.message) },
      effects: [stop('query')],
    }),
  }),
  row({
    name: `${on}-not-lent-yet`,
    on,
    from: ['lending'],
    when: 'we hold at the epoch before the attempt',
    guard: (x) => isOurs(x) && x.input.message.epoch === x.state.heldEpoch,
    ignore: 'the answer to lend decides; lend is repeated until it comes',
  }),
  row({
    name: `${on}-take-back`,
    on,
    from: ['unknown', 'lending', 'lent', 'parked', 'quarantined', 'held', 'offering', 'preparing', 'failed'],
    when: 'we hold',
    guard: isOurs,
    to: ['resuming', 'offering', 'quarantined'],
    act: takeBack,
  }),
  row({
    name: `${on}-ours-while-suspending`,
    on,
    from: ['suspending', 'resuming'],
    when: 'we hold at a newer epoch',
    guard: isOurs,
    to: ['stay'],
    // The running hook ends first; the query after it brings this report again.
    act: ({ state }) => ({ state: { ...state, overtaken: true }, effects: [] }),
  }),
  row({
    name: `${on}-quiesce`,
    on,
    from: ['held', 'offering', 'preparing', 'failed'],
    when: 'we do not hold, driver not suspended',
    guard: ({ state }) => state.driver !== 'suspended',
    to: ['suspending'],
    act: ({ state, input }) => quiesceDriver(state, input.message),
  }),
  ...(on === 'stateReported' ? [foundIntruding] : []),
  row({
    name: `${on}-quiesce-after-hook`,
    on,
    from: ['suspending', 'resuming'],
    to: ['stay'],
    act: ({ state, input }) => ({
      state: { ...state, overtaken: true, epoch: settledEpoch(state, input.message) },
      effects: [],
    }),
  }),
  row({
    name: `${on}-not-ours`,
    on,
    from: ['unknown', 'held', 'offering', 'preparing', 'lending', 'lent', 'parked', 'failed', 'quarantined'],
    to: ['lent', 'parked', 'quarantined'],
    act: ({ state, input }) => awaitBundle(state, input.message),
  }),
];

/** A reclaim is repeated until the bundle is back, since the host may restart. */
const RECLAIM_AGAIN_MS = 1_000;

/** Rows of resume, confirm, recall and claim. */
export const HOLDING_ROWS = [
  row({
    name: 'resumed',
    on: 'hookDone',
    from: ['resuming'],
    when: 'resumed, not overtaken',
    guard: ({ state, input }) => input.hook === 'resume' && input.result.ok && !state.overtaken,
    to: ['held'],
    act: ({ state, config }) => ({
      state: { ...state, name: 'held', driver: 'active' },
      effects: [
        ...(state.unconfirmed ? confirm(config, state.heldEpoch) : []),
        { do: 'notify', notice: { notice: 'resumed', epoch: state.heldEpoch } },
      ],
    }),
  }),
  row({
    name: 'resumed-overtaken',
    on: 'hookDone',
    from: ['resuming'],
    when: 'overtaken',
    guard: ({ state, input }) => input.hook === 'resume' && state.overtaken,
    to: ['suspending'],
    act: ({ state }) => ({
      state: { ...state, name: 'suspending', driver: 'unknown' },
      effects: [{ do: 'hook', hook: 'quiesce', epoch: state.epoch }],
    }),
  }),
  row({
    name: 'resume-failed',
    on: 'hookDone',
    from: ['resuming'],
    when: 'failed',
    guard: ({ input }) => input.hook === 'resume',
    to: ['failed'],
    act: ({ state, input }) => ({
      state: { ...state, name: 'failed', driver: 'unknown' },
      effects: [...hookNews(input), timer('retry')],
    }),
  }),
  row({
    name: 'retry-resume',
    on: 'timer:retry',
    from: ['failed'],
    to: ['resuming'],
    act: ({ state }) => resume(state, []),
  }),
  row({
    name: 'confirmed',
    on: 'confirmed',
    from: 'any',
    when: 'our epoch',
    guard: ({ state, input }) => state.unconfirmed && input.message.epoch === state.heldEpoch,
    to: ['stay'],
    act: ({ state }) => ({ state: { ...state, unconfirmed: false }, effects: [stop('confirm')] }),
  }),
  row({
    name: 'confirm-again',
    on: 'timer:confirm',
    from: ['held', 'offering', 'preparing'],
    when: 'not confirmed yet, driver active',
    guard: ({ state }) => state.unconfirmed && state.driver === 'active',
    to: ['stay'],
    act: ({ state, config }) => ({ state, effects: confirm(config, state.heldEpoch) }),
  }),
  row({
    name: 'recall',
    on: 'recall',
    from: ['lent'],
    when: 'a borrower holds',
    guard: ({ state }) => state.borrower !== undefined,
    to: ['stay'],
    act: ({ state, input, config }) => ({
      // A recall without force does not cancel one with force.
      state: { ...state, isRecalled: true, force: state.force || input.force },
      effects: [
        {
          do: 'send',
          to: state.borrower!,
          message: {
            kind: 'recallDevice',
            bundle: config.definition.id,
            epoch: state.epoch,
            graceMs: input.graceMs,
          },
        },
        ...(input.force ? [{ do: 'timer', timer: 'recall', ms: input.graceMs, sooner: true } as const] : []),
      ],
    }),
  }),
  row({
    name: 'recall-force',
    on: 'timer:recall',
    from: ['lent'],
    when: 'forced',
    guard: ({ state }) => state.force,
    to: ['stay'],
    act: ({ state, config }) => ({
      state,
      effects: [
        toHost({ kind: 'reclaim', bundle: config.definition.id, epoch: state.epoch }),
        timer('recall', RECLAIM_AGAIN_MS),
      ],
    }),
  }),
  row({
    name: 'claim',
    on: 'timer:claim',
    from: ['parked'],
    to: ['stay'],
    act: ({ state, config }) => ({
      state,
      effects: [toHost({ kind: 'claim', bundle: config.definition.id, epoch: state.epoch }), timer('claim')],
    }),
  }),
];
