/**
 * The host's rows for starts and ends of VMs and of the host itself, and for the end of a quarantine.
 *
 * Pure. An ended incarnation holds nothing. After a restart the machine is read back; whatever does not agree with
 * the record is fenced again.
 */

import { type Epoch, type Incarnation, UINT32_MAX, type VmId } from '../protocol/ids.ts';
import { HOST_TIMERS } from '../protocol/timers.ts';
import {
  type Base,
  begin,
  beginReturn,
  type HostOut,
  type HostSeen,
  hostRow,
  isInvolved,
  leaseLeft,
  quarantine,
  record,
  runningOwner,
  stop,
  timer,
} from './host-attempt.ts';
import {
  type Holder,
  type HostEffect,
  type HostState,
  initialHost,
  isAlive,
  isKeeperLost,
  runningVm,
} from './host-state.ts';

/** Returns the state after the end of an incarnation whose memory waits to be freed. */
function ended({ state, input, config }: HostSeen<'vmExited'>): HostState {
  const { vm } = input;
  const incarnation = input.incarnation ?? state.running[vm] ?? (0 as Incarnation);
  const running = { ...state.running };
  if (running[vm] === incarnation) delete running[vm];
  const others = state.exiting.filter((one) => one.vm !== vm || one.incarnation !== incarnation);
  const isOwnerWaiting = state.isOwnerWaiting && vm !== config.owner;
  return { ...state, running, isOwnerWaiting, exiting: [...others, { vm, incarnation }] };
}

function started({ state, input, config }: HostSeen<'vmStarted'>): HostState {
  const { vm, incarnation } = input;
  const isOwnerWaiting = state.isOwnerWaiting || vm === config.owner;
  return { ...state, running: { ...state.running, [vm]: incarnation }, isOwnerWaiting };
}

/**
 * Returns whether a parked bundle goes to its owner without a claim. After a lift it waits until the owner claims it
 * or starts.
 */
function isOwnerDue(x: Base): boolean {
  const { isGuardTime, isOwnerWaiting, lastCause } = x.state;
  return runningOwner(x) !== undefined && !isGuardTime && (isOwnerWaiting || lastCause !== 'lift');
}

/** Rows of VM starts and exits: they store the facts; rows for levels act on them in each state. */
export const INCARNATION_ROWS = [
  hostRow({
    name: 'vm-exited',
    on: 'vmExited',
    from: 'any',
    to: ['stay'],
    act: (x) => ({ state: ended(x), effects: [] }),
  }),
  hostRow({
    name: 'vm-started',
    on: 'vmStarted',
    from: 'any',
    to: ['stay'],
    act: (x) => ({ state: started(x), effects: [] }),
  }),
  hostRow({
    name: 'vm-runs',
    on: 'vmRuns',
    from: 'any',
    to: ['stay'],
    act: ({ state, input, config }) => ({
      state: { ...state, isOwnerWaiting: state.isOwnerWaiting && input.vm !== config.owner },
      effects: [],
    }),
  }),
  hostRow({
    name: 'exit-acknowledged',
    on: 'level',
    from: 'any',
    when: 'an ended incarnation is out of reach',
    guard: ({ state }) => state.exiting.some((one) => !isInvolved(state, one)),
    to: ['stay'],
    act: ({ state }) => {
      const exiting = state.exiting.filter((one) => isInvolved(state, one));
      const gone = state.exiting.filter((one) => !exiting.includes(one));
      return {
        state: { ...state, exiting },
        effects: gone.map((one) => ({ do: 'acknowledgeExit', ...one }) as const),
      };
    },
  }),
  hostRow({
    name: 'holder-ended',
    on: 'level',
    from: ['held'],
    when: 'the holder’s incarnation has ended',
    guard: ({ state }) => !isAlive(state, state.holder!),
    to: ['moving', 'quarantined'],
    act: (x) => beginReturn(x, 'exit', x.state.holder!.vm !== x.config.owner),
  }),
  hostRow({
    name: 'keeper-ended',
    on: 'level',
    from: ['held'],
    when: 'lent, and the keeper of its supplies has ended',
    guard: ({ state, config }) => isKeeperLost(state, config),
    to: ['moving', 'quarantined'],
    act: (x) => beginReturn(x, 'supplyLost', true),
  }),
  hostRow({
    name: 'owner-due',
    on: 'level',
    from: ['parked'],
    when: 'the owner runs, and no reason keeps the bundle parked',
    guard: isOwnerDue,
    to: ['moving', 'quarantined'],
    act: (x) => begin(x, { cause: 'start', to: runningOwner(x), forced: false }),
  }),
];

