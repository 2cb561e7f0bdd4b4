/**
 * The remap at the host: from fence to a stable state, with every failure, exit and cancellation that may interrupt
 * it.
 *
 * Pure. Nothing is granted before everything is fenced and settled. Before the point of no return (the grant) a
 * failed lend returns to the owner under the same epoch; after it, the bundle returns to the owner under a new epoch.
 * A bundle that cannot be blocked, synced, reset or granted to its owner ends in quarantine.
 */

import type { Incarnation } from '../protocol/ids.ts';
import { HOST_TIMERS, STOPPED_MS } from '../protocol/timers.ts';
import {
  audience,
  type Base,
  begin,
  type HostOut,
  type HostSeen,
  hostRow,
  quarantine,
  record,
  runningOwner,
  runPhase,
  stop,
  tell,
  timer,
} from './host-attempt.ts';
import {
  type Attempt,
  type HostEffect,
  type HostState,
  isAlive,
  isKeeperLost,
  type RemapPhase,
  type VmIncarnation,
} from './host-state.ts';

/** All resources are granted: the new holder holds. */
function commit(x: HostSeen<'phaseDone'>, attempt: Attempt, to: VmIncarnation): HostOut {
  const { state, input, config } = x;
  const proof = input.result.ok ? input.result.proof : undefined;
  const lender = attempt.from?.incarnation ?? (0 as Incarnation);
  const lease = attempt.terms ? { ...attempt.terms, startedMs: input.nowMs, lender, renewal: 0 } : undefined;
  const next: HostState = {
    ...state,
    name: 'held',
    attempt: undefined,
    holder: { ...to, epoch: attempt.epoch, confirmed: false, lease, proof },
    lastEpoch: attempt.epoch,
    lastCause: attempt.cause,
  };
  // A grant that is reverted at once is not reported.
  const isKept = isAlive(next, to) && !isKeeperLost(next, config);
  const told = isKept ? audience({ ...x, state: next }) : [];
  return {
    state: next,
    effects: [
      stop('enforce'),
      ...told.map((vm) => tell({ ...x, state: next }, vm)),
      timer('confirm', config.times.confirmMs),
      ...(lease ? [timer('lease', lease.leaseMs)] : []),
      record,
      { do: 'audit', event: 'held', detail: attempt.cause },
    ],
  };
}

/** All resources are fenced and clean, and no VM is to get them. */
function park(x: Base, attempt: Attempt): HostOut {
  const { state, config } = x;
  const next: HostState = {
    ...state,
    name: 'parked',
    attempt: undefined,
    lastEpoch: attempt.epoch,
    lastCause: attempt.cause,
    isGuardTime: attempt.forced,
  };
  const effects: HostEffect[] = [
    stop('enforce'),
    ...audience({ ...x, state: next }).map((vm) => tell({ ...x, state: next }, vm)),
    ...(next.isGuardTime ? [timer('guard', config.times.guardMs)] : []),
    record,
    { do: 'audit', event: 'parked', detail: attempt.cause },
  ];
  return { state: next, effects };
}

function advance(x: Base, attempt: Attempt, phase: RemapPhase): HostOut {
  const next = { ...attempt, phase };
  return { state: { ...x.state, attempt: next }, effects: [stop('enforce'), ...runPhase(x.config, next)] };
}

/** Before the point of no return: the owner keeps the bundle that it was about to lend, under the attempt's epoch. */
function rollBack(x: Base, attempt: Attempt): HostOut {
  const owner = runningOwner(x);
  const same =
    owner && attempt.from && owner.vm === attempt.from.vm && owner.incarnation === attempt.from.incarnation;
  if (!same) return begin(x, { cause: 'rollback', to: owner, forced: false }, [stop('enforce')]);
  return advance(x, { ...attempt, to: owner, cause: 'rollback', terms: undefined }, 'grant');
}

function attemptOf(state: HostState): Attempt {
  if (!state.attempt) throw new Error('moving without an attempt');
  return state.attempt;
}

const isLend = (attempt: Attempt) => attempt.cause === 'lend';
const isDead = (state: HostState, one: VmIncarnation | undefined) =>
  one !== undefined && !isAlive(state, one);

/**
 * Returns whether a lend must turn back: it was cancelled, its borrower has ended, or the keeper of its supplies has.
 */
function turnsBack({ state, config }: Base, attempt: Attempt): boolean {
  if (!isLend(attempt)) return false;
  const { cancelled, to, from } = attempt;
  return cancelled || isDead(state, to) || (config.keeper === 'owner' && isDead(state, from));
}

/** Fence or settle failed: the old holder's access is unknown. */
function unproved(x: Base, phase: RemapPhase): HostOut {
  return quarantine(x, phase === 'fence' ? 'fenceFailed' : 'settleFailed', false);
}

/** All resources are fenced and settled: no VM reaches the bundle. */
function unexposed<X extends Base>(x: X): X {
  return { ...x, state: { ...x.state, exposed: false } };
}

/** Clean is done: grant, park or turn back. */
function afterClean(x: HostSeen<'phaseDone'>): HostOut {
  const attempt = attemptOf(x.state);
  if (attempt.quarantine) return quarantine(x, attempt.quarantine, true);
  if (turnsBack(x, attempt)) return rollBack(x, attempt);
  if (isLend(attempt)) return advance(x, attempt, 'grant');
  // The owner's present state counts: it may have ended or started meanwhile.
  const isForNobody = attempt.forced || (attempt.cause === 'lift' && !x.state.isOwnerWaiting);
  const to = isForNobody ? undefined : runningOwner(x);
  return to ? advance(x, { ...attempt, to }, 'grant') : park(x, { ...attempt, to: undefined });
}

