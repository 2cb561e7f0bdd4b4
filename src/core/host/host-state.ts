/**
 * State, inputs and effects of the host's table for one bundle (host-table.ts).
 *
 * Pure: types and small helpers. Lease, notice and reservation are fields, not states.
 */

import type { EvidenceLevel, MoveCause, Phase, QuarantineCause } from '../protocol/codes.ts';
import { type Epoch, type Incarnation, UINT32_MAX, type VmId } from '../protocol/ids.ts';
import type { ConsentClaims, Message, MessageKind, MessageOf, Proof } from '../protocol/messages.ts';
import type { LEVEL } from '../protocol/table.ts';
import type { HostTimer, HostTimes } from '../protocol/timers.ts';

/** States of a bundle. `starting`: the service has just started and reads the machine back. */
export const HOST_STATES = ['starting', ...(['parked', 'held', 'moving', 'quarantined'] as const)] as const;
export type HostStateName = 'starting' | Phase;

/** A VM in one incarnation. */
export interface VmIncarnation {
  readonly vm: VmId;
  readonly incarnation: Incarnation;
}

/** The terms of a borrower's consent. */
export interface Terms extends Pick<ConsentClaims, 'leaseMs' | 'minHoldMs' | 'noticeMs'> {
  /** The borrower's id of its request. */
  readonly requestId: number;
}

/** A borrower's bounded right to hold. */
export interface Lease extends Terms {
  /** Time of the grant on the host's clock. */
  readonly startedMs: number;
  /** The owner's incarnation that lent it. If the owner keeps the supplies, they fail when it ends. */
  readonly lender: Incarnation;
  /** Number of renewals so far. Only the next one is accepted, so that no consent serves twice. */
  readonly renewal: number;
}

/** A pending return. */
export interface Ending {
  readonly cause: MoveCause;
  /** Whether notice was given. Before that, the minimum hold time runs. */
  readonly notified: boolean;
  /** End of the notice on the host's clock. */
  readonly endsMs: number;
}

export interface Holder extends VmIncarnation {
  readonly epoch: Epoch;
  readonly confirmed: boolean;
  /** Absent for the owner, which holds by title. */
  readonly lease?: Lease | undefined;
  readonly ending?: Ending | undefined;
  readonly proof?: Proof | undefined;
}

/** A reservation for a handover. */
export interface Reservation {
  readonly epoch: Epoch;
  readonly borrower: VmIncarnation;
  readonly terms: Terms;
  /** Whether both parties were told: the record is written. */
  readonly isTold: boolean;
}

/** Phases of the remap procedure, in order. */
export type RemapPhase = 'inspect' | 'fence' | 'settle' | 'clean' | 'grant';

/** One run of the remap. */
export interface Attempt {
  readonly epoch: Epoch;
  readonly cause: MoveCause;
  /** The previous holder; absent: none. */
  readonly from?: VmIncarnation | undefined;
  /** The next holder; absent: none, the bundle is parked. */
  readonly to?: VmIncarnation | undefined;
  readonly phase: RemapPhase;
  /** A forced return: the bundle stays parked for the guard time. */
  readonly forced: boolean;
  /** Whether fence and settle are done. Until then the old holder may still have access. */
  readonly settled: boolean;
  readonly drainsLeft: number;
  /** Whether the owner cancelled it. */
  readonly cancelled: boolean;
  readonly terms?: Terms | undefined;
  /** The cause of quarantine when the owner itself rejected the evidence. */
  readonly quarantine?: QuarantineCause | undefined;
}

