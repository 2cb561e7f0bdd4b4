/**
 * Parts that the host's rows share: start of an attempt, quarantine, acknowledged exits, reports.
 *
 * Pure. The epoch of an attempt is allocated and recorded with its plan before the first write to the enforcer. It is
 * used up however the attempt ends.
 */

import type { MoveCause, QuarantineCause } from '../protocol/codes.ts';
import { type Epoch, UINT32_MAX, type VmId } from '../protocol/ids.ts';
import { MESSAGES, type MessageOf } from '../protocol/messages.ts';
import { type Outcome, rowsOf, type Seen } from '../protocol/table.ts';
import { DRAINS_MAX, HOST_TIMERS, type HostTimer } from '../protocol/timers.ts';
import {
  type Attempt,
  type Ending,
  type HostConfig,
  type HostEffect,
  type HostInput,
  type HostState,
  runningVm,
  type VmIncarnation,
} from './host-state.ts';

export type HostOut = Outcome<HostState, HostEffect>;
export type HostSeen<K extends HostInput['on'] = HostInput['on']> = Seen<
  HostState,
  Extract<HostInput, { on: K }>,
  HostConfig
>;
/** The input of every action. */
export type Base = Seen<HostState, { readonly nowMs: number }, HostConfig>;

export const hostRow = rowsOf<HostState, HostInput, HostConfig, HostEffect>();

export const timer = (name: HostTimer, ms: number): HostEffect => ({ do: 'timer', timer: name, ms });
export const stop = (name: HostTimer): HostEffect => ({ do: 'stopTimer', timer: name });
export const record: HostEffect = { do: 'record' };

export function runPhase(config: HostConfig, attempt: Attempt): HostEffect[] {
  const { phase, epoch } = attempt;
  return [
    { do: 'phase', phase, epoch, to: phase === 'grant' ? attempt.to?.vm : undefined },
    timer('enforce', config.times.enforceMs),
  ];
}

/** The plan of an attempt. */
export interface Plan {
  readonly cause: MoveCause;
  readonly to: VmIncarnation | undefined;
  readonly forced: boolean;
  readonly terms?: Attempt['terms'];
  /** The epoch that the reservation allocated and recorded; absent: the next one. */
  readonly reserved?: Epoch;
  readonly quarantine?: QuarantineCause;
}

/** Starts an attempt: allocates its epoch, records the plan, fences. */
export function begin(x: Base, plan: Plan, before: readonly HostEffect[] = []): HostOut {
  const { state, config } = x;
  if (plan.reserved === undefined && state.epoch >= UINT32_MAX) {
    return quarantine(x, 'epochsExhausted', false, before);
  }
  const epoch = plan.reserved ?? ((state.epoch + 1) as Epoch);
  if (epoch > state.epochMax) throw new NoEpochLeft(config.bundle, epoch, state.unwritable);
  const held = state.holder ?? state.attempt?.to ?? state.attempt?.from ?? state.suspect;
  const attempt: Attempt = {
    epoch,
    cause: plan.cause,
    from: held ? { vm: held.vm, incarnation: held.incarnation } : undefined,
    to: plan.to,
    phase: 'fence',
    forced: plan.forced,
    settled: false,
    drainsLeft: DRAINS_MAX,
    cancelled: false,
    terms: plan.terms,
    quarantine: plan.quarantine,
  };
  const { holder } = state;
  const leased = holder?.lease ? { vm: holder.vm, requestId: holder.lease.requestId } : state.lastBorrower;
  const next: HostState = {
    ...state,
    name: 'moving',
    epoch,
    attempt,
    holder: undefined,
    reservation: undefined,
    isGuardTime: false,
    isFromRecord: false,
    quarantine: undefined,
    suspect: undefined,
    lastBorrower: plan.terms && plan.to ? { vm: plan.to.vm, requestId: plan.terms.requestId } : leased,
  };
  const timers = (['reservation', 'lease', 'notice', 'remind', 'confirm', 'guard', 'retry'] as const).map(
    stop,
  );
  const audit: HostEffect = { do: 'audit', event: 'moving', detail: plan.cause };
  return {
    state: next,
    effects: [
      ...before,
      ...timers,
      // Recorded before the first write, without an fsync: a restarted host then knows what had begun.
      record,
      ...runPhase(config, attempt),
      audit,
    ],
  };
}

/**
 * The service must end: a later start could allocate this epoch again. Nothing was begun, so the next start finds the
 * bundle unchanged.
 */
export class NoEpochLeft extends Error {
  constructor(bundle: string, epoch: Epoch, fault: string | undefined) {
    super(`${bundle}: epoch ${epoch} may not be used: ${fault ?? 'it is not reserved on disk yet'}`);
  }
}

/** Returns who gets a bundle back: its owner if it runs, else no VM. */
export function runningOwner(x: Base): VmIncarnation | undefined {
  return runningVm(x.state, x.config.owner);
}

