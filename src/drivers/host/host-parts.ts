/** What the host is given, what it keeps of a bundle, and what it tells who looks. Types only. */

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
import type { HostTable } from './table.ts';

/** What a host is made of. */
export interface HostParts {
  readonly bundles: readonly BundleDefinition[];
  readonly enforcer: Enforcer;
  readonly link: Link;
  readonly clock: Clock;
  readonly log: Log;
  readonly entropy: Entropy;
  /** 16 random bytes of this start of the service. */
  readonly bootId: Uint8Array;
  /** Where what outlives a power cut is kept. */
  readonly bounds: DurableRecord;
  /** The table; undefined when it is missing or broken: all bundles start in quarantine. */
  readonly table: HostTable | undefined;
  /** A table is written here when the old one was lost. */
  readonly freshTable: () => HostTable;
  /** Appends whole lines to the audit log. Throws when it cannot; then none of them is there. */
  readonly audit: (lines: string) => void;
  /** Hash of the last line of the audit log. */
  readonly auditHash: string | undefined;
  /** Ends the process, so that its supervisor starts it again: there is nothing that this run can still do. */
  readonly end?: (reason: string) => void;
  readonly times?: Partial<HostTimes>;
  /** Lend bundles that only their driver can clean. */
  readonly acceptDriverResidualState?: boolean;
  /** The table of a bundle; a negative control puts another one here. */
  readonly protocol?: typeof HOST_TABLE;
}

export interface HostEvents {
  /** Look at `view`: made for who looks, since most changes have no spectator. */
  changed: (bundle: BundleId) => void;
  fault: (bundle: BundleId, attributed: Attributed, count: number) => void;
  vm: (vm: VmId, running: boolean, incarnation: number) => void;
  /** A phase of a remap ended. */
  phase: (bundle: BundleId, phase: RemapPhase, epoch: number, ms: number, ok: boolean) => void;
}

/** What people see of a bundle at the host; nothing depends on it. */
export interface Entry {
  readonly config: HostConfig;
  readonly faultReports: FaultReports;
  /** When the phase under way began. */
  startedMs: number;
  phases: Record<string, number>;
  /** Why a phase of the last remap failed. */
  failure: string | undefined;
  faults: number;
  reason: string;
  readonly events: string[];
}
