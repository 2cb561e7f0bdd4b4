/** What goes into the host's endpoint (host-endpoint.ts) and what comes out of it: facts and orders. Types only. */

import type { EnforcerAnswer, EnforcerCall, EnforcerDescription, FaultRecord } from '../../ports/enforcer.ts';
import type { BundleDefinition } from '../protocol/bundle.ts';
import type { BundleId, Epoch, Incarnation, VmId } from '../protocol/ids.ts';
import type { ConsentClaims } from '../protocol/message-parts.ts';
import type { Message } from '../protocol/messages.ts';
import type { HostTimes } from '../protocol/timers.ts';
import type { Attributed } from './attribution.ts';
import type { Bounds } from './bounds.ts';
import type { HostState, RemapPhase } from './host-state.ts';
import type { HOST_TABLE } from './host-table.ts';
import type { RegistryRecord } from './vm-registry.ts';

/** What an endpoint is made for. Constant while the service runs. */
export interface HostSetup {
  readonly bundles: readonly BundleDefinition[];
  readonly enforcer: EnforcerDescription;
  /** 16 random bytes of this start of the service. */
  readonly bootId: Uint8Array;
  readonly times?: Partial<HostTimes> | undefined;
  /** Lend bundles that only their driver can clean. */
  readonly acceptDriverResidualState?: boolean | undefined;
  /** The table of a bundle; a negative control puts another one here. */
  readonly table?: typeof HOST_TABLE | undefined;
}

/** What the driver found when the service started. */
export interface HostFound {
  /** What is durable; undefined: nothing that can be used. */
  readonly bounds: Bounds | undefined;
  /** The last records of an earlier run; undefined: none that can be used. */
  readonly records: HostRecords | undefined;
  /** Nobody ever used this table: it may begin empty. */
  readonly isFirst: boolean;
  /** Identity of the machine's present boot, and the VMs that run. */
  readonly machineBoot: string;
  readonly running: readonly VmId[];
  /** 8 random bytes, as hex: the id of a table that has to begin. */
  readonly freshTableId: string;
}

/** The records of a table, as they were last written. */
export interface HostRecords {
  readonly bundles: ReadonlyMap<BundleId, HostState>;
  readonly registry: RegistryRecord | undefined;
}

/** Facts. `nowMs` is the host's monotonic clock. */
export type HostFact = { readonly nowMs: number } & (
  | { readonly on: 'start'; readonly found: HostFound }
  /** A message that verified. `claims`: of the consent in a `prepare`, if they verified, too. */
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
      /** What the order asked to be fetched. */
      readonly faults: readonly FaultRecord[];
    }
  | { readonly on: 'faults'; readonly faults: readonly FaultRecord[] }
  | { readonly on: 'vmStarting' | 'vmExited'; readonly vm: VmId }
  /** The enforcer is gone; what became of its VMs is not known. */
  | { readonly on: 'enforcerLost'; readonly error: string }
  | { readonly on: 'lift'; readonly bundle: BundleId }
  /** The answer to `record`; `bundle` undefined: to that of the VMs. */
  | {
      readonly on: 'recorded';
      readonly bundle: BundleId | undefined;
      readonly fault?: string | undefined;
    }
  /** The answer to `writeBounds`. */
  | { readonly on: 'boundsWritten'; readonly bounds: Bounds; readonly fault?: string | undefined }
);

/** Effects, to be carried out in their order. */
export type HostOrder =
  | { readonly do: 'send'; readonly to: VmId; readonly message: Message }
  /** Write the state of a bundle, so that it outlives this process; `recorded` answers. */
  | {
      readonly do: 'record';
      readonly bundle: BundleId;
      readonly state: HostState;
      readonly isDurable: boolean;
    }
  | { readonly do: 'recordVms'; readonly registry: RegistryRecord }
  /** Make bounds durable, off the way of everything else; `boundsWritten` answers. */
  | { readonly do: 'writeBounds'; readonly bounds: Bounds }
  /** Have the enforcer do this; `answers` brings what it said. */
  | {
      readonly do: 'enforce';
      readonly bundle: BundleId;
      readonly phase: RemapPhase;
      readonly epoch: Epoch;
      readonly to: VmId | undefined;
      readonly calls: readonly EnforcerCall[];
      /** Fetch refused accesses when it is done: what waits then is the old holder's. */
      readonly fetchesFaults: boolean;
    }
  /** Fetch what the enforcer reported of refused accesses; `faults` brings it. */
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
  /** Everything that was found is dealt with: listen to the enforcer and to the agents. */
  | { readonly do: 'serve' }
  /** End the process: there is nothing that this run can still do. */
  | { readonly do: 'end'; readonly reason: string };

/** What people are told; nothing depends on it. */
export type HostNews =
  | {
      readonly do: 'audit';
      readonly bundle: BundleId;
      readonly event: string;
      readonly detail?: string | undefined;
      readonly epoch: Epoch;
      readonly holder: VmId | undefined;
      /** The VM behind it; undefined: the machine or an operator. */
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
