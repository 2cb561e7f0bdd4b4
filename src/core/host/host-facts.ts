/** Inputs (facts) and outputs (orders) of the host's endpoint (host-endpoint.ts). Types only. */

import type { EnforcerAnswer, EnforcerCall, EnforcerDescription, FaultRecord } from '../../ports/enforcer.ts';
import type { BundleDefinition } from '../protocol/bundle.ts';
import type { BundleId, Epoch, Incarnation, VmId } from '../protocol/ids.ts';
import type { ConsentClaims } from '../protocol/message-parts.ts';
import type { Message } from '../protocol/messages.ts';
import type { HostTimes } from '../protocol/timers.ts';
import type { Attributed } from './attribution.ts';
import type { Bounds } from './bounds.ts';
import type { HandoverRecord } from './handover-record.ts';
import type { HostState, RemapPhase } from './host-state.ts';
import type { HOST_TABLE } from './host-table.ts';
import type { RegistryRecord } from './vm-registry.ts';

/** Configuration of an endpoint. Constant while the service runs. */
export interface HostSetup {
  readonly bundles: readonly BundleDefinition[];
  readonly enforcer: EnforcerDescription;
  /** 16 random bytes of this start of the service. */
  readonly bootId: Uint8Array;
  readonly times?: Partial<HostTimes> | undefined;
  /** Whether bundles that only their driver can clean may be lent. */
  readonly acceptDriverResidualState?: boolean | undefined;
  /** Table of the bundles; a negative control substitutes another one. */
  readonly table?: typeof HOST_TABLE | undefined;
}

/** What the driver found when the service started. */
export interface HostFound {
  /** The durable bounds; undefined: none, or unreadable. */
  readonly bounds: Bounds | undefined;
  /** The last records of an earlier run; undefined: none, or unreadable. */
  readonly records: HostRecords | undefined;
  /** This table was never used: it may start empty. */
  readonly isFirst: boolean;
  /** Identity of the machine's present boot, and the running VMs. */
  readonly machineBoot: string;
  readonly running: readonly VmId[];
  /** 8 random bytes as hex: the id of a table that is created now. */
  readonly freshTableId: string;
  /** The last epochs with a handover record, by bundle; absent: none is known. */
  readonly recorded?: ReadonlyMap<BundleId, readonly number[]> | undefined;
}

/** The last records of a table. */
export interface HostRecords {
  readonly bundles: ReadonlyMap<BundleId, HostState>;
  readonly registry: RegistryRecord | undefined;
}

/** Facts. `nowMs` is the host's monotonic clock. */
export type HostFact = { readonly nowMs: number } & (
  | { readonly on: 'start'; readonly found: HostFound }
  /** An authenticated message. `claims`: of the consent in a `prepare`, if the consent verified. */
  | {
      readonly on: 'message';
      readonly from: VmId;
      readonly message: Message;
      readonly claims?: ConsentClaims | undefined;
    }
  | { readonly on: 'sessionUp'; readonly peer: VmId }
  | {
      readonly on: 'timer';
      readonly bundle: BundleId | undefined;
      readonly timer: string;
      readonly lateMs: number;
    }
  | {
      readonly on: 'answers';
      readonly bundle: BundleId;
      readonly phase: RemapPhase;
      readonly epoch: Epoch;
      readonly to: VmId | undefined;
      readonly answers: readonly EnforcerAnswer[];
      /** The fetched faults. */
      readonly faults: readonly FaultRecord[];
    }
  | { readonly on: 'faults'; readonly faults: readonly FaultRecord[] }
  | { readonly on: 'vmStarting' | 'vmExited'; readonly vm: VmId }
  /** The enforcer is gone; the state of its VMs is unknown. */
  | { readonly on: 'enforcerLost'; readonly error: string }
  | { readonly on: 'lift'; readonly bundle: BundleId }
  /** The answer to `record`; `bundle` undefined: to `recordVms`. */
  | {
      readonly on: 'recorded';
      readonly bundle: BundleId | undefined;
      readonly fault?: string | undefined;
    }
  /** The answer to `writeBounds`. */
  | { readonly on: 'boundsWritten'; readonly bounds: Bounds; readonly fault?: string | undefined }
);

/** Orders, to be carried out in this sequence. */
export type HostOrder =
  | { readonly do: 'send'; readonly to: VmId; readonly message: Message }
  /** Record the state of a bundle, so that it outlives this process. Answered by `recorded`. */
  | {
      readonly do: 'record';
      readonly bundle: BundleId;
      readonly state: HostState;
      readonly isDurable: boolean;
    }
  | { readonly do: 'recordVms'; readonly registry: RegistryRecord }
  /** Make bounds durable in the background. Answered by `boundsWritten`. */
  | { readonly do: 'writeBounds'; readonly bounds: Bounds }
  /** Give these calls to the enforcer. Answered by `answers`. */
  | {
      readonly do: 'enforce';
      readonly bundle: BundleId;
      readonly phase: RemapPhase;
      readonly epoch: Epoch;
      readonly to: VmId | undefined;
      readonly calls: readonly EnforcerCall[];
      /** Fetch refused accesses afterwards: those that are pending then belong to the old holder. */
      readonly fetchesFaults: boolean;
    }
  /** Fetch the refused accesses that the enforcer recorded. Answered by `faults`. */
  | { readonly do: 'fetchFaults' }
  | { readonly do: 'acknowledgeStart' | 'acknowledgeExit'; readonly vm: VmId }
  /** Drop the session with a VM that has ended. */
  | { readonly do: 'forget'; readonly vm: VmId }
  | {
      readonly do: 'timer';
      readonly bundle: BundleId | undefined;
      readonly timer: string;
      readonly ms: number;
    }
  | { readonly do: 'stopTimer'; readonly bundle: BundleId | undefined; readonly timer: string }
  | HostNews
  /** The start is complete: listen to the enforcer and to the agents. */
  | { readonly do: 'serve' }
  /** End the process: this run cannot continue. */
  | { readonly do: 'end'; readonly reason: string };

/** Events for people. No decision depends on them. */
export type HostNews =
  | {
      readonly do: 'audit';
      readonly bundle: BundleId;
      readonly event: string;
      readonly detail?: string | undefined;
      readonly epoch: Epoch;
      readonly holder: VmId | undefined;
      /** The VM that caused it; undefined: the machine or an operator. */
      readonly cause: VmId | undefined;
    }
  /** An attempt to move a bundle has ended. `boot`: of the machine. `cause`: as of `audit`. */
  | {
      readonly do: 'handover';
      readonly record: HandoverRecord;
      readonly boot: string;
      readonly cause: VmId | undefined;
    }
  | { readonly do: 'fault'; readonly bundle: BundleId; readonly attributed: Attributed }
  | { readonly do: 'strayFault'; readonly fault: FaultRecord }
  | { readonly do: 'vm'; readonly vm: VmId; readonly isRunning: boolean; readonly incarnation: Incarnation }
  | {
      readonly do: 'phase';
      readonly bundle: BundleId;
      readonly phase: RemapPhase;
      readonly epoch: Epoch;
      readonly error?: string | undefined;
    }
  | {
      readonly do: 'step';
      readonly bundle: BundleId;
      readonly on: string;
      readonly before: string;
      readonly after: string;
      readonly rows: readonly string[];
      readonly ignored?: string | undefined;
    }
  | { readonly do: 'drop'; readonly from: VmId; readonly kind: string; readonly why: string };