/** The service starts: from its last record to what must be inspected. No exit is acknowledged until then. */
function recover(x: HostSeen<'start'>): HostOut {
  const { recovered, running } = x.input;
  const recorded = recovered.kind === 'record' ? recovered.state.epoch : 0;
  const { from, to: epochMax } = x.input.epochs ?? { from: recorded, to: UINT32_MAX as Epoch };
  const epoch = Math.max(from, recorded) as Epoch;
  const now = { epoch, epochMax, running, exposed: true } as const;
  const fresh: HostState = { ...initialHost(), ...now, lastEpoch: epoch };
  if (recovered.kind === 'lost') return quarantine({ ...x, state: fresh }, 'tableLost', 'again');
  if (recovered.kind === 'new') return fenceAtBoot({ ...x, state: fresh }, false);
  const { state: old, rebooted } = recovered;
  const state: HostState = {
    ...old,
    ...now,
    exiting: [],
    isOwnerWaiting: false,
    unwritable: undefined,
    isFromRecord: true,
    // Later records may be missing: agents may know any epoch that an earlier host could have allocated.
    lastEpoch: epoch,
  };
  if (rebooted) return fenceAtBoot({ ...x, state }, mayBeElsewhere(old, x.config.owner));
  return {
    state: { ...state, name: 'starting' },
    effects: [
      { do: 'phase', phase: 'inspect', epoch: state.epoch },
      timer('enforce', x.config.times.enforceMs),
    ],
  };
}

/** Returns whether, by the record, any VM but the owner may have reached the bundle since it was last cleaned. */
function mayBeElsewhere({ holder, attempt, suspect, exposed }: HostState, owner: VmId): boolean {
  return exposed || [holder, attempt?.from, attempt?.to, suspect].some((one) => one && one.vm !== owner);
}

/** After a reboot of the machine no VM holds anything. The bundle is fenced and cleaned before any VM gets it. */
function fenceAtBoot(x: Base, forced: boolean): HostOut {
  const { state } = x;
  const next: HostState = {
    ...state,
    name: 'parked',
    holder: undefined,
    reservation: undefined,
    attempt: undefined,
    isGuardTime: false,
    quarantine: undefined,
    suspect: undefined,
    lastEpoch: state.epoch,
    lastCause: 'boot',
  };
  const owner = runningVm(next, x.config.owner);
  const cause = owner ? 'start' : 'boot';
  return begin({ ...x, state: next }, { cause, to: forced ? undefined : owner, forced });
}

/** The machine was read back: compare it with the record. */
function inspected(x: HostSeen<'phaseDone'>): HostOut {
  const { state, input } = x;
  const before = [stop('enforce')];
  if (!input.result.ok) return quarantine(x, 'inspectFailed', false, before);
  // Only an operator ends a quarantine. A record does not prove isolation.
  if (state.quarantine) return quarantine(x, state.quarantine.cause, 'again', before);
  const { holder, attempt } = state;
  const { reach } = input.result;
  if (holder && reach === holder.vm && isAlive(state, holder)) return resumeHold(x, holder);
  if (!holder && !attempt && reach === 'blocked') return resumeParked(x);
  if (isRejectionUnwritten(state) && reach === 'blocked')
    return quarantine(x, 'recordStale', 'again', before);
  return redo(x, reach);
}

/**
 * Returns whether the record says that a running owner holds, with no reservation. If the machine then says that no
 * VM holds, a move began whose record is missing. The one move that such an owner causes is a rejection of the
 * evidence, which ends in quarantine.
 */
function isRejectionUnwritten({ holder, reservation, ...state }: HostState): boolean {
  return holder !== undefined && !holder.lease && !reservation && isAlive({ ...state, holder }, holder);
}

/**
 * An attempt was interrupted, or its progress is unknown: fence again and return the bundle to the owner. If a
 * borrower may have held it, the return is a forced one.
 */
function redo(x: HostSeen<'phaseDone'>, reach: string | undefined): HostOut {
  const { state, config } = x;
  const { holder, attempt } = state;
  const mayBeLent =
    holder?.lease !== undefined || attempt?.forced || (reach !== config.owner && reach !== 'blocked');
  const forced = mayBeLent === true;
  const isParking = attempt?.cause === 'lift' || attempt?.cause === 'boot';
  const toNobody = forced || isParking || attempt?.quarantine !== undefined;
  const plan = {
    cause: isParking ? attempt.cause : ('restart' as const),
    to: toNobody ? undefined : runningOwner(x),
    forced,
    ...(attempt?.quarantine ? { quarantine: attempt.quarantine } : {}),
  };
  return begin(x, plan, [stop('enforce')]);
}

