/**
 * The hypervisor table's rows for lives and deaths: of VMs, of the service itself, and the way out of quarantine.
 *
 * Pure. An ended incarnation holds nothing; after a restart the machine is read back, and whatever does not agree
 * with the record is fenced again from the start.
 */

import { UINT32_MAX, type VmId } from '../protocol/ids.ts';
import { HOST_TIMERS } from '../protocol/timers.ts';
import { isLent } from './host-answers.ts';
import {
  type Base,
  begin,
  beginReturn,
  type HostOut,
  type HostSeen,
  hostRow,
  leaseLeft,
  ownerLife,
  quarantine,
  stop,
  timer,
  withExits,
} from './host-attempt.ts';
import { unreserve } from './host-lend.ts';
import { type Holder, type HostEffect, type HostState, initialHost, lifeOf } from './host-state.ts';

/** A VM's new life, or the end of one. */
function withoutVm(state: HostState, vm: VmId): HostState {
  const running = { ...state.running };
  delete running[vm];
  return { ...state, running, exiting: [...state.exiting.filter((other) => other !== vm), vm] };
}

function vmEnded(x: HostSeen<'vmExited'>): HostOut {
  const { vm } = x.input;
  const state = withoutVm(x.state, vm);
  const next = { ...x, state };
  if (state.name === 'held' && state.holder?.vm === vm)
    return withExits(beginReturn(next, 'exit', vm !== x.config.owner));
  if (state.name === 'held' && isLent(next) && vm === x.config.owner && x.config.keeper === 'owner') {
    return withExits(beginReturn(next, 'supplyLost', true));
  }
  if (state.reservation?.borrower.vm === vm) return withExits(unreserve(next, 'borrowerAbsent'));
  return withExits({ state, effects: [] });
}

/** Rows of VM starts and exits. */
export const LIFE_ROWS = [
  hostRow({
    name: 'vm-exited',
    on: 'vmExited',
    from: 'any',
    to: ['stay', 'moving', 'quarantined'],
    act: vmEnded,
  }),
  hostRow({
    name: 'vm-started-owner',
    on: 'vmStarted',
    from: ['parked'],
    when: 'the owner',
    holds: ({ input, state, config }) => input.vm === config.owner && !state.guard,
    to: ['moving', 'quarantined'],
    act: (x) => {
      const state = started(x);
      return begin({ ...x, state }, { cause: 'start', to: lifeOf(state, x.input.vm), forced: false });
    },
  }),
  hostRow({
    name: 'vm-started',
    on: 'vmStarted',
    from: 'any',
    to: ['stay'],
    act: (x) => ({ state: started(x), effects: [] }),
  }),
];

function started({ state, input }: HostSeen<'vmStarted'>): HostState {
  return { ...state, running: { ...state.running, [input.vm]: input.incarnation } };
}

/** The service starts: what it last wrote, and what it must find out. Until then nobody's exit is let go. */
function recover(x: HostSeen<'start'>): HostOut {
  const { input } = x;
  const { recovered, running } = input;
  const fresh: HostState = { ...initialHost(), running, exposed: true };
  if (recovered.kind === 'lost') {
    const out = quarantine({ ...x, state: { ...fresh, restored: true } }, 'tableLost', false);
    // Isolation is proved as soon as it can be, not only at the first retry.
    return { ...out, effects: [...out.effects, { do: 'phase', phase: 'fence', epoch: out.state.epoch }] };
  }
  if (recovered.kind === 'new') return fenceAtBoot({ ...x, state: fresh });
  const { state: old, rebooted } = recovered;
  const state: HostState = { ...old, running, exiting: [], reservation: undefined, exposed: true };
  if (rebooted) return fenceAtBoot({ ...x, state });
  return {
    state: { ...state, name: 'starting' },
    effects: [
      { do: 'phase', phase: 'inspect', epoch: state.epoch },
      timer('enforce', x.config.times.enforceMs),
    ],
  };
}

/** After a reboot of the machine nobody holds anything. That is made sure of before anybody gets it. */
function fenceAtBoot(x: Base): HostOut {
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
  const owner = lifeOf(next, x.config.owner);
  return begin({ ...x, state: next }, { cause: owner ? 'start' : 'boot', to: owner, forced: false });
}

