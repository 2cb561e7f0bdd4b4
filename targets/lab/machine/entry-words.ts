/**
 * Words 1 to 7 of stream table entries, as the SMMU was last made to read them.
 *
 * Between two invalidations the SMMU may read each word of an entry at another moment (IHI 0070, 3.21.3): an entry
 * that becomes valid while another word of it is newer than the last CMD_SYNC can be seen half old, half new.
 */

import { STE_BYTES } from '../../../src/edges/enforcer/smmuv3-layout.ts';
import type { Memory } from './memory.ts';

/** Halves of an entry below word 1: word 0 decides, the others must be there before. */
const FIRST_HALF = 2;

export class EntryWords {
  readonly #memory: Memory;
  /** By the entry's address. */
  readonly #synced = new Map<number, readonly number[]>();

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** The SMMU reads the entry at `address` as it is now. */
  synced(address: number): void {
    this.#synced.set(address, this.#read(address));
  }

  /** Whether words 1 to 7 differ from what the SMMU may still have read. */
  isUnsynced(address: number): boolean {
    const before = this.#synced.get(address);
    return this.#read(address).some((half, index) => half !== (before?.[index] ?? 0));
  }

  #read(address: number): readonly number[] {
    const halves: number[] = [];
    for (let half = FIRST_HALF; half < STE_BYTES / 4; half++)
      halves.push(this.#memory.read32(address + half * 4));
    return halves;
  }
}
