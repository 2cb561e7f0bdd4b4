/**
 * One incarnation of a VM in the simulated machine, and the only way its drivers reach anything: the VmContext.
 *
 * A context does what a virtual CPU does: loads and stores through stage 2, interrupts, end of interrupt. There is
 * no other door, and no way for a driver to report its own fault: the machine sees the refused access.
 */

import type { VmId } from '../../../src/core/protocol/ids.ts';
import type { HostedVm } from '../../../src/edges/enforcer/tables.ts';

/** IPA at which every VM sees its RAM. The same for all, so that a forgotten DMA address means something to each. */
export const RAM_IPA = 0x4000_0000;
/** RAM of a VM: 64 pages, enough for rings, a framebuffer and a neighbourhood to corrupt. */
export const RAM_BYTES = 64 * 4096;
/** What a read gives that stage 2 refuses in the fault style `absent`. */
export const ALL_ONES = 0xffff_ffff;

/** How a VM's access that stage 2 refuses ends: reads all ones and drops writes, or an abort. */
export type FaultStyle = 'absent' | 'abort';

/** What a VM's access gives. `stopped`: the VM does not run. */
export type AccessResult =
  | { readonly ok: true; readonly value: number }
  | { readonly ok: false; readonly error: 'abort' | 'stopped' };

/** A driver's view of its VM: 32-bit accesses at IPAs, interrupts by virtual number. */
export interface VmContext {
  readonly vm: VmId;
  mmioRead(ipa: number): AccessResult;
  mmioWrite(ipa: number, value: number): AccessResult;
  ramRead(ipa: number): AccessResult;
  ramWrite(ipa: number, value: number): AccessResult;
  /** Sets the one handler of virtual interrupts; `null` removes it and leaves them pending. */
  onInterrupt(handler: ((virtual: number) => void) | null): void;
  /** Ends a virtual interrupt that the handler was given. */
  endOfInterrupt(virtual: number): void;
}

/** One incarnation of a VM. A restart makes a new instance, perhaps with the same memory, VMID and processor. */
export interface VmInstance extends HostedVm {
  /** Counts incarnations on this machine, from 1. */
  readonly serial: number;
  /** Physical address of its RAM. */
  readonly ramPhysical: number;
  state: 'starting' | 'running' | 'exited' | 'ended';
}

/** Name of an instance for people: `vault#3`. */
export function nameOf(instance: VmInstance): string {
  return `${instance.vm}#${instance.serial}`;
}
