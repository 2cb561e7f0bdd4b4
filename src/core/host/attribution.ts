/**
 * Who did it: books a refused access on a VM, by resource and epoch log.
 *
 * Pure. What is unsure is left unattributed and never punished. The reaction, where there is one, is against the
 * offender, never against another VM's minimum hold time.
 */

import type { FaultRecord } from '../../ports/enforcer.ts';
import type { Epoch, VmId } from '../protocol/ids.ts';
import type { HostInput, HostState, VmIncarnation } from './host-state.ts';

/** A fault with its name. */
export interface Attributed {
  readonly fault: FaultRecord;
  /** Epoch under which it is booked. */
  readonly epoch: Epoch;
  /** Absent: unattributed. */
  readonly offender?: VmIncarnation | undefined;
}

/**
 * Returns who made the access `fault`, seen while the bundle was in `state`. The caller fetches faults before a
 * grant, so what is seen while the bundle moves belongs to its old holder.
 */
export function attribute(state: HostState, fault: FaultRecord): Attributed {
  const { holder, attempt } = state;
  // While an attempt runs, lastEpoch still names the epoch of the holder that is being left.
  const epoch = holder?.epoch ?? state.lastEpoch;
  const runsAs = (vm: VmIncarnation['vm']): VmIncarnation | undefined => {
    const incarnation = state.running[vm];
    return incarnation === undefined ? undefined : { vm, incarnation };
  };
  // A stage-2 abort names the VM; an event of a stream that is not of the bundle names its static owner.
  if (fault.vm !== undefined) return { fault, epoch, offender: runsAs(fault.vm) };
  if (fault.lost) return { fault, epoch };
  if (holder) return { fault, epoch, offender: { vm: holder.vm, incarnation: holder.incarnation } };
  if (attempt?.from && attempt.phase !== 'grant') return { fault, epoch, offender: attempt.from };
  return { fault, epoch };
}

/**
 * The VM behind an input: who sent it, whose incarnation it is about, or who is on the way to hold the bundle or holds
 * it.
 */
export function causeOf({ attempt, holder }: HostState, input: HostInput): VmId | undefined {
  if ('from' in input) return input.from;
  if ('vm' in input) return input.vm;
  return input.on === 'lift' || input.on === 'start' ? undefined : (attempt?.to?.vm ?? holder?.vm);
}