/** The bundle is parked, as recorded: continue to wait. */
function resumeParked(x: HostSeen<'phaseDone'>): HostOut {
  const { state, config } = x;
  // The start of the guard time may not be recorded, but its end always is: wait for the whole time again.
  const parked: HostState = { ...state, name: 'parked', reservation: undefined, exposed: false };
  return {
    state: parked,
    effects: [stop('enforce'), ...(state.isGuardTime ? [timer('guard', config.times.guardMs)] : [])],
  };
}

/** The machine agrees with the record: continue with the time that is left. */
function resumeHold(x: HostSeen<'phaseDone'>, holder: Holder): HostOut {
  const { state, input, config } = x;
  const proof = input.result.ok ? input.result.proof : undefined;
  const next: HostState = {
    ...state,
    name: 'held',
    holder: { ...holder, proof },
    reservation: undefined,
    attempt: undefined,
    exposed: false,
    lastEpoch: holder.epoch,
  };
  return {
    state: next,
    effects: [
      stop('enforce'),
      record,
      ...clocksOf(next, input.nowMs),
      ...(holder.confirmed ? [] : [timer('confirm', config.times.confirmMs)]),
      { do: 'audit', event: 'held', detail: 'restart' },
    ],
  };
}

/** Returns the timers of lease, minimum hold time or notice, with the time that is left. */
function clocksOf(state: HostState, nowMs: number): HostEffect[] {
  const { lease, ending } = state.holder as Holder;
  if (!lease) return [];
  if (ending?.notified) {
    const leftMs = Math.max(0, Math.ceil(ending.endsMs - nowMs));
    return [timer('notice', leftMs), timer('remind', HOST_TIMERS.remind)];
  }
  const leaseMs = leaseLeft(state, nowMs);
  if (!ending) return [timer('lease', leaseMs)];
  const minHoldMs = Math.max(0, Math.ceil(lease.startedMs + lease.minHoldMs - nowMs));
  return [timer('lease', Math.min(minHoldMs, leaseMs))];
}

/** Rows of the service's own start. */
export const START_ROWS = [
  hostRow({
    name: 'start',
    on: 'start',
    from: ['starting'],
    to: ['stay', 'parked', 'moving', 'quarantined'],
    act: recover,
  }),
  hostRow({
    name: 'inspected',
    on: 'phaseDone',
    from: ['starting'],
    when: 'inspect ended',
    guard: ({ input }) => input.phase === 'inspect',
    to: ['held', 'parked', 'moving', 'quarantined'],
    act: inspected,
  }),
  hostRow({
    name: 'inspect-timeout',
    on: 'timer:enforce',
    from: ['starting'],
    to: ['quarantined'],
    act: (x) => quarantine(x, 'inspectFailed', false),
  }),
];

/** Rows of quarantine. */
export const QUARANTINE_ROWS = [
  hostRow({
    name: 'lift',
    on: 'lift',
    from: ['quarantined'],
    to: ['moving', 'quarantined'],
    act: (x) => {
      const state: HostState = { ...x.state, rejections: [] };
      return begin({ ...x, state }, { cause: 'lift', to: undefined, forced: false });
    },
  }),
  hostRow({
    name: 'lift-barred',
    on: 'lift',
    from: ['held', 'parked'],
    when: 'a borrower is barred',
    guard: ({ state }) => state.rejections.length > 0,
    to: ['stay'],
    act: ({ state }) => ({
      state: { ...state, rejections: [] },
      effects: [record, { do: 'audit', event: 'unbarred' }],
    }),
  }),
  hostRow({
    name: 'prove-again',
    on: 'timer:retry',
    from: ['quarantined'],
    when: 'isolation unproved',
    guard: ({ state }) => state.quarantine?.isolated === false,
    to: ['stay'],
    act: ({ state }) => ({
      state,
      effects: [{ do: 'phase', phase: 'fence', epoch: state.epoch }, timer('retry', HOST_TIMERS.retry)],
    }),
  }),
  hostRow({
    name: 'proving',
    on: 'phaseDone',
    from: ['quarantined'],
    when: 'fence done',
    guard: ({ input, state }) => input.phase === 'fence' && input.result.ok && input.epoch === state.epoch,
    to: ['stay'],
    act: ({ state }) => ({ state, effects: [{ do: 'phase', phase: 'settle', epoch: state.epoch }] }),
  }),
  hostRow({
    name: 'proved',
    on: 'phaseDone',
    from: ['quarantined'],
    when: 'settle done, isolation was unproved',
    guard: ({ input, state }) =>
      input.phase === 'settle' &&
      input.result.ok &&
      input.epoch === state.epoch &&
      state.quarantine?.isolated === false,
    to: ['stay'],
    act: ({ state }) => ({
      state: {
        ...state,
        quarantine: { ...state.quarantine!, isolated: true },
        suspect: undefined,
        exposed: false,
      },
      effects: [stop('retry'), record, { do: 'audit', event: 'isolated' }],
    }),
  }),
];