/** The machine was read back: does it agree with the record? */
function inspected(x: HostSeen<'phaseDone'>): HostOut {
  const { state, input } = x;
  const before = [stop('enforce')];
  if (!input.result.ok) return quarantine(x, 'inspectFailed', false, before);
  if (state.quarantine) return quarantine(x, state.quarantine.cause, state.quarantine.isolated, before);
  const { holder, attempt } = state;
  const { reach } = input.result;
  const isAlive = holder !== undefined && state.running[holder.vm] === holder.incarnation;
  if (holder && reach === holder.vm && isAlive) return holdOn(x, holder);
  if (!holder && !attempt && reach === 'blocked') return parkOn(x);
  return redo(x, reach);
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
    to: toNobody ? undefined : ownerLife(x),
    forced,
    ...(attempt?.quarantine ? { quarantine: attempt.quarantine } : {}),
  };
  return begin(x, plan, [stop('enforce')]);
}

/** The bundle is parked, as recorded: go on waiting. */
function parkOn(x: HostSeen<'phaseDone'>): HostOut {
  const { state, config } = x;
  const parked: HostState = { ...state, name: 'parked', reservation: undefined, exposed: false };
  if (state.guard) return { state: parked, effects: [stop('enforce'), timer('guard', config.times.guardMs)] };
  const owner = ownerLife(x);
  const waits = state.lastCause === 'lift' || state.lastCause === 'boot';
  if (!owner || waits) return { state: parked, effects: [stop('enforce')] };
  return begin({ ...x, state: parked }, { cause: 'restart', to: owner, forced: false }, [stop('enforce')]);
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
      { do: 'persist', sync: true },
      ...clocksOf(next, input.nowMs),
      ...(holder.confirmed ? [] : [timer('confirm', config.times.confirmMs)]),
      { do: 'audit', event: 'held', detail: 'restart' },
    ],
  };
}

/** What is left of lease, tenure or notice. */
function clocksOf(state: HostState, nowMs: number): HostEffect[] {
  const { lease, ending } = state.holder as Holder;
  if (!lease) return [];
  if (ending?.notified) {
    const leftMs = Math.max(0, Math.ceil(ending.endsMs - nowMs));
    return [timer('notice', leftMs), timer('remind', HOST_TIMERS.remind)];
  }
  const leaseMs = leaseLeft(state, nowMs);
  if (!ending) return [timer('lease', leaseMs)];
  const tenureMs = Math.max(0, Math.ceil(lease.startedMs + lease.minTenureMs - nowMs));
  return [timer('lease', Math.min(tenureMs, leaseMs))];
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
    act: (x) => withExits(inspected(x)),
  }),
  hostRow({
    name: 'inspect-timeout',
    on: 'timer:enforce',
    from: ['starting'],
    to: ['quarantined'],
    act: (x) => quarantine(x, 'inspectFailed', false),
  }),
];

/**
 * How far epochs go on after a lost table, above the highest that an agent named: more handovers than a machine sees in
 * a month of PIN entries. Of what is left never more than half is given away.
 */
const EPOCH_JUMP = 65_536;

/** Rows of quarantine. */
export const QUARANTINE_ROWS = [
  hostRow({
    name: 'lift',
    on: 'lift',
    from: ['quarantined'],
    to: ['moving', 'quarantined'],
    act: (x) => {
      const { state } = x;
      // Agents that have not asked yet may remember higher epochs, and would ignore lower ones.
      const jump = state.restored ? Math.min(EPOCH_JUMP, Math.floor((UINT32_MAX - state.epoch) / 2)) : 0;
      const next: HostState = { ...state, rejections: [], epoch: (state.epoch + jump) as HostState['epoch'] };
      return begin({ ...x, state: next }, { cause: 'lift', to: undefined, forced: false });
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
      effects: [
        { do: 'persist', sync: false },
        { do: 'audit', event: 'unbarred' },
      ],
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
    act: ({ state }) =>
      withExits({
        state: {
          ...state,
          quarantine: { ...state.quarantine!, isolated: true },
          suspect: undefined,
          exposed: false,
        },
        effects: [stop('retry'), { do: 'persist', sync: true }, { do: 'audit', event: 'isolated' }],
      }),
  }),
  hostRow({ name: 'phase-late', on: 'phaseDone', from: 'any', ignore: 'the attempt or the phase is over' }),
];
