/** The host's rows for the return: release, reclaim, claim, and the timers of lease and notice. Pure. */

import type { MoveCause } from '../protocol/codes.ts';
import { HOST_TIMERS } from '../protocol/timers.ts';
import {
  answerFromOutcome,
  isHolder,
  isLent,
  isOfFinishedAttempt,
  isOwner,
  otherwise,
  refusal,
} from './host-answers.ts';
import {
  type Base,
  begin,
  beginReturn,
  type HostOut,
  hostRow,
  leaseLeft,
  noticeLeft,
  record,
  runningOwner,
  stop,
  tell,
  timer,
} from './host-attempt.ts';
import type { Holder, HostConfig, HostEffect } from './host-state.ts';

/** Gives notice of a forced return, or starts it at once where the consent sets no notice. */
function startNotice(x: Base, cause: MoveCause): HostOut {
  const { state, config } = x;
  const holder = state.holder as Holder;
  const noticeMs = holder.lease?.noticeMs ?? 0;
  if (noticeMs === 0 && config.forceRevoke) return beginReturn(x, cause, true);
  return {
    state: {
      ...state,
      holder: { ...holder, ending: { cause, notified: true, endsMs: x.input.nowMs + noticeMs } },
    },
    effects: [
      stop('lease'),
      stop('confirm'),
      // Recorded, so that a restart of the service does not start the notice again.
      record,
      leaseEnding(config, holder, noticeMs, cause),
      timer('notice', noticeMs),
      timer('remind', HOST_TIMERS.remind),
      { do: 'audit', event: 'notice', detail: cause },
    ],
  };
}

function leaseEnding(config: HostConfig, holder: Holder, noticeMs: number, cause: MoveCause): HostEffect {
  const { vm, epoch } = holder;
  return {
    do: 'send',
    to: vm,
    message: { kind: 'leaseEnding', bundle: config.bundle, epoch, noticeMs, cause },
  };
}

/** The bundle is not back: repeat the notice, which may be lost. */
function remind({ state, input, config }: Base): HostOut {
  const holder = state.holder!;
  const ending = holder.ending!;
  return {
    state,
    effects: [
      leaseEnding(config, holder, noticeLeft(ending, input.nowMs), ending.cause),
      timer('remind', HOST_TIMERS.remind),
    ],
  };
}

/** Rows of release, reclaim and claim. */
export const RETURN_ROWS = [
  hostRow({
    name: 'release',
    on: 'release',
    from: ['held'],
    when: 'from the borrower that holds',
    guard: (x) => isHolder(x) && isLent(x),
    to: ['moving', 'quarantined'],
    act: (x) => beginReturn(x, x.state.holder?.ending?.cause ?? 'release', false),
  }),
  hostRow({
    name: 'release-late',
    on: 'release',
    from: ['held', 'parked'],
    when: 'repeated, or of an older epoch',
    guard: isOfFinishedAttempt,
    to: ['stay'],
    act: answerFromOutcome,
  }),
  hostRow({
    name: 'release-refused',
    on: 'release',
    from: ['held', 'parked'],
    to: ['stay'],
    act: (x) => refusal(x, 'notHolder'),
  }),
  ...otherwise('release', 'ignore'),
  hostRow({
    name: 'reclaim',
    on: 'reclaim',
    from: ['held'],
    when: 'lent at this epoch',
    guard: (x) => isOwner(x) && isLent(x) && x.state.holder?.epoch === x.input.message.epoch,
    to: ['stay', 'moving', 'quarantined'],
    act: (x) => {
      const { state, input } = x;
      const holder = state.holder!;
      const lease = holder.lease!;
      if (holder.ending?.notified) return { state, effects: [] };
      const minHoldLeftMs = Math.ceil(lease.startedMs + lease.minHoldMs - input.nowMs);
      if (minHoldLeftMs <= 0) return startNotice(x, 'reclaim');
      return {
        state: { ...state, holder: { ...holder, ending: { cause: 'reclaim', notified: false, endsMs: 0 } } },
        effects: [record, timer('lease', Math.min(minHoldLeftMs, leaseLeft(state, input.nowMs)))],
      };
    },
  }),
  hostRow({
    name: 'reclaim-late',
    on: 'reclaim',
    from: ['held', 'parked'],
    when: 'from the owner',
    guard: isOwner,
    to: ['stay'],
    act: answerFromOutcome,
  }),
  hostRow({
    name: 'reclaim-refused',
    on: 'reclaim',
    from: ['held', 'parked'],
    to: ['stay'],
    act: (x) => refusal(x, 'notOwner'),
  }),
  ...otherwise('reclaim', 'ignore'),
  hostRow({
    name: 'claim',
    on: 'claim',
    from: ['parked'],
    when: 'from the owner, not in the guard time',
    guard: (x) => isOwner(x) && !x.state.isGuardTime && runningOwner(x) !== undefined,
    to: ['moving', 'quarantined'],
    act: (x) => begin(x, { cause: 'claim', to: runningOwner(x), forced: false }),
  }),
  hostRow({
    name: 'claim-guard',
    on: 'claim',
    from: ['parked'],
    when: 'from the owner, in the guard time',
    guard: isOwner,
    ignore: 'the owner gets the bundle without a claim when the guard time is over',
  }),
  hostRow({
    name: 'claim-held',
    on: 'claim',
    from: ['held'],
    when: 'from the owner',
    guard: isOwner,
    to: ['stay'],
    act: answerFromOutcome,
  }),
  hostRow({
    name: 'claim-refused',
    on: 'claim',
    from: ['held', 'parked'],
    to: ['stay'],
    act: (x) => refusal(x, 'notOwner'),
  }),
  ...otherwise('claim', 'ignore'),
];