/** Starts the return of a bundle. A forced return parks it for the guard time first. */
export function beginReturn(
  x: Base,
  cause: MoveCause,
  forced: boolean,
  before: readonly HostEffect[] = [],
): HostOut {
  return begin(x, { cause, forced, to: forced ? undefined : runningOwner(x) }, before);
}

/**
 * Ends in quarantine. Without proof of isolation, the last holder stays suspect. `again`: isolation was not tried
 * just now, so it starts at once.
 */
export function quarantine(
  x: Base,
  cause: QuarantineCause,
  isolation: boolean | 'again',
  before: readonly HostEffect[] = [],
): HostOut {
  const isolated = isolation === true;
  const { state } = x;
  const suspect = isolated ? undefined : (state.holder ?? state.attempt?.from ?? state.suspect);
  const next: HostState = {
    ...state,
    name: 'quarantined',
    holder: undefined,
    reservation: undefined,
    attempt: undefined,
    isGuardTime: false,
    isFromRecord: false,
    lastEpoch: state.attempt?.epoch ?? state.lastEpoch,
    quarantine: { cause, isolated },
    suspect,
  };
  return {
    state: next,
    effects: [
      ...before,
      stop('enforce'),
      stop('drain'),
      record,
      ...tellQuarantined(x, next),
      ...(isolation === 'again' ? [{ do: 'phase', phase: 'fence', epoch: next.epoch } as const] : []),
      ...(isolated ? [] : [timer('retry', HOST_TIMERS.retry)]),
      { do: 'audit', event: 'quarantined', detail: cause },
    ],
  };
}

/** Reports to the waiting parties that the attempt was not carried out. */
export function tellQuarantined(x: Base, next: HostState): HostEffect[] {
  const { attempt } = x.state;
  if (!attempt) return [];
  const body = {
    kind: 'refused',
    bundle: x.config.bundle,
    epoch: attempt.epoch,
    code: 'quarantined',
    currentEpoch: next.lastEpoch,
  } as const;
  const borrower = next.lastBorrower;
  return [
    { do: 'send', to: x.config.owner, message: { ...body, command: MESSAGES.lend.number } },
    ...(borrower
      ? [
          {
            do: 'send',
            to: borrower.vm,
            message: { ...body, command: MESSAGES.requestBorrow.number, requestId: borrower.requestId },
          } as const,
        ]
      : []),
  ];
}

/** Whether the bundle's devices may still reach an ended incarnation, or it may still reach them. */
export function isInvolved(state: HostState, one: VmIncarnation): boolean {
  const isSame = (other: VmIncarnation | undefined) =>
    other?.vm === one.vm && other.incarnation === one.incarnation;
  const { name, holder, quarantine: cause, exposed, suspect, attempt } = state;
  if (name === 'starting') return true;
  if (name === 'held') return isSame(holder);
  if (name === 'quarantined') return !cause?.isolated && (exposed || isSame(suspect));
  if (!attempt) return false;
  if (!attempt.settled) return exposed || isSame(attempt.from) || isSame(attempt.to);
  return attempt.phase === 'grant' && isSame(attempt.to);
}

/** Reports the state of the bundle to one VM. Only the holder gets the proof. */
export function tell(x: Base, vm: VmId): HostEffect {
  const { state, config } = x;
  const { holder } = state;
  const message: MessageOf<'remapped'> = {
    kind: 'remapped',
    bundle: config.bundle,
    epoch: holder?.epoch ?? state.lastEpoch,
    digest: config.digest,
    cause: state.lastCause,
    ...(holder ? { holder: holder.vm, incarnation: holder.incarnation } : {}),
    ...(holder?.vm === vm && holder.proof ? { proof: holder.proof } : {}),
    leaseMs: leaseLeft(state, x.input.nowMs),
    ...(holder?.vm === vm && holder.lease ? { requestId: holder.lease.requestId } : {}),
  };
  return { do: 'send', to: vm, message };
}

/** Lease left of the present holder, in milliseconds; 0 for the owner. */
export function leaseLeft(state: HostState, nowMs: number): number {
  const lease = state.holder?.lease;
  return lease ? Math.max(0, Math.floor(lease.startedMs + lease.leaseMs - nowMs)) : 0;
}

/** Notice left, in milliseconds. */
export function noticeLeft(ending: Ending, nowMs: number): number {
  return Math.max(0, Math.floor(ending.endsMs - nowMs));
}

/** Recipients of a report: the holder first, since its driver is suspended, then the other party. */
export function audience(x: Base): VmId[] {
  const { state, config } = x;
  const vms = [state.holder?.vm, config.owner, state.lastBorrower?.vm];
  return [...new Set(vms.filter((vm): vm is VmId => vm !== undefined && state.running[vm] !== undefined))];
}
