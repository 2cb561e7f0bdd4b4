/**
 * The Enforcer port: switches stage 2, SMMU and interrupts. Safety depends on it alone.
 *
 * Every operation is idempotent. An enforcer declares what it can do and prove; the host promises no more. Types
 * only. Enforcers and their conformance suite are in edges/enforcer.
 */

import type { EvidenceLevel } from '../core/protocol/codes.ts';
import type { BundleId, DeviceId, ResourceId, VmId } from '../core/protocol/ids.ts';

/** Description and capabilities of an enforcer. */
export interface EnforcerDescription {
  /** Name of the enforcer, for people: `simulated`, `kvm`, `command`, `none`. */
  readonly name: string;
  /** `central`: the host calls it. `party`: the guests' own kernels make the calls. */
  readonly kind: 'central' | 'party';
  readonly evidence: EvidenceLevel;
  readonly capabilities: {
    /** Takes a bundle from a live borrower. Without it a hung borrower's bundle returns at VM exit. */
    readonly forceRevoke: boolean;
    /** Resets devices and can check that they are idle. */
    readonly reset: boolean;
    /** Reports refused accesses. */
    readonly faultReport: boolean;
    /** VMs run on when the kernel under the host service ends: its record of a move must then survive that. */
    readonly vmsOutliveHost?: boolean;
  };
}

/** One order to the enforcer. */
export type EnforcerCall =
  /**
   * Blocks every path to the resource: an interrupt is masked, a stream gets an invalid entry that records accesses,
   * registers are unmapped in every table that maps them. Need not be effective before `settle`.
   */
  | { readonly op: 'fence'; readonly resource: ResourceId }
  /**
   * Waits until everything fenced is out of reach: configuration sync, CPU and SMMU TLB invalidation of every VMID
   * whose tables changed, also for other DMA masters of the old holder. Drains the fault queue.
   */
  | { readonly op: 'settle' }
  /** Resets a device so that no declared residual state remains, and clears its interrupts, active then pending. */
  | { readonly op: 'reset'; readonly device: DeviceId }
  /** Checks whether a device is idle: no DMA under way, no interrupt pending or active. */
  | { readonly op: 'drained'; readonly device: DeviceId }
  /** Makes the resource reachable for the VM: entry from scratch, synced; page mapped; interrupt routed, unmasked. */
  | { readonly op: 'grant'; readonly resource: ResourceId; readonly vm: VmId }
  /** Reads back who can reach the resource. */
  | { readonly op: 'inspect'; readonly resource: ResourceId };

/** Who can reach a resource, as read back. */
export type Reach = VmId | 'blocked' | 'unknown';

/** Answer to one call. Further fields belong to the call named in their comment. */
export type EnforcerAnswer =
  | {
      readonly ok: true;
      /** Of settle: number of completed syncs. */
      readonly syncs?: number;
      /** Of drained. */
      readonly idle?: boolean;
      /** Of inspect. */
      readonly reach?: Reach;
      /** Of grant: the table entry before and after, at most ENTRY_BYTES_MAX bytes each. */
      readonly before?: Uint8Array;
      readonly after?: Uint8Array;
    }
  | { readonly ok: false; readonly error: string };

/** One refused access, or several equal ones. */
export interface FaultRecord {
  readonly by: 'cpu' | 'dma';
  /** The VM, if the hardware names it (a stage-2 abort does, a stream event does not). */
  readonly vm?: VmId;
  /** The resource of a bundle that was accessed, or whose stream made the access. */
  readonly bundle?: BundleId;
  readonly resource?: ResourceId;
  /** Stream ID of a DMA access. */
  readonly stream?: number;
  /** IPA or I/O address in bytes. 0, and a write, if the hardware reports neither: see `namesAccess`. */
  readonly address: number;
  readonly write: boolean;
  /** The hardware's own name: `C_BAD_STE`, `F_TRANSLATION`, `stage-2 abort`. */
  readonly event: string;
  readonly count: number;
  /** Records were lost before this one (event queue overflow): attribution is uncertain. */
  readonly lost: boolean;
}

/** Events of the platform. */
export type EnforcerEvent =
  /** A VM is about to run its first instruction; it waits for `acknowledgeStart`. */
  | { readonly kind: 'vmStarting'; readonly vm: VmId }
  /** A VM has stopped; none of its memory is freed before `acknowledgeExit`. */
  | { readonly kind: 'vmExited'; readonly vm: VmId }
  /** Fault records wait to be fetched with `faults()`. */
  | { readonly kind: 'faultsPending' }
  /** The enforcer is gone; the state of its VMs is unknown. The host ends and is restarted. */
  | { readonly kind: 'lost'; readonly error: string };

/** An enforcer. */
export interface Enforcer {
  describe(): EnforcerDescription;
  /**
   * Changes with every reboot of the machine (which resets all devices, so all bundles are parked); stays the same
   * while only the host service restarts.
   */
  machineBoot(): string;
  /** Running VMs. */
  running(): readonly VmId[];
  /**
   * Carries out `calls` in order, stops at the first failure, and passes on the answers so far. Calls `done` exactly
   * once, possibly before `run` returns.
   */
  run(
    bundle: BundleId,
    calls: readonly EnforcerCall[],
    done: (answers: readonly EnforcerAnswer[]) => void,
  ): void;
  /** Returns and clears the recorded faults; the enforcer limits their number. */
  faults(): readonly FaultRecord[];
  acknowledgeStart(vm: VmId): void;
  acknowledgeExit(vm: VmId): void;
  /** Sets the one listener for events. */
  onEvent(listener: (event: EnforcerEvent) => void): void;
  /** Detaches from the enforcer. VMs and tables stay as they are. */
  close(): void;
}