/** A reset failed, or the device is not idle after it. */
function uncleaned(x: Base): HostOut {
  const attempt = attemptOf(x.state);
  // The owner's own data in its device is no secret from it: a failed lend returns without a reset.
  if (isLend(attempt)) return rollBack(x, attempt);
  return quarantine(x, 'resetFailed', true);
}

/** A grant failed half-way: return to the owner; if the owner was to get it, park it in quarantine. */
function ungranted(x: Base): HostOut {
  const attempt = attemptOf(x.state);
  const before = [stop('enforce')];
  if (attempt.to?.vm !== x.config.owner) {
    return begin(x, { cause: 'forwardBack', to: runningOwner(x), forced: false }, before);
  }
  return begin(x, { cause: 'forwardBack', to: undefined, forced: false, quarantine: 'grantFailed' }, before);
}

function failed(x: Base, phase: RemapPhase): HostOut {
  if (phase === 'clean') return uncleaned(x);
  if (phase === 'grant') return ungranted(x);
  if (phase === 'inspect') return quarantine(x, 'inspectFailed', false);
  return unproved(x, phase);
}

const isCurrent = ({ state, input }: HostSeen<'phaseDone'>) =>
  state.attempt?.epoch === input.epoch && state.attempt.phase === input.phase;
const inPhase = (phase: RemapPhase) => (x: HostSeen<'phaseDone'>) =>
  x.input.phase === phase && x.input.result.ok && isCurrent(x);

/** Rows of the running remap. */
export const REMAP_ROWS = [
  hostRow({
    name: 'fenced',
    on: 'phaseDone',
    from: ['moving'],
    when: 'fence done',
    guard: inPhase('fence'),
    to: ['stay'],
    act: (x) => advance(x, attemptOf(x.state), 'settle'),
  }),
  hostRow({
    name: 'settled-turn-back',
    on: 'phaseDone',
    from: ['moving'],
    when: 'settle done; the lend was cancelled, or its borrower or keeper has ended',
    guard: (x) => inPhase('settle')(x) && turnsBack(x, attemptOf(x.state)),
    to: ['stay'],
    act: (x) => rollBack(unexposed(x), { ...attemptOf(x.state), settled: true }),
  }),
  hostRow({
    name: 'settled-unresettable',
    on: 'phaseDone',
    from: ['moving'],
    when: 'settle done; a forced return, and a residual state that only the driver clears',
    guard: (x) => inPhase('settle')(x) && !x.config.resettable && attemptOf(x.state).forced,
    to: ['quarantined'],
    act: (x) => quarantine(unexposed(x), 'unresettable', true),
  }),
  hostRow({
    name: 'settled',
    on: 'phaseDone',
    from: ['moving'],
    when: 'settle done',
    guard: inPhase('settle'),
    to: ['stay'],
    act: (x) => advance(unexposed(x), { ...attemptOf(x.state), settled: true }, 'clean'),
  }),
  hostRow({
    name: 'cleaned-busy',
    on: 'phaseDone',
    from: ['moving'],
    when: 'reset done, a device is not idle, checks left',
    guard: (x) => {
      const { result } = x.input;
      return inPhase('clean')(x) && result.ok && result.idle === false && attemptOf(x.state).drainsLeft > 0;
    },
    to: ['stay'],
    act: (x) => {
      const attempt = attemptOf(x.state);
      return {
        state: { ...x.state, attempt: { ...attempt, drainsLeft: attempt.drainsLeft - 1 } },
        effects: [stop('enforce'), timer('drain', HOST_TIMERS.drain)],
      };
    },
  }),
  hostRow({
    name: 'cleaned-never-idle',
    on: 'phaseDone',
    from: ['moving'],
    when: 'reset done, a device is not idle, no checks left',
    guard: (x) => inPhase('clean')(x) && x.input.result.ok && x.input.result.idle === false,
    to: ['stay', 'quarantined'],
    act: uncleaned,
  }),
  hostRow({
    name: 'cleaned',
    on: 'phaseDone',
    from: ['moving'],
    when: 'clean done',
    guard: inPhase('clean'),
    to: ['stay', 'parked', 'quarantined'],
    act: afterClean,
  }),
  hostRow({
    name: 'granted',
    on: 'phaseDone',
    from: ['moving'],
    when: 'grant done',
    guard: inPhase('grant'),
    to: ['held', 'stay'],
    act: (x) => commit(x, attemptOf(x.state), attemptOf(x.state).to!),
  }),
  hostRow({
    name: 'phase-failed',
    on: 'phaseDone',
    from: ['moving'],
    when: 'failed',
    guard: isCurrent,
    to: ['stay', 'quarantined'],
    act: (x) => failed(x, x.input.phase),
  }),
  hostRow({
    name: 'phase-timeout-late',
    on: 'timer:enforce',
    from: ['starting', 'moving'],
    when: 'this process was stopped meanwhile',
    guard: ({ input }) => (input.lateMs ?? 0) >= STOPPED_MS,
    to: ['stay'],
    // The machine may have been stopped too, and had no time to answer.
    act: ({ state, config }) => ({ state, effects: [timer('enforce', config.times.enforceMs)] }),
  }),
  hostRow({
    name: 'phase-timeout',
    on: 'timer:enforce',
    from: ['moving'],
    to: ['stay', 'quarantined'],
    act: (x) => failed(x, attemptOf(x.state).phase),
  }),
  hostRow({
    name: 'drain-look',
    on: 'timer:drain',
    from: ['moving'],
    when: 'cleaning',
    guard: ({ state }) => state.attempt?.phase === 'clean',
    to: ['stay'],
    act: ({ state, config }) => ({ state, effects: runPhase(config, attemptOf(state)) }),
  }),
];