export interface HostState {
  readonly name: HostStateName;
  /** Highest epoch allocated. */
  readonly epoch: Epoch;
  /** Last epoch of the durable block. A higher one could be allocated again after a power cut. */
  readonly epochMax: Epoch;
  readonly holder?: Holder | undefined;
  readonly reservation?: Reservation | undefined;
  readonly attempt?: Attempt | undefined;
  /** No later attempt has finished: a command at or below this epoch is over. A restart takes the highest possible. */
  readonly lastEpoch: Epoch;
  /** Cause of the last finished attempt. */
  readonly lastCause: MoveCause;
  /** Borrower of the last lease and its request id: it is told how its return ended. */
  readonly lastBorrower?: { readonly vm: VmId; readonly requestId: number } | undefined;
  /** While parked: the guard time runs. */
  readonly isGuardTime: boolean;
  readonly quarantine?: { readonly cause: QuarantineCause; readonly isolated: boolean } | undefined;
  /** While quarantined without proof: the VM that may still reach the bundle. */
  readonly suspect?: VmIncarnation | undefined;
  /** After a restart, until the first settle: any VM may still reach the bundle, so no exit is acknowledged. */
  readonly exposed: boolean;
  /** The holder comes from the record of an earlier host; later records may be missing. */
  readonly isFromRecord: boolean;
  /** Why records cannot be written; absent: they can. */
  readonly unwritable?: string | undefined;
  /** Running incarnations of the VMs. */
  readonly running: Readonly<Record<VmId, Incarnation>>;
  /** The owner's VM waits before its first instruction. */
  readonly isOwnerWaiting: boolean;
  /** Ended incarnations whose memory waits to be freed. */
  readonly exiting: readonly VmIncarnation[];
  /** VMs that rejected the evidence, and why. A borrower among them is barred from lending until a lift. */
  readonly rejections: readonly Rejection[];
}

/** What a holder found wrong with the evidence of its grant. */
export interface Rejection {
  readonly vm: VmId;
  /** The holder's text, at most 96 bytes. */
  readonly what: string;
}

/** Constants of a bundle, from the configuration and its enforcer. */
export interface HostConfig {
  readonly bundle: MessageOf<'prepare'>['bundle'];
  readonly owner: VmId;
  readonly keeper: 'owner' | 'hypervisor';
  readonly digest: Uint8Array;
  /** Whether the enforcer's reset clears every declared residual state. */
  readonly resettable: boolean;
  /** Whether a bundle that is not resettable may be lent. If its borrower dies, it goes to quarantine. */
  readonly acceptDriverResidualState: boolean;
  readonly evidence: EvidenceLevel;
  readonly forceRevoke: boolean;
  readonly times: HostTimes;
}

/** Result of a phase, from the enforcer's answers (remap.ts). */
export type PhaseResult =
  | {
      readonly ok: true;
      /** Of clean: false when a device was not idle. */
      readonly idle?: boolean;
      /** Of grant. */
      readonly proof?: Proof;
      /** Of inspect: the VM that reaches all resources; `mixed` when they differ. */
      readonly reach?: VmId | 'blocked' | 'mixed' | 'unknown';
    }
  | { readonly ok: false; readonly error: string };

/** What the service found of its table at its start. */
export type Recovered =
  /** The last record of this bundle. `rebooted`: the machine was rebooted since. */
  | { readonly kind: 'record'; readonly state: HostState; readonly rebooted: boolean }
  /** The bundle is new and the table is intact. */
  | { readonly kind: 'new' }
  /** The table is missing or broken. */
  | { readonly kind: 'lost' };

/** A consent that the driver has verified. The endpoint computes its age. */
export interface OpenedConsent {
  readonly claims: ConsentClaims;
  /** Whether the timestamp token is of this boot of the service. */
  readonly sameBoot: boolean;
  /** Age of the timestamp token on our clock, in ms; negative when it claims a future time. */
  readonly ageMs: number;
}

/** Messages that are inputs of the host's table. */
export const HOST_MESSAGES = [
  'prepare',
  'lend',
  'cancel',
  'release',
  'reclaim',
  'claim',
  'confirm',
  'reject',
  'renewLease',
  'queryState',
] as const satisfies readonly MessageKind[];
type HostMessage = (typeof HOST_MESSAGES)[number];

