/**
 * The host’s rows for starts and ends of VMs and of the host itself, and the way out of quarantine.
 *
 * Pure. An ended incarnation holds nothing; after a restart the machine is read back, and whatever does not agree
 * with the record is fenced again from the start.
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

/** The state without an incarnation that has ended, whose memory waits to be freed. */
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
 * Whether a parked bundle goes to its owner by itself. What an operator lifted waits until its owner asks for it, or
 * starts.
 */
function isOwnerDue(x: Base): boolean {
  const { guard, isOwnerWaiting, lastCause } = x.state;
  return runningOwner(x) !== undefined && !guard && (isOwnerWaiting || lastCause !== 'lift');
}

/** Rows of VM starts and exits: they note what is so, and what follows from it in each state. */
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
    holds: ({ state }) => state.exiting.some((one) => !isInvolved(state, one)),
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
    holds: ({ state }) => !isAlive(state, state.holder!),
    to: ['moving', 'quarantined'],
    act: (x) => beginReturn(x, 'exit', x.state.holder!.vm !== x.config.owner),
  }),
  hostRow({
    name: 'keeper-ended',
    on: 'level',
    from: ['held'],
    when: 'lent, and the keeper of its supplies has ended',
    holds: ({ state, config }) => isKeeperLost(state, config),
    to: ['moving', 'quarantined'],
    act: (x) => beginReturn(x, 'supplyLost', true),
  }),
  hostRow({
    name: 'owner-due',
    on: 'level',
    from: ['parked'],
    when: 'the owner runs and nothing keeps the bundle from it',
    holds: isOwnerDue,
    to: ['moving', 'quarantined'],
    act: (x) => begin(x, { cause: 'start', to: runningOwner(x), forced: false }),
  }),
];

/** The service starts: what it last wrote, and what it must find out. Until then nobody's exit is let go. */
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

/** Whether, by the record, anybody but the owner may have reached the bundle since it was last cleaned. */
function mayBeElsewhere({ holder, attempt, suspect, exposed }: HostState, owner: VmId): boolean {
  return exposed || [holder, attempt?.from, attempt?.to, suspect].some((one) => one && one.vm !== owner);
}

/** After a reboot of the machine nobody holds anything. That is made sure of before anybody gets it. */
function fenceAtBoot(x: Base, forced: boolean): HostOut {
  const { state } = x;
  const next: HostState = {
    ...state,
    name: 'parked',
    holder: undefined,
    reservation: undefined,
    attempt: undefined,
    guard: false,
    quarantine: undefined,
    suspect: undefined,
    lastEpoch: state.epoch,
    lastCause: 'boot',
  };
  const owner = runningVm(next, x.config.owner);
  const cause = owner ? 'start' : 'boot';
  return begin({ ...x, state: next }, { cause, to: forced ? undefined : owner, forced });
}

/** The machine was read back: does it agree with the record? */
function inspected(x: HostSeen<'phaseDone'>): HostOut {
  const { state, input } = x;
  const before = [stop('enforce')];
  if (!input.result.ok) return quarantine(x, 'inspectFailed', false, before);
  // Only an operator ends a quarantine. Nothing is isolated because a record says so.
  if (state.quarantine) return quarantine(x, state.quarantine.cause, 'again', before);
  const { holder, attempt } = state;
  const { reach } = input.result;
  if (holder && reach === holder.vm && isAlive(state, holder)) return holdOn(x, holder);
  if (!holder && !attempt && reach === 'blocked') return parkOn(x);
  if (isRejectionUnwritten(state) && reach === 'blocked')
    return quarantine(x, 'recordStale', 'again', before);
  return redo(x, reach);
}

/**
 * Whether the record says that an owner who runs holds, with nothing about to be lent. Where the machine says that
 * nobody does, a move was begun that could not be written: of those that such an owner can cause, by its rejection of
 * the evidence, which ends in quarantine.
 */
function isRejectionUnwritten({ holder, reservation, ...state }: HostState): boolean {
  return holder !== undefined && !holder.lease && !reservation && isAlive({ ...state, holder }, holder);
}

/**
 * Something was left half-way, or cannot be told: it is fenced again from the start, and goes back to the owner. If
 * a borrower may have had the bundle, that is a forced return.
 */
function redo(x: HostSeen<'phaseDone'>, reach: string | undefined): HostOut {
  const { state, config } = x;
  const { holder, attempt } = state;
  const mayBeLent =
    holder?.lease !== undefined || attempt?.forced || (reach !== config.owner && reach !== 'blocked');
  const forced = mayBeLent === true;
  const isLift = attempt?.cause === 'lift' || attempt?.cause === 'boot';
  const toNobody = forced || isLift || attempt?.quarantine !== undefined;
  const plan = {
    cause: isLift ? attempt.cause : ('restart' as const),
    to: toNobody ? undefined : runningOwner(x),
    forced,
    ...(attempt?.quarantine ? { quarantine: attempt.quarantine } : {}),
  };
  return begin(x, plan, [stop('enforce')]);
}

/** The bundle is parked, as recorded: go on waiting. */
function parkOn(x: HostSeen<'phaseDone'>): HostOut {
  const { state, config } = x;
  // A record of the guard time may be missing, but not one of its end: it is waited for again.
  const parked: HostState = { ...state, name: 'parked', reservation: undefined, exposed: false };
  return {
    state: parked,
    effects: [stop('enforce'), ...(state.guard ? [timer('guard', config.times.guardMs)] : [])],
  };
}

/** The machine agrees with the record: go on where the clocks stand. */
function holdOn(x: HostSeen<'phaseDone'>, holder: Holder): HostOut {
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

/** What is left of lease, minimum hold time or notice. */
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
  hostRow({ name: 'start-again', on: 'start', from: 'any', ignore: 'started before' }),
  hostRow({
    name: 'inspected',
    on: 'phaseDone',
    from: ['starting'],
    when: 'inspect ended',
    holds: ({ input }) => input.phase === 'inspect',
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
    holds: ({ state }) => state.rejections.length > 0,
    to: ['stay'],
    act: ({ state }) => ({
      state: { ...state, rejections: [] },
      effects: [record, { do: 'audit', event: 'unbarred' }],
    }),
  }),
  hostRow({
    name: 'lift-nothing',
    on: 'lift',
    from: 'any',
    ignore: 'not in quarantine, and nobody is barred',
  }),
  hostRow({
    name: 'prove-again',
    on: 'timer:retry',
    from: ['quarantined'],
    when: 'isolation unproved',
    holds: ({ state }) => state.quarantine?.isolated === false,
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
    holds: ({ input, state }) => input.phase === 'fence' && input.result.ok && input.epoch === state.epoch,
    to: ['stay'],
    act: ({ state }) => ({ state, effects: [{ do: 'phase', phase: 'settle', epoch: state.epoch }] }),
  }),
  hostRow({
    name: 'proved',
    on: 'phaseDone',
    from: ['quarantined'],
    when: 'settle done, isolation was unproved',
    holds: ({ input, state }) =>
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
  hostRow({ name: 'phase-late', on: 'phaseDone', from: 'any', ignore: 'the attempt or the phase is over' }),
];
