/**
 * Writes the stage-2 translation tables of one VM: 4 KiB granule, three levels, one set of tables that
 * processors and SMMU share.
 *
 * Descriptor layout: Arm VMSAv8-64 stage 2, as in torvalds/linux arch/arm64/include/asm/kvm_pgtable.h and, for
 * the SMMU side, drivers/iommu/io-pgtable-arm.c. Clearing a descriptor is not enough: the caller invalidates the
 * TLBs of processors and SMMU before anything else may use the page.
 */

import { HardwareError, highHalf, joinHalves, type MachineBus } from './bus.ts';
import { IPA_BITS } from './smmuv3-layout.ts';

/** Bytes a page holds; the stage-2 granule. */
export const PAGE_BYTES = 4096;
/** Bytes of one table: 512 descriptors of 8 bytes. */
const TABLE_BYTES = 4096;
const INDEX_BITS = 9;
const ENTRIES = 1 << INDEX_BITS;

/** A descriptor that points to a table (levels 1 and 2) or a page (level 3). */
const DESCRIPTOR_VALID = 3;
const AF = 1 << 10;
const SH_INNER = 3 << 8;
const S2AP_READ_WRITE = 3 << 6;
/** MemAttr 5:2: normal memory, write-back inside and outside. */
const MEMORY_NORMAL = 0xf << 2;
/** MemAttr 5:2: device memory, nGnRE. */
const MEMORY_DEVICE = 0x1 << 2;
/** XN 54:53 = 2, in the upper half: no exception level executes from the page. */
const EXECUTE_NEVER_HIGH = 1 << 22;
/** Physical address of a next table or a page, bits 47:12. */
const ADDRESS_LOW = 0xffff_f000;
const ADDRESS_HIGH = 0xffff;

/** What a page is: RAM, or registers of a device. */
export type PageKind = 'memory' | 'device';

/** Hands out zeroed 4 KiB pages for tables. */
export interface TablePool {
  /** Physical address of a zeroed page. Throws a HardwareError when none is left. */
  allocate(): number;
}

export class Stage2 {
  /** Physical address of the start table: the VTTBR of processors and the S2TTB of stream table entries. */
  readonly root: number;
  readonly #bus: MachineBus;
  readonly #pool: TablePool;

  constructor(bus: MachineBus, pool: TablePool) {
    this.#bus = bus;
    this.#pool = pool;
    this.root = pool.allocate();
  }

  /** Maps `bytes` from `ipa` to `physical`, read and write. Addresses and length are multiples of a page. */
  map(ipa: number, physical: number, bytes: number, kind: PageKind): void {
    checkRange(ipa, bytes);
    for (let at = 0; at < bytes; at += PAGE_BYTES) {
      const address = this.#descriptor(ipa + at, true)!;
      const [low, high] = pageDescriptor(physical + at, kind);
      this.#bus.write64(address, low, high);
    }
  }

  /** Makes the tables that `map` of this range will need, so that a grant neither takes long nor runs out of them. */
  reserve(ipa: number, bytes: number): void {
    checkRange(ipa, bytes);
    for (let at = 0; at < bytes; at += PAGE_BYTES) this.#descriptor(ipa + at, true);
  }