/** Inputs. `nowMs`: the host's monotonic clock. */
export type HostInput = { readonly nowMs: number } & (
  | {
      readonly [K in HostMessage]: {
        readonly on: K;
        readonly from: VmId;
        readonly message: MessageOf<K>;
        /** Of `prepare` and `renewLease` only. Absent when the consent did not verify. */
        readonly consent?: OpenedConsent | undefined;
      };
    }[HostMessage]
  | {
      readonly on: 'start';
      readonly recovered: Recovered;
      readonly running: HostState['running'];
      /**
       * The durable block of epochs of this start: none above `from` was allocated, all up to `to` may be. Absent:
       * only epochs of the record were allocated.
       */
      readonly epochs?: { readonly from: Epoch; readonly to: Epoch } | undefined;
      /** The last epochs with a handover record. For people (handover-watch.ts). */
      readonly recorded?: readonly number[] | undefined;
    }
  | {
      readonly on: 'phaseDone';
      readonly epoch: Epoch;
      readonly phase: RemapPhase;
      readonly result: PhaseResult;
    }
  | { readonly on: 'vmStarted'; readonly vm: VmId; readonly incarnation: Incarnation }
  /** A VM runs now; it no longer waits. */
  | { readonly on: 'vmRuns'; readonly vm: VmId }
  /** `incarnation` absent: the running one. */
  | { readonly on: 'vmExited'; readonly vm: VmId; readonly incarnation?: Incarnation | undefined }
  /** The last record was written, or could not be. */
  | { readonly on: 'recorded'; readonly fault?: string | undefined }
  /** Epochs up to `to` may be allocated. */
  | { readonly on: 'epochsReserved'; readonly to: Epoch }
  /** An operator ends the quarantine, or lifts the bar of a borrower. */
  | { readonly on: 'lift' }
  /** `lateMs`: time since the timer should have expired. */
  | {
      readonly [T in HostTimer]: { readonly on: `timer:${T}`; readonly lateMs?: number | undefined };
    }[HostTimer]
  | { readonly on: typeof LEVEL }
);

/** Effects. */
export type HostEffect =
  | { readonly do: 'send'; readonly to: VmId; readonly message: Message }
  /** Record the state, so that it outlives this process. Answered by `recorded`. */
  | { readonly do: 'record' }
  /** Run a phase of the remap. Answered by `phaseDone` with the same epoch and phase. */
  | {
      readonly do: 'phase';
      readonly phase: RemapPhase;
      readonly epoch: Epoch;
      readonly to?: VmId | undefined;
    }
  | { readonly do: 'timer'; readonly timer: HostTimer; readonly ms: number }
  | { readonly do: 'stopTimer'; readonly timer: HostTimer }
  /** This incarnation and the bundle no longer reach each other: as to this bundle, its memory may be freed. */
  | { readonly do: 'acknowledgeExit'; readonly vm: VmId; readonly incarnation: Incarnation }
  /** A line for the audit log: what happened, and why. */
  | { readonly do: 'audit'; readonly event: string; readonly detail?: string | undefined };

/** The state before the first input. */
export function initialHost(): HostState {
  return {
    name: 'starting',
    epoch: 0 as Epoch,
    epochMax: UINT32_MAX as Epoch,
    lastEpoch: 0 as Epoch,
    lastCause: 'boot',
    isGuardTime: false,
    exposed: false,
    isFromRecord: false,
    running: {},
    isOwnerWaiting: false,
    exiting: [],
    rejections: [],
  };
}

/** Returns the running incarnation of `vm`, if it runs. */
export function runningVm(state: HostState, vm: VmId): VmIncarnation | undefined {
  const incarnation = state.running[vm];
  return incarnation === undefined ? undefined : { vm, incarnation };
}

/** Returns whether `vm`, in the incarnation that runs now, holds the bundle. */
export function holds(state: HostState, vm: VmId): boolean {
  const { holder } = state;
  return state.name === 'held' && holder?.vm === vm && state.running[vm] === holder.incarnation;
}

/** Returns whether `incarnation` runs now. */
export function isAlive(state: HostState, { vm, incarnation }: VmIncarnation): boolean {
  return state.running[vm] === incarnation;
}

/** Returns whether the owner, who keeps the supplies of a lent bundle, has ended since it lent. */
export function isKeeperLost({ holder, running }: HostState, { keeper, owner }: HostConfig): boolean {
  return keeper === 'owner' && holder?.lease !== undefined && running[owner] !== holder.lease.lender;
}

/** Returns whether a VM that is about to run must wait for this bundle. */
export function holdsBack(state: HostState, { owner }: Pick<HostConfig, 'owner'>, vm: VmId): boolean {
  // Access that an ended incarnation of this VM left may still reach its memory.
  if (state.exiting.some((one) => one.vm === vm)) return true;
  if (state.attempt?.to?.vm === vm) return true;
  // An owner gets its bundle before its kernel probes, if the bundle only needs time.
  const isComing = state.name === 'starting' || state.name === 'moving' || state.isGuardTime;
  return vm === owner && isComing;
}
