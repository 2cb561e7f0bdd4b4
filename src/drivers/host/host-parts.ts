/** Parameters, entries and events of the host service. Types only. */

import type { Attributed } from '../../core/host/attribution.ts';
import type { HostConfig, RemapPhase } from '../../core/host/host-state.ts';
import type { HOST_TABLE } from '../../core/host/host-table.ts';
import type { BundleDefinition } from '../../core/protocol/bundle.ts';
import type { BundleId, VmId } from '../../core/protocol/ids.ts';
import type { HostTimes } from '../../core/protocol/timers.ts';
import type { Enforcer } from '../../ports/enforcer.ts';
import type { Clock, DurableRecord, Entropy, Log } from '../../ports/world.ts';
import type { Link } from '../link/link.ts';
import type { FaultReports } from './fault-reports.ts';
import type { RecordFile } from './record-writer.ts';
import type { HostTable } from './table.ts';

/** Parameters of a host. */
export interface HostParts {
  readonly bundles: readonly BundleDefinition[];
  readonly enforcer: Enforcer;
  readonly link: Link;
  readonly clock: Clock;
  readonly log: Log;
  readonly entropy: Entropy;
  /** 16 random bytes of this start of the service. */
  readonly bootId: Uint8Array;
  /** Storage of the durable bounds. */
  readonly bounds: DurableRecord;
  /** The table; undefined when it is missing or broken: all bundles start in quarantine. */
  readonly table: HostTable | undefined;
  /** Path for a new table when the old one was lost. */
  readonly freshTable: () => HostTable;
  /** Appends whole lines to the audit log. Throws on failure; then none of them was written. */
  readonly audit: (lines: string) => void;
  /** Hash of the last line of the audit log. */
  readonly auditHash: string | undefined;
  /** The handover records; absent: none are kept. `recorded`: the last epochs with a record, by bundle. */
  readonly records?: RecordFile & { readonly recorded?: ReadonlyMap<BundleId, readonly number[]> };
  /** Ends the process, so that its supervisor restarts it: this run cannot continue. */
  readonly end?: (reason: string) => void;
  readonly times?: Partial<HostTimes>;
  /** Whether bundles that only their driver can clean may be lent. */
  readonly acceptDriverResidualState?: boolean;
  /** Table of the bundles; a negative control substitutes another one. */
  readonly protocol?: typeof HOST_TABLE;
}

export interface HostEvents {
  /** Something in `view` has changed. Listeners make the view themselves, since most changes have no listener. */
  changed: (bundle: BundleId) => void;
  fault: (bundle: BundleId, attributed: Attributed, count: number) => void;
  vm: (vm: VmId, running: boolean, incarnation: number) => void;
  /** A phase of a remap ended. */
  phase: (bundle: BundleId, phase: RemapPhase, epoch: number, ms: number, ok: boolean) => void;
}

/** A bundle as users see it at the host. No decision depends on it. */
export interface Entry {
  readonly config: HostConfig;
  readonly faultReports: FaultReports;
  /** When the present phase began. */
  startedMs: number;
  phases: Record<string, number>;
  /** Error of a failed phase of the last remap. */
  failure: string | undefined;
  faults: number;
  reason: string;
  readonly events: string[];
}