/** Rows of the lease's timers. */
export const CLOCK_ROWS = [
  hostRow({
    name: 'lease-expired',
    on: 'timer:lease',
    from: ['held'],
    when: 'lent, notice not given',
    guard: (x) => isLent(x) && !x.state.holder?.ending?.notified,
    to: ['stay', 'moving', 'quarantined'],
    act: (x) => startNotice(x, x.state.holder?.ending?.cause ?? 'expiry'),
  }),
  hostRow({
    name: 'notice-expired',
    on: 'timer:notice',
    from: ['held'],
    when: 'lent, the enforcer can force',
    guard: (x) => isLent(x) && x.config.forceRevoke,
    to: ['moving', 'quarantined'],
    act: (x) => beginReturn(x, x.state.holder?.ending?.cause ?? 'expiry', true),
  }),
  hostRow({
    name: 'notice-expired-unforced',
    on: 'timer:notice',
    from: ['held'],
    when: 'lent, the enforcer cannot force',
    guard: isLent,
    to: ['stay'],
    // Gunyah and FF-A refuse to take from a live borrower: the return waits for its release or for the VM's
    // exit.
    act: ({ state }) => ({
      state,
      effects: [{ do: 'audit', event: 'overdue', detail: state.holder?.ending?.cause }],
    }),
  }),
  hostRow({
    name: 'remind',
    on: 'timer:remind',
    from: ['held'],
    when: 'notice was given',
    guard: ({ state }) => state.holder?.ending?.notified === true,
    to: ['stay'],
    act: remind,
  }),
  hostRow({
    name: 'confirm-expired-lease',
    on: 'timer:confirm',
    from: ['held'],
    when: 'lent, not confirmed',
    guard: (x) => isLent(x) && x.state.holder?.confirmed === false && !x.state.holder.ending?.notified,
    to: ['stay', 'moving', 'quarantined'],
    act: (x) => startNotice(x, 'noConfirm'),
  }),
  hostRow({
    name: 'tell-owner-again',
    on: 'timer:confirm',
    from: ['held'],
    when: 'the owner holds, not confirmed',
    guard: (x) => !isLent(x) && x.state.holder?.confirmed === false,
    to: ['stay'],
    act: (x) => ({
      state: x.state,
      effects: [tell(x, x.config.owner), timer('confirm', x.config.times.confirmMs)],
    }),
  }),
  hostRow({
    name: 'guard-expired',
    on: 'timer:guard',
    from: ['parked'],
    when: 'in the guard time',
    guard: ({ state }) => state.isGuardTime,
    to: ['stay', 'moving', 'quarantined'],
    act: (x) => {
      const owner = runningOwner(x);
      if (!owner) return { state: { ...x.state, isGuardTime: false }, effects: [record] };
      return begin(x, { cause: 'guard', to: owner, forced: false });
    },
  }),
];