  /**
   * Unmaps those of the `bytes` from `ipa` that lead to the same offset from `physical`; returns how many pages
   * that were. TLBs may keep them until they are invalidated.
   */
  unmap(ipa: number, physical: number, bytes: number): number {
    let pages = 0;
    this.#visit(ipa, physical, bytes, (address) => {
      this.#bus.write64(address, 0, 0);
      pages++;
    });
    return pages;
  }

  /** How many pages of the `bytes` from `ipa` lead to the same offset from `physical`. */
  countMapped(ipa: number, physical: number, bytes: number): number {
    let pages = 0;
    this.#visit(ipa, physical, bytes, () => {
      pages++;
    });
    return pages;
  }

  /** Physical address to which the tables in memory translate `ipa`, or undefined. */
  lookup(ipa: number): number | undefined {
    const address = this.#descriptor(ipa, false);
    if (address === undefined) return undefined;
    const low = this.#bus.read32(address);
    if ((low & 1) === 0) return undefined;
    return joinHalves(low & ADDRESS_LOW, this.#bus.read32(address + 4) & ADDRESS_HIGH) + (ipa % PAGE_BYTES);
  }

  /** The eight bytes of the page descriptor for `ipa`; zeros when there is none. */
  readDescriptor(ipa: number): Uint8Array {
    const address = this.#descriptor(ipa, false);
    const halves = new Uint32Array(2);
    if (address !== undefined) {
      halves[0] = this.#bus.read32(address);
      halves[1] = this.#bus.read32(address + 4);
    }
    return new Uint8Array(halves.buffer);
  }

  /** Calls `found` with each valid descriptor of the range that leads to `physical`. One walk per table. */
  #visit(ipa: number, physical: number, bytes: number, found: (address: number) => void): void {
    checkRange(ipa, bytes);
    let address: number | undefined;
    for (let at = 0; at < bytes; at += PAGE_BYTES) {
      const isNewTable = at === 0 || tableIndex(ipa + at, 3) === 0;
      if (isNewTable) address = this.#descriptor(ipa + at, false);
      else if (address !== undefined) address += 8;
      if (address === undefined) continue;
      const low = this.#bus.read32(address);
      if ((low & 1) === 0) continue;
      const page = joinHalves(low & ADDRESS_LOW, this.#bus.read32(address + 4) & ADDRESS_HIGH);
      if (page === physical + at) found(address);
    }
  }

  /** Address of the level 3 descriptor for `ipa`; with `create`, tables on the way are made. */
  #descriptor(ipa: number, create: boolean): number | undefined {
    let table = this.root;
    for (let level = 1; level < 3; level++) {
      const address = table + tableIndex(ipa, level) * 8;
      const low = this.#bus.read32(address);
      if ((low & DESCRIPTOR_VALID) === DESCRIPTOR_VALID) {
        table = joinHalves(low & ADDRESS_LOW, this.#bus.read32(address + 4) & ADDRESS_HIGH);
      } else if (create) {
        table = this.#pool.allocate();
        this.#bus.write64(address, (table | DESCRIPTOR_VALID) >>> 0, highHalf(table));
      } else {
        return undefined;
      }
    }
    return table + tableIndex(ipa, 3) * 8;
  }
}

/** A pool over one range of physical memory, with as many pages as `bytes` holds. */
export function tablePool(bus: MachineBus, start: number, bytes: number): TablePool {
  let next = start;
  return {
    allocate() {
      if (next + TABLE_BYTES > start + bytes) throw new HardwareError('no memory left for stage-2 tables');
      const page = next;
      next += TABLE_BYTES;
      for (let at = 0; at < TABLE_BYTES; at += 8) bus.write64(page + at, 0, 0);
      return page;
    },
  };
}

/** A level 3 descriptor as [low, high]. */
export function pageDescriptor(physical: number, kind: PageKind): readonly [number, number] {
  const attributes = AF | S2AP_READ_WRITE | DESCRIPTOR_VALID;
  const low = kind === 'memory' ? attributes | SH_INNER | MEMORY_NORMAL : attributes | MEMORY_DEVICE;
  const high = highHalf(physical) | (kind === 'memory' ? 0 : EXECUTE_NEVER_HIGH);
  return [((physical & ADDRESS_LOW) | low) >>> 0, high];
}

/** Index into the table of `level` (1 to 3) for `ipa`: 9 bits each, level 3 from bit 12. */
export function tableIndex(ipa: number, level: number): number {
  return Math.floor(ipa / 2 ** (12 + INDEX_BITS * (3 - level))) % ENTRIES;
}

function checkRange(ipa: number, bytes: number): void {
  if (ipa % PAGE_BYTES !== 0 || bytes % PAGE_BYTES !== 0 || ipa < 0 || ipa + bytes > 2 ** IPA_BITS) {
    throw new RangeError(`0x${ipa.toString(16)} + ${bytes} bytes: expected whole pages below 2^${IPA_BITS}`);
  }
}
