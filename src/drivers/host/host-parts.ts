/** What the hypervisor service is given, what it keeps of a bundle, and what it tells who looks. Types only. */

import type { Attributed } from '../../core/host/attribution.ts';
import type { FaultDesk } from '../../core/host/fault-desk.ts';
import type { HostConfig, HostEffect, HostInput, HostState, RemapPhase } from '../../core/host/host-state.ts';
import type { HOST_TABLE } from '../../core/host/host-table.ts';
import type { PhaseRuns, Tally } from '../../core/host/remap.ts';
import type { BundleDefinition } from '../../core/protocol/bundle.ts';
import type { BundleId, VmId } from '../../core/protocol/ids.ts';
import type { HostTimes } from '../../core/protocol/timers.ts';
import type { Enforcer } from '../../ports/enforcer.ts';
import type { Clock, Log } from '../../ports/world.ts';
import type { Link } from '../link/link.ts';
import type { Runner } from '../runner.ts';
import type { HostTable } from './table.ts';

/** What a host is made of. */
export interface HostParts {
  readonly bundles: readonly BundleDefinition[];
  readonly enforcer: Enforcer;
  readonly link: Link;
  readonly clock: Clock;
  readonly log: Log;
  /** 16 random bytes of this start of the service. */
  readonly bootId: Uint8Array;
  /** The table; undefined when it is missing or broken: all bundles start in quarantine. */
  readonly table: HostTable | undefined;
  /** A table is written here when the old one was lost. */
  readonly freshTable: () => HostTable;
  /** Appends whole lines to the audit log. Throws when it cannot; then none of them is there. */
  readonly audit: (lines: string) => void;
  /** Hash of the last line of the audit log. */
  readonly auditHash: string | undefined;
  /** Ends the process, so that its supervisor starts it again: there is nothing that this life can still do. */
  readonly end?: (reason: string) => void;
  readonly times?: Partial<HostTimes>;
  /** Lend bundles that only their driver can clean. */
  readonly acceptDriverResidue?: boolean;
  /** The hypervisor table; a lie puts another one here. */
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

/** A bundle at the host. */
export interface Entry {
  readonly definition: BundleDefinition;
  readonly config: HostConfig;
  runner: Runner<HostState, HostInput, HostConfig, HostEffect>;
  readonly desk: FaultDesk;
  tally: Tally;
  readonly runs: PhaseRuns;
  /** The `prepare` that is being dealt with: its record must be durable, or it is undone. */
  preparing: Extract<HostInput, { on: 'prepare' }> | undefined;
  /** The VM behind the last step; undefined: the machine or an operator. */
  cause: VmId | undefined;
  phases: Record<string, number>;
  /** Why a phase of the last remap failed. */
  failure: string | undefined;
  faults: number;
  reason: string;
  readonly events: string[];
}
