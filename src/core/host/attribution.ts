/**
 * Attributes a refused access to a VM, by resource and event log.
 *
 * Pure. An uncertain fault stays unattributed and has no consequences. A reaction affects the offender only, never
 * another VM's minimum hold time.
 */

import type { FaultRecord } from '../../ports/enforcer.ts';
import type { Epoch, VmId } from '../protocol/ids.ts';
import type { HostInput, HostState, VmIncarnation } from './host-state.ts';

/** A fault and the VM that caused it. */
export interface Attributed {
  readonly fault: FaultRecord;
  /** Epoch to which the fault belongs. */
  readonly epoch: Epoch;
  /** Absent: unattributed. */
  readonly offender?: VmIncarnation | undefined;
}

/**
 * Returns which VM made the access `fault`, recorded while the bundle was in `state`. The caller fetches faults
 * before a grant, so a fault during a move belongs to the old holder.
 */
export function attribute(state: HostState, fault: FaultRecord): Attributed {
  const { holder, attempt } = state;
  // While an attempt runs, lastEpoch is still the old holder's epoch.
  const epoch = holder?.epoch ?? state.lastEpoch;
  const runsAs = (vm: VmIncarnation['vm']): VmIncarnation | undefined => {
    const incarnation = state.running[vm];
    return incarnation === undefined ? undefined : { vm, incarnation };
  };
  // A stage-2 abort names the VM. An event of a stream outside the bundle names the stream's fixed owner.
  if (fault.vm !== undefined) return { fault, epoch, offender: runsAs(fault.vm) };
  if (fault.lost) return { fault, epoch };
  if (holder) return { fault, epoch, offender: { vm: holder.vm, incarnation: holder.incarnation } };
  if (attempt?.from && attempt.phase !== 'grant') return { fault, epoch, offender: attempt.from };
  return { fault, epoch };
}

/**
 * Returns the VM behind an input: its sender, the VM whose incarnation it concerns, the next holder, or the holder.
 */
export function causeOf({ attempt, holder }: HostState, input: HostInput): VmId | undefined {
  if ('from' in input) return input.from;
  if ('vm' in input) return input.vm;
  return input.on === 'lift' || input.on === 'start' ? undefined : (attempt?.to?.vm ?? holder?.vm);
}
