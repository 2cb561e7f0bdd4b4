/**
 * The stage-2 walker that processors and SMMU share, and the TLB each of them has.
 *
 * Walk: VMSAv8-64 stage 2, 4 KiB granule, pages and blocks, by default as edges/enforcer/stage2.ts makes them (sources
 * are there): 39-bit IPA, levels 1 to 3. A TLB entry stays until it is invalidated, or until the machine happens to
 * drop it; faults are not cached, but a page that may not be accessed this way is.
 */

import { joinHalves } from '../../../src/edges/enforcer/bus.ts';
import { IPA_BITS, OAS_BITS, type Stage2Shape } from '../../../src/edges/enforcer/smmuv3-layout.ts';
import { PAGE_BYTES } from '../../../src/edges/enforcer/stage2.ts';
import type { Memory } from './memory.ts';
import type { Random } from './random.ts';

/**
 * Why an access is refused. `translation`: nothing mapped, or an IPA beyond the tables. `access`: AF is 0.
 * `permission`: mapped, not for this access. `addressSize`: a page beyond the output size. `inputSize`: an address
 * that is no IPA at all; a fault of stage 1, though there is none.
 */
export type TranslationFault = 'translation' | 'access' | 'permission' | 'addressSize' | 'inputSize';

/** Result of a translation. */
export type Translation =
  | { readonly ok: true; readonly physical: number }
  | { readonly ok: false; readonly fault: TranslationFault };

/** Tables of `Stage2`, as processors walk them. */
export const PLAIN: Stage2Shape = { inputBits: IPA_BITS, startLevel: 1, outputBits: 48, accessFaults: false };

/** One cached page or block. */
export interface TlbEntry {
  readonly vmid: number;
  /** First page on both sides, and how many pages. */
  readonly ipaPage: number;
  readonly physicalPage: number;
  readonly pages: number;
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
  translate(vmid: number, root: number, ipa: number, write: boolean, shape = PLAIN): Translation {
    // Before the cache is asked: no entry may answer for an address that has no translation.
    const outside = rangeFault(ipa, shape);
    if (outside !== undefined) return { ok: false, fault: outside };
    let entry = this.#find(vmid, ipa);
    // A cache may lose an entry at any time: the fresh walk is the other legal answer.
    while (entry !== undefined && this.#random(8) === 7) {
      this.#drop(keyOf(entry), entry);
      entry = this.#find(vmid, ipa);
    }
    if (entry === undefined) {
      const walked = walk(this.#memory, root, ipa, vmid, shape);
      if (typeof walked === 'string') return { ok: false, fault: walked };
      entry = walked;
      this.#fill(keyOf(entry), entry);
    }
    if (write ? !entry.writable : !entry.readable) return { ok: false, fault: 'permission' };
    return { ok: true, physical: entry.physicalPage * PAGE_BYTES + (ipa % (entry.pages * PAGE_BYTES)) };
  }

  /** Entries that are cached. */
  get size(): number {
    return this.#entries.size;
  }

  /** Comes up with a page mapped onto itself under a VMID: nobody invalidated it after reset. */
  comeUpWith(vmid: number, page: number): void {
    const entry = { vmid, ipaPage: page, physicalPage: page, pages: 1, readable: true, writable: true };
    this.#entries.set(keyOf(entry), entry);
  }

  /** Forgets all entries of a VMID; without an argument, all entries. */
  invalidate(vmid?: number): void {
    for (const [key, entry] of this.#entries) {
      if (vmid === undefined || entry.vmid === vmid) this.#drop(key, entry);
    }
  }

  /** Forgets what translates one page of a VMID. */
  invalidatePage(vmid: number, ipa: number): void {
    for (let entry = this.#find(vmid, ipa); entry !== undefined; entry = this.#find(vmid, ipa)) {
      this.#drop(keyOf(entry), entry);
    }
  }

  /** The entry for `ipa`; of several the largest. */
  #find(vmid: number, ipa: number): TlbEntry | undefined {
    for (const pages of SPANS) {
      const ipaPage = Math.floor(ipa / (pages * PAGE_BYTES)) * pages;
      const entry = this.#entries.get(keyOf({ vmid, ipaPage, pages }));
      if (entry !== undefined) return entry;
    }
    return undefined;
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

/** Pages that a descriptor of level 1, 2 and 3 maps. */
const SPANS = [2 ** 18, 2 ** 9, 1] as const;

/** Walks the tables in memory. Returns the page or block, or the fault. */
export function walk(
  memory: Memory,
  root: number,
  ipa: number,
  vmid: number,
  shape = PLAIN,
): TlbEntry | TranslationFault {
  const outside = rangeFault(ipa, shape);
  if (outside !== undefined) return outside;
  let table = root;
  for (let level = shape.startLevel; level <= 3; level++) {
    const bytes = PAGE_BYTES * 512 ** (3 - level);
    // Start tables that lie side by side are one long table.
    const index = Math.floor(ipa / bytes);
    const address = table + (level === shape.startLevel ? index : index % 512) * 8;
    const low = memory.read32(address);
    const output = joinHalves(low & 0xffff_f000, memory.read32(address + 4) & 0xffff);
    const isTable = (low & 3) === 3 && level < 3;
    if (isTable) {
      table = output;
      continue;
    }
    const isBlock = (low & 3) === 1 && (level === 1 || level === 2);
    if (!isBlock && ((low & 3) !== 3 || level < 3)) return 'translation';
    const start = output - (output % bytes);
    if (start >= 2 ** shape.outputBits) return 'addressSize';
    if (shape.accessFaults && (low & 0x400) === 0) return 'access';
    const pages = bytes / PAGE_BYTES;
    // S2AP 7:6: bit 6 reads, bit 7 writes.
    const [readable, writable] = [(low & 0x40) !== 0, (low & 0x80) !== 0];
    const ipaPage = Math.floor(ipa / bytes) * pages;
    return { vmid, ipaPage, physicalPage: start / PAGE_BYTES, pages, readable, writable };
  }
  return 'translation';
}

/** The fault of an address that is no IPA, or beyond the tables. */
function rangeFault(ipa: number, shape: Stage2Shape): TranslationFault | undefined {
  if (ipa < 0 || ipa >= 2 ** OAS_BITS) return 'inputSize';
  return ipa >= 2 ** shape.inputBits ? 'translation' : undefined;
}

/** One number for a VMID (16 bits), a first IPA page (32 bits) and a span. */
function keyOf({ vmid, ipaPage, pages }: Pick<TlbEntry, 'vmid' | 'ipaPage' | 'pages'>): number {
  return (vmid * 2 ** (OAS_BITS - 12) + ipaPage) * 4 + SPANS.indexOf(pages as (typeof SPANS)[number]);
}
