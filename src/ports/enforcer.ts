/**
 * The Enforcer port: what really switches stage 2, SMMU and interrupts. Safety rests on it alone.
 *
 * Every operation is idempotent. An enforcer declares what it can do and prove; the coordinator promises no
 * more. Types only; the enforcers stand beside this file, their conformance suite in conformance.ts.
 */

import type { EvidenceLevel } from '../core/protocol/codes.ts';
import type { BundleId, DeviceId, ResourceId, VmId } from '../core/protocol/ids.ts';

/** What an enforcer is, can do and can prove. */
export interface EnforcerDescription {
  /** Name of the enforcer, for people: `simulated`, `kvm`, `command`, `none`. */
  readonly name: string;
  /** `central`: the host calls it. `party`: the guests' own kernels make the calls. */
  readonly kind: 'central' | 'party';
  readonly evidence: EvidenceLevel;
  readonly capabilities: {
    /** Takes a bundle from a live borrower. Without it a dead borrower's bundle returns at VM exit. */
    readonly forceRevoke: boolean;
    /** Resets devices and can tell when they are idle. */
    readonly reset: boolean;
    /** Reports refused accesses. */
    readonly faultReport: boolean;
  };
}

/** One order to the enforcer. */
export type EnforcerCall =
  /**
   * Blocks every path to the resource: an interrupt is masked, a stream gets an invalid entry that leaves
   * evidence, registers are unmapped in every table that maps them. Need not be visible before `settle`.
   */
  | { readonly op: 'fence'; readonly resource: ResourceId }
  /**
   * Waits until everything fenced is really out of reach: configuration sync, CPU and SMMU TLB invalidation of
   * every VMID whose tables changed, also for other DMA masters of the old holder. Drains the fault queue.
   */
  | { readonly op: 'settle' }
  /** Resets a device so that no declared residual state survives, and clears its interrupts, active then pending. */
  | { readonly op: 'reset'; readonly device: DeviceId }
  /** Asks whether a device is idle: no DMA under way, no interrupt pending or active. */
  | { readonly op: 'drained'; readonly device: DeviceId }
  /** Makes the resource reachable for the VM: entry from scratch, synced; page mapped; interrupt routed, unmasked. */
  | { readonly op: 'grant'; readonly resource: ResourceId; readonly vm: VmId }
  /** Reads back who can reach the resource. */
  | { readonly op: 'inspect'; readonly resource: ResourceId };

/** Who a resource can be reached by, as read back. */
export type Reach = VmId | 'blocked' | 'unknown';

/** Answer to one call. The fields beyond `ok` belong to the call named in their comment. */
export type EnforcerAnswer =
  | {
      readonly ok: true;
      /** settle: how many syncs completed. */
      readonly syncs?: number;
      /** drained. */
      readonly idle?: boolean;
      /** inspect. */
      readonly reach?: Reach;
      /** grant: the table entry before and after, at most ENTRY_BYTES_MAX bytes each. */
      readonly before?: Uint8Array;
      readonly after?: Uint8Array;
    }
  | { readonly ok: false; readonly error: string };

/** One refused access, or several alike. */
export interface FaultRecord {
  readonly by: 'cpu' | 'dma';
  /** The VM, where the hardware names it (a stage-2 abort does, a stream does not). */
  readonly vm?: VmId;
  /** The resource of a bundle that was touched, or whose stream made the access. */
  readonly bundle?: BundleId;
  readonly resource?: ResourceId;
  /** Stream ID of a DMA access. */
  readonly stream?: number;
  /** IPA or I/O address in bytes. 0, and a write, where the hardware says neither: see `namesAccess`. */
  readonly address: number;
  readonly write: boolean;
  /** The hardware's own name: `C_BAD_STE`, `F_TRANSLATION`, `stage-2 abort`. */
  readonly event: string;
  readonly count: number;
  /** Records were lost before this one (event queue overflow): attribution is unsure. */
  readonly lost: boolean;
}

/** What the platform tells the coordinator without being asked. */
export type EnforcerEvent =
  /** A VM is about to run its first instruction; it waits for `acknowledgeStart`. */
  | { readonly kind: 'vmStarting'; readonly vm: VmId }
  /** A VM has stopped; nothing of it is freed before `acknowledgeExit`. */
  | { readonly kind: 'vmExited'; readonly vm: VmId }
  /** Fault records wait to be fetched with `faults()`. */
  | { readonly kind: 'faultsPending' }
  /** The enforcer is gone; what became of its VMs is not known. The host ends, and is started again. */
  | { readonly kind: 'lost'; readonly error: string };

/** An enforcer. */
export interface Enforcer {
  describe(): EnforcerDescription;
  /**
   * Changes whenever the machine was rebooted since (all bundles are then parked by hardware reset); stays
   * the same while only the host service restarts.
   */
  machineBoot(): string;
  /** VMs that run now. */
  running(): readonly VmId[];
  /**
   * Carries out `calls` in order, stops at the first that fails, and hands over the answers so far.
   * `done` is called exactly once, possibly before `run` returns.
   */
  run(
    bundle: BundleId,
    calls: readonly EnforcerCall[],
    done: (answers: readonly EnforcerAnswer[]) => void,
  ): void;
  /** Returns and forgets the fault records gathered so far; bounded by the enforcer. */
  faults(): readonly FaultRecord[];
  acknowledgeStart(vm: VmId): void;
  acknowledgeExit(vm: VmId): void;
  /** Sets the one listener for events. */
  onEvent(listener: (event: EnforcerEvent) => void): void;
  /** Lets go of the enforcer. VMs and tables stay as they are. */
  close(): void;
}
