/**
 * State, inputs and orders of the host for one bundle. The rows are in hypervisor.ts (commands
 * and clocks) and hypervisor-remap.ts (the remap and what may interrupt it).
 *
 * Pure types and the smallest helpers. Lease, notice and reservation are fields, not states.
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

/** What a borrower consented to. */
export interface Terms extends Pick<ConsentClaims, 'leaseMs' | 'minHoldMs' | 'noticeMs'> {
  /** The borrower's number of its request. */
  readonly requestId: number;
}

/** The right of a borrower to hold for a while. */
export interface Lease extends Terms {
  /** Moment of the grant on the host's clock. */
  readonly startedMs: number;
  /** The owner's incarnation that lent it: where the owner keeps the supplies, they end with it. */
  readonly lender: Incarnation;
}

/** A return that is coming. */
export interface Ending {
  readonly cause: MoveCause;
  /** Notice was given; before that, minimum hold time is awaited. */
  readonly notified: boolean;
  /** When the notice is over, on the host's clock. */
  readonly endsMs: number;
}

export interface Holder extends VmIncarnation {
  readonly epoch: Epoch;
  readonly confirmed: boolean;
  /** Absent for the owner, who holds by title. */
  readonly lease?: Lease | undefined;
  readonly ending?: Ending | undefined;
  readonly proof?: Proof | undefined;
}

/** A prepared handover. */
export interface Reservation {
  readonly epoch: Epoch;
  readonly borrower: VmIncarnation;
  readonly terms: Terms;
  /** Both parties were told: the record of it is written. */
  readonly isTold: boolean;
}

/** Phases of the remap procedure, in order. */
export type RemapPhase = 'inspect' | 'fence' | 'settle' | 'clean' | 'grant';

/** One run of the remap procedure. */
export interface Attempt {
  readonly epoch: Epoch;
  readonly cause: MoveCause;
  /** The holder before; absent when nobody held. */
  readonly from?: VmIncarnation | undefined;
  /** Who is to get it; absent: nobody, it is parked. */
  readonly to?: VmIncarnation | undefined;
  readonly phase: RemapPhase;
  /** Taken without the holder's help: the bundle stays dark for the guard time. */
  readonly forced: boolean;
  /** From fence to settle: the old holder may still reach something. */
  readonly settled: boolean;
  readonly drainsLeft: number;
  /** The owner wants it dropped. */
  readonly cancelled: boolean;
  readonly terms?: Terms | undefined;
  /** Where the attempt ends when the owner itself rejected the evidence. */
  readonly quarantine?: QuarantineCause | undefined;
}

export interface HostState {
  readonly name: HostStateName;
  /** Highest epoch allocated. */
  readonly epoch: Epoch;
  /** Last epoch of the durable block: what is allocated beyond it could be allocated again after a power cut. */
  readonly epochMax: Epoch;
  readonly holder?: Holder | undefined;
  readonly reservation?: Reservation | undefined;
  readonly attempt?: Attempt | undefined;
  /** Epoch of the last attempt that ended, for answers while nobody holds. */
  readonly lastEpoch: Epoch;
  /** How the last attempt ended. */
  readonly lastCause: MoveCause;
  /** Borrower of the last lease, and by which request: it is told how its return ended. */
  readonly lastBorrower?: { readonly vm: VmId; readonly requestId: number } | undefined;
  /** While parked: the guard time runs. */
  readonly guard: boolean;
  readonly quarantine?: { readonly cause: QuarantineCause; readonly isolated: boolean } | undefined;
  /** While quarantined without proof: who may still reach the bundle. */
  readonly suspect?: VmIncarnation | undefined;
  /**
   * After a restart, until everything was settled once: nobody knows who may still reach the bundle, so no VM that
   * exits is let go.
   */
  readonly exposed: boolean;
  /** The holder is that of a record which an earlier host wrote: later records may be missing. */
  readonly isFromRecord: boolean;
  /** Why records cannot be written; absent: they can. */
  readonly unwritable?: string | undefined;
  /** Running incarnations of the VMs. */
  readonly running: Readonly<Record<VmId, Incarnation>>;
  /** The owner's VM waits for leave to run its first instruction. */
  readonly isOwnerWaiting: boolean;
  /** Ended incarnations that wait for leave to free their memory. */
  readonly exiting: readonly VmIncarnation[];
  /** Who rejected the evidence, and why: a borrower among them is barred, not lent to again before a lift. */
  readonly rejections: readonly Rejection[];
}

/** What a holder found wrong with the evidence of its grant. */
export interface Rejection {
  readonly vm: VmId;
  /** In its words, at most 96 bytes. */
  readonly what: string;
}

/** What the service knows about a bundle from its configuration and its enforcer. */
export interface HostConfig {
  readonly bundle: MessageOf<'prepare'>['bundle'];
  readonly owner: VmId;
  readonly keeper: 'owner' | 'hypervisor';
  readonly digest: Uint8Array;
  /** Whether the enforcer's reset clears every declared residual state. */
  readonly resettable: boolean;
  /** Whether a bundle that is not resettable may be lent all the same (a dead borrower then means quarantine). */
  readonly acceptDriverResidualState: boolean;
  readonly evidence: EvidenceLevel;
  readonly forceRevoke: boolean;
  readonly times: HostTimes;
}

