/**
 * The stage-2 walker that processors and SMMU share, and the TLB each of them has.
 *
 * Walk: VMSAv8-64 stage 2, 4 KiB granule, 39-bit IPA, levels 1 to 3 (see enforcer/stage2.ts for the sources). A
 * TLB entry stays until it is invalidated, or until the machine happens to drop it; faults are not cached.
 */

import { joinHalves } from '../../enforcer/bus.ts';
import { IPA_BITS } from '../../enforcer/smmuv3-layout.ts';
import { PAGE_BYTES, tableIndex } from '../../enforcer/stage2.ts';
import type { Memory } from './memory.ts';
import type { Random } from './random.ts';

/** Result of a translation. `translation`: nothing mapped. `permission`: mapped, not for this access. */
export type Translation =
  | { readonly ok: true; readonly physical: number }
  | { readonly ok: false; readonly fault: 'translation' | 'permission' | 'addressSize' };

/** One cached page. */
export interface TlbEntry {
  readonly vmid: number;
  readonly ipaPage: number;
  readonly physicalPage: number;
  readonly readable: boolean;
  readonly writable: boolean;
}

/** Told when entries come and go. */
export interface TlbObserver {
  filled(entry: TlbEntry): void;
  dropped(entry: TlbEntry): void;
}

/** Entries of a TLB; the oldest leaves when one more is needed. */
export const TLB_ENTRIES = 128;

export class Tlb {
  readonly #entries = new Map<number, TlbEntry>();
  readonly #memory: Memory;
  readonly #random: Random;
  readonly #observer: TlbObserver;

  constructor(memory: Memory, random: Random, observer: TlbObserver) {
    this.#memory = memory;
    this.#random = random;
    this.#observer = observer;
  }

  /** Translates one access, from the cache where possible, else by a walk from `root`. */
  translate(vmid: number, root: number, ipa: number, write: boolean): Translation {
    const ipaPage = Math.floor(ipa / PAGE_BYTES);
    const key = keyOf(vmid, ipaPage);
    let entry = this.#entries.get(key);
    // A cache may lose an entry at any time: the fresh walk is the other legal answer.
    if (entry !== undefined && this.#random(8) === 7) {
      this.#drop(key, entry);
      entry = undefined;
    }
    if (entry === undefined) {
      const walked = walk(this.#memory, root, ipa, vmid);
      if (typeof walked === 'string') return { ok: false, fault: walked };
      entry = walked;
      this.#fill(key, entry);
    }
    if (write ? !entry.writable : !entry.readable) return { ok: false, fault: 'permission' };
    return { ok: true, physical: entry.physicalPage * PAGE_BYTES + (ipa % PAGE_BYTES) };
  }

  /** Entries that are cached. */
  get size(): number {
    return this.#entries.size;
  }

  /** Comes up with a page mapped onto itself under a VMID: nobody invalidated it after reset. */
  comeUpWith(vmid: number, page: number): void {
    const entry = { vmid, ipaPage: page, physicalPage: page, readable: true, writable: true };
    this.#entries.set(keyOf(vmid, page), entry);
  }

  /** Forgets all entries of a VMID; without an argument, all entries. */
  invalidate(vmid?: number): void {
    for (const [key, entry] of this.#entries) {
      if (vmid === undefined || entry.vmid === vmid) this.#drop(key, entry);
    }
  }

  /** Forgets one page of a VMID. */
  invalidatePage(vmid: number, ipa: number): void {
    const key = keyOf(vmid, Math.floor(ipa / PAGE_BYTES));
    const entry = this.#entries.get(key);
    if (entry !== undefined) this.#drop(key, entry);
  }

  #fill(key: number, entry: TlbEntry): void {
    if (this.#entries.size >= TLB_ENTRIES) {
      const [oldest, victim] = this.#entries.entries().next().value!;
      this.#drop(oldest, victim);
    }
    this.#entries.set(key, entry);
    this.#observer.filled(entry);
  }

  #drop(key: number, entry: TlbEntry): void {
    this.#entries.delete(key);
    this.#observer.dropped(entry);
  }
}

/** Walks the tables in memory. Returns the page, or the fault. */
export function walk(
  memory: Memory,
  root: number,
  ipa: number,
  vmid: number,
): TlbEntry | 'translation' | 'addressSize' {
  if (ipa < 0 || ipa >= 2 ** IPA_BITS) return 'addressSize';
  let table = root;
  for (let level = 1; level <= 3; level++) {
    const address = table + tableIndex(ipa, level) * 8;
    const low = memory.read32(address);
    if ((low & 3) !== 3) return 'translation';
    const output = joinHalves(low & 0xffff_f000, memory.read32(address + 4) & 0xffff);
    if (level < 3) {
      table = output;
      continue;
    }
    // S2AP 7:6: bit 6 reads, bit 7 writes.
    const readable = (low & 0x40) !== 0;
    const writable = (low & 0x80) !== 0;
    const ipaPage = Math.floor(ipa / PAGE_BYTES);
    return { vmid, ipaPage, physicalPage: output / PAGE_BYTES, readable, writable };
  }
  return 'translation';
}

/** One number for a VMID (16 bits) and an IPA page (27 bits). */
function keyOf(vmid: number, ipaPage: number): number {
  return vmid * 2 ** (IPA_BITS - 12) + ipaPage;
}
