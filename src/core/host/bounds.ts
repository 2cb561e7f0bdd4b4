/**
 * The only state of the host that must survive a power cut: upper bounds of the epochs and incarnations that may have
 * been allocated, the table's id, and the identity of the machine's boot. Pure.
 *
 * A power cut ends all VMs, so everything is parked after it. No epoch or incarnation may be allocated twice, though.
 * Bounds are reserved in blocks, so that no handover waits for a disk.
 *
 * What is on disk when, and what each survives:
 * - bounds: durable before anything is allocated from them; survive a power cut;
 * - the record of a bundle (table-record.ts): written before the enforcer's first call of a move, and after its last;
 *   survives the host's process. Where VMs outlive the host's kernel, the first of the two is durable (vmsOutliveHost);
 * - the record of the VMs: written before a VM runs its first instruction, and before its exit is acted on;
 * - an agent's journal: what it is about to attempt, written before the hook; says nothing about who holds;
 * - audit lines: written in idle time, for people.
 */

import { UINT32_MAX } from '../protocol/ids.ts';
import { asciiBytes, asciiText } from '../wire/bytes.ts';

/** Epochs, or incarnations, per block. */
export const BLOCK = 1_024;
/** The next block is reserved when this many are left. */
export const EPOCHS_LEFT_MIN = BLOCK / 2;
export const INCARNATIONS_LEFT_MIN = BLOCK / 2;

export interface Bounds {
  /** 8 bytes as hex, drawn when the table is created. Epochs compare only within one table. */
  readonly tableId: string;
  readonly machineBoot: string;
  /** No epoch above it was allocated, for any bundle. */
  readonly epochs: number;
  /** No incarnation above it was allocated, for any VM. */
  readonly incarnations: number;
}

/** Returns bounds one block above the allocated values. */
export function boundsAt(tableId: string, machineBoot: string, epoch: number, incarnation: number): Bounds {
  const above = (value: number) => Math.min(value + BLOCK, UINT32_MAX);
  return { tableId, machineBoot, epochs: above(epoch), incarnations: above(incarnation) };
}

/** Returns the record of the bounds. */
export function encodeBounds(bounds: Bounds): Uint8Array {
  return asciiBytes(JSON.stringify(bounds));
}

const TABLE_ID = /^[0-9a-f]{16}$/;

/** Reads a record; undefined when it is invalid. */
export function decodeBounds(record: Uint8Array): Bounds | undefined {
  try {
    const { tableId, machineBoot, epochs, incarnations } = JSON.parse(asciiText(record)) as Partial<Bounds>;
    const isCount = (value: unknown): value is number =>
      Number.isInteger(value) && (value as number) >= 0 && (value as number) <= UINT32_MAX;
    if (typeof tableId !== 'string' || !TABLE_ID.test(tableId) || typeof machineBoot !== 'string')
      return undefined;
    return isCount(epochs) && isCount(incarnations)
      ? { tableId, machineBoot, epochs, incarnations }
      : undefined;
  } catch {
    return undefined;
  }
}