/** How a phase of the remap ended, folded from the enforcer's answers (host/remap.ts). */
export type PhaseResult =
  | {
      readonly ok: true;
      /** clean: false when a device was not idle. */
      readonly idle?: boolean;
      /** grant. */
      readonly proof?: Proof;
      /** inspect: the one that all resources can be reached by; `mixed` when they differ. */
      readonly reach?: VmId | 'blocked' | 'mixed' | 'unknown';
    }
  | { readonly ok: false; readonly error: string };

/** What was found of the service's table at its start. */
export type Recovered =
  /** The last record of this bundle. `rebooted`: the machine was rebooted since. */
  | { readonly kind: 'record'; readonly state: HostState; readonly rebooted: boolean }
  /** The bundle is new and the table is intact. */
  | { readonly kind: 'new' }
  /** The table is missing or broken. */
  | { readonly kind: 'lost' };

/** A consent as opened by the driver: its claims verified, its timestamp token compared with our clock. */
export interface OpenedConsent {
  readonly claims: ConsentClaims;
  /** The timestamp token is of this boot of the service. */
  readonly sameBoot: boolean;
  /** Age of the timestamp token on our clock, in ms; negative when it claims to be from the future. */
  readonly ageMs: number;
}

/** Messages that the host's table takes. */
export const HOST_MESSAGES = [
  'prepare',
  'lend',
  'cancel',
  'release',
  'reclaim',
  'claim',
  'confirm',
  'reject',
  'queryState',
] as const satisfies readonly MessageKind[];
type HostMessage = (typeof HOST_MESSAGES)[number];

/** Facts. `nowMs` is the host's monotonic clock; `incarnation` the sender's running incarnation. */
export type HostInput = { readonly nowMs: number } & (
  | {
      readonly [K in HostMessage]: {
        readonly on: K;
        readonly from: VmId;
        readonly message: MessageOf<K>;
        /** Only with `prepare`: absent when the consent did not verify. */
        readonly consent?: OpenedConsent | undefined;
      };
    }[HostMessage]
  | {
      readonly on: 'start';
      readonly recovered: Recovered;
      readonly running: HostState['running'];
      /**
       * The durable block of epochs of this start: above `from` none was allocated, up to `to` any may be. Absent: none
       * was but those of the record.
       */
      readonly epochs?: { readonly from: Epoch; readonly to: Epoch } | undefined;
    }
  | {
      readonly on: 'phaseDone';
      readonly epoch: Epoch;
      readonly phase: RemapPhase;
      readonly result: PhaseResult;
    }
  | { readonly on: 'vmStarted'; readonly vm: VmId; readonly incarnation: Incarnation }
  /** A VM was let run: it waits no longer. */
  | { readonly on: 'vmRuns'; readonly vm: VmId }
  /** `incarnation` absent: the one that runs. */
  | { readonly on: 'vmExited'; readonly vm: VmId; readonly incarnation?: Incarnation | undefined }
  /** The last record was written, or could not be. */
  | { readonly on: 'recorded'; readonly fault?: string | undefined }
  /** Epochs up to `to` may be allocated. */
  | { readonly on: 'epochsReserved'; readonly to: Epoch }
  /** An operator ends the quarantine, or forgives a barred borrower. */
  | { readonly on: 'lift' }
  /** `lateMs`: how long ago the timer should have run out. */
  | {
      readonly [T in HostTimer]: { readonly on: `timer:${T}`; readonly lateMs?: number | undefined };
    }[HostTimer]
  | { readonly on: typeof LEVEL }
);

/** Orders. */
export type HostEffect =
  | { readonly do: 'send'; readonly to: VmId; readonly message: Message }
  /** Write the state to the table, so that it outlives this process; `recorded` answers. */
  | { readonly do: 'record' }
  /** Run a phase of the remap; `phaseDone` answers with the same epoch and phase. */
  | {
      readonly do: 'phase';
      readonly phase: RemapPhase;
      readonly epoch: Epoch;
      readonly to?: VmId | undefined;
    }
  | { readonly do: 'timer'; readonly timer: HostTimer; readonly ms: number }
  | { readonly do: 'stopTimer'; readonly timer: HostTimer }
  /** Nothing of this incarnation reaches the bundle any more: its memory may be freed, as far as this bundle goes. */
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
    guard: false,
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

/** Returns whether a VM that is about to run has to wait for this bundle. */
export function holdsBack(state: HostState, { owner }: Pick<HostConfig, 'owner'>, vm: VmId): boolean {
  // Its own memory may still be reached by what an ended incarnation of it left.
  if (state.exiting.some((one) => one.vm === vm)) return true;
  if (state.attempt?.to?.vm === vm) return true;
  // An owner gets its bundle before its kernel probes, where that is only a matter of waiting.
  const isComing = state.name === 'starting' || state.name === 'moving' || state.guard;
  return vm === owner && isComing;
}
