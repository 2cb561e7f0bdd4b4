/**
 * Looks at every intermediate state of the machine and collects what breaks an invariant of the design.
 *
 * A *path* is one thing by which a VM reaches a resource: a descriptor in its tables, a TLB entry, a stream table
 * entry in memory or cached, a transaction under way, an enabled interrupt, a list register. Paths are counted per
 * resource, bundle and VM as they come and go, so a check costs a few map operations. The checker decodes tables
 * itself from memory; it asks neither the emitters nor the enforcer.
 * What is counted, and judged, is in paths.ts.
 */

import { type BundleDefinition, resourcesOf, streamIdsOf } from '../../../src/core/protocol/bundle.ts';
import { joinHalves } from '../../../src/edges/enforcer/bus.ts';
import { type DecodedEntry, STE_CONFIG } from '../../../src/edges/enforcer/smmuv3-layout.ts';
import { PAGE_BYTES } from '../../../src/edges/enforcer/stage2.ts';
import { EntryWords } from './entry-words.ts';
import type { Memory } from './memory.ts';
import { type Group, Paths, type Watched } from './paths.ts';
import { attributeFault, leafKind } from './rules.ts';
import { RAM_BYTES, type VmInstance } from './vm.ts';
import type { TlbEntry } from './walker.ts';

export type { Violation } from './paths.ts';

interface TablePage {
  readonly vm: VmInstance;
  readonly level: number;
}

export class Checker extends Paths {
  readonly #memory: Memory;
  readonly #pages = new Map<number, Watched>();
  readonly #streams = new Map<number, Watched>();
  readonly #interrupts = new Map<number, Watched>();
  /** Pages that hold stage-2 tables. */
  readonly #tables = new Map<number, TablePage>();
  readonly #roots = new Map<number, VmInstance>();
  readonly #vmids = new Map<number, VmInstance>();
  readonly #processors = new Map<number, VmInstance>();
  /** Watched pages that blocks map, by the address of the descriptor. */
  readonly #blocks = new Map<number, readonly number[]>();
  /** Stream table entries in memory, by address. */
  readonly #entries = new Map<number, number>();
  readonly #words: EntryWords;
  /** Entries of both TLBs, by TLB, VMID and page. */
  readonly #cached = new Map<string, TlbEntry>();
  /** Register pages outside the bundles that a VM may map. */
  readonly #ownPages: ReadonlySet<number>;

  /**
   * Watches all bundles, and `ownStreams` that never change hands (they must not outlive their VM either). `ownPages`:
   * physical addresses of register pages that are in no bundle and may be mapped all the same.
   */
  constructor(
    memory: Memory,
    bundles: readonly BundleDefinition[],
    ownStreams: readonly number[],
    ownPages: readonly number[] = [],
  ) {
    super();
    this.#memory = memory;
    this.#words = new EntryWords(memory);
    this.#ownPages = new Set(ownPages.map((address) => address / PAGE_BYTES));
    for (const bundle of bundles) {
      const group: Group = { name: bundle.id, counts: new Map(), isBundle: true };
      for (const resource of resourcesOf(bundle)) {
        const watched = this.watch(resource.id, group);
        if (resource.kind === 'stream')
          for (const id of streamIdsOf(resource)) this.#streams.set(id, watched);
        if (resource.kind === 'interrupt') this.#interrupts.set(resource.physical, watched);
        if (resource.kind !== 'mmio') continue;
        for (let at = 0; at < resource.bytes; at += PAGE_BYTES) {
          this.#pages.set((resource.physical + at) / PAGE_BYTES, watched);
        }
      }
    }
    for (const stream of ownStreams) {
      const name = `stream 0x${stream.toString(16)}`;
      this.#streams.set(stream, this.watch(name, { name, counts: new Map(), isBundle: false }));
    }
  }

  /** All that a VM had is free for others: memory, VMID, processor. */
  vmEnds(vm: VmInstance): void {
    for (const { name, counts } of this.watched)
      if (counts.has(vm)) this.violate('S1', name, [vm], 'memory freed while in reach of');
    this.#noneCached(vm);
  }

  /** The SMMU begins to translate. What it still has cached then is of whoever used it before. */
  smmuEnabled(configurations: number, translations: number): void {
    if (configurations > 0)
      this.violate('S1', 'SMMU', [], `enabled with ${configurations} configurations from before`);
    if (translations > 0)
      this.violate('S1', 'SMMU', [], `enabled with ${translations} translations from before`);
  }

  /** The SMMU completed the invalidation of a stream's configuration, or of all: it reads the entry as it is now. */
  entrySynced(stream: number | undefined): void {
    for (const [address, known] of this.#entries)
      if (stream === undefined || known === stream) this.#words.synced(address);
  }

  /** Streams under watch. */
  streams(): Iterable<number> {
    return this.#streams.keys();
  }

  /**
   * A VM gets its memory, VMID, processor and tables. Whoever had them before must reach nothing any more by any
   * path: its tables are about to be overwritten, its VMID and memory belong to somebody else (M5).
   */
  vmBegins(vm: VmInstance): void {
    const former = this.#vmids.get(vm.vmid);
    if (former !== undefined) {
      for (const watched of this.watched) {
        if (watched.counts.has(former))
          this.violate('S1', watched.name, [former, vm], 'memory reused while still in reach of');
      }
    }
    this.#noneCached(vm);
    this.#vmids.set(vm.vmid, vm);
    this.#processors.set(vm.processor, vm);
    this.#roots.set(vm.stage2.root, vm);
    for (const [page, table] of this.#tables) if (table.vm === former) this.#tables.delete(page);
    this.#scanTable(vm.stage2.root / PAGE_BYTES, vm, 1);
  }

  /** The VM whose RAM holds a physical address. */
  ramOwner(physical: number): VmInstance | undefined {
    for (const vm of this.#vmids.values()) {
      if (physical >= vm.ramPhysical && physical < vm.ramPhysical + RAM_BYTES) return vm;
    }
    return undefined;
  }

  /** The hypervisor's memory changed at `address`. `fetch` decodes a stream's entry from memory. */
  memoryWritten(address: number, fetch: (stream: number) => DecodedEntry | undefined): void {
    const stream = this.#entries.get(address - (address % 64));
    if (stream !== undefined) {
      const entry = fetch(stream);
      this.#entry(`memory ${stream}`, stream, entry);
      // The SMMU may have read words 1 to 7 before they were written, and word 0 after.
      if (entry?.valid && this.#words.isUnsynced(address - (address % 64)))
        this.violate('S1', this.#nameOf(stream), [], 'entry made valid before its words are synced');
    }
    const table = this.#tables.get(Math.floor(address / PAGE_BYTES));
    if (table !== undefined) this.#descriptor(address, table);
  }

  /** Stream table entries may have moved: looks at all of them anew. */
  streamTableMoved(
    place: (stream: number) => number | undefined,
    fetch: (stream: number) => DecodedEntry | undefined,
  ): void {
    this.#entries.clear();
    for (const stream of this.#streams.keys()) {
      const address = place(stream);
      if (address !== undefined) this.#entries.set(address, stream);
      this.#entry(`memory ${stream}`, stream, address === undefined ? undefined : fetch(stream));
    }
  }

  /** The SMMU cached or, with `undefined`, forgot a configuration. */
  configurationCached(stream: number, entry: DecodedEntry | undefined): void {
    this.#entry(`cache ${stream}`, stream, entry);
  }

  /** A TLB gained or lost an entry. */
  tlbChanged(tlb: 'cpu' | 'smmu', entry: TlbEntry, present: boolean): void {
    const key = `${tlb} TLB ${entry.vmid} ${entry.ipaPage}`;
    if (present) this.#cached.set(key, entry);
    else this.#cached.delete(key);
    const vm = present ? this.#vmids.get(entry.vmid) : undefined;
    for (const page of this.#watchedPages(entry.physicalPage, entry.pages))
      this.path(`${key} ${page}`, this.#pages.get(page), vm);
  }

  /** Who an interrupt can be delivered to changed. */
  interruptReach(interrupt: number, processor: number | undefined): void {
    const watched = this.#interrupts.get(interrupt);
    const vm = processor === undefined ? undefined : this.#processors.get(processor);
    if (watched === undefined) {
      if (processor !== undefined)
        this.violate('S1', `interrupt ${interrupt}`, vm ? [vm] : [], 'of no bundle, and let through to');
      return;
    }
    this.path(`interrupt ${interrupt}`, watched, vm);
  }

  /** A list register of a processor holds `interrupt` now, or nothing. */
  listRegister(processor: number, index: number, interrupt: number | undefined): void {
    const watched = interrupt === undefined ? undefined : this.#interrupts.get(interrupt);
    this.path(`list register ${processor}.${index}`, watched, this.#processors.get(processor));
  }

  /** A transaction was translated under a VMID (undefined: bypass) and will land. */
  transactionUnderWay(id: number, stream: number, vmid: number | undefined): void {
    const vm = vmid === undefined ? undefined : this.#vmids.get(vmid);
    this.path(`transaction ${id}`, this.#streams.get(stream), vm);
  }

  /** A transaction landed. */
  transactionDone(id: number): void {
    this.path(`transaction ${id}`, undefined, undefined);
  }

  /** DMA that `programmer` set up went to or came from the RAM of `owner` (undefined: not RAM). */
  dmaLanded(stream: number, programmer: VmInstance, owner: VmInstance | undefined, write: boolean): void {
    if (owner === undefined || owner === programmer) return;
    this.violate(
      'S6',
      this.#nameOf(stream),
      [programmer, owner],
      `armed DMA ${write ? 'wrote' : 'read'} memory of`,
    );
  }

  /** A processor's access of `vm` arrived at a physical address. */
  processorAccess(vm: VmInstance, physical: number): void {
    const owner = this.ramOwner(physical);
    if (owner !== undefined && owner !== vm)
      this.violate('S1', 'memory', [vm, owner], 'a processor reached memory of');
  }

  /** A VM read what a VM left in a device. */
  residualStateRead(device: string, what: string, producer: VmInstance | null, reader: VmInstance): void {
    if (producer === null || producer === reader) return;
    this.violate('S6', device, [producer, reader], `${what} left by the first was read by`);
  }

  #nameOf(stream: number): string {
    return this.#streams.get(stream)?.name ?? `stream 0x${stream.toString(16)}`;
  }

  /** A VMID that is given out anew is cached nowhere. */
  #noneCached(vm: VmInstance): void {
    for (const [key, { vmid }] of this.#cached)
      if (vmid === vm.vmid) this.violate('S1', 'memory', [vm], `${key}: cached under the VMID of`);
  }

  #entry(key: string, stream: number, entry: DecodedEntry | undefined): void {
    const watched = this.#streams.get(stream);
    const isOpen = entry?.valid === true && entry.config !== STE_CONFIG.abort;
    if (isOpen && entry.config !== STE_CONFIG.stage2) {
      this.violate('S1', this.#nameOf(stream), [], `${key}: passes without stage 2`);
    }
    const isTranslated = isOpen && entry.config === STE_CONFIG.stage2;
    if (isTranslated && (!entry.records || entry.stalls))
      this.violate('mapping', this.#nameOf(stream), [], `${key}: faults leave no record, or stall`);
    if (isTranslated && !(this.#roots.has(entry.root) && this.#vmids.has(entry.vmid)))
      this.violate('S1', this.#nameOf(stream), [], `${key}: tables or VMID of nobody`);
    // Both the tables it walks and the TLB tag it hits count: they may differ in a torn entry.
    this.path(`entry ${key} root`, watched, isTranslated ? this.#roots.get(entry.root) : undefined);
    this.path(`entry ${key} VMID`, watched, isTranslated ? this.#vmids.get(entry.vmid) : undefined);
  }

  #scanTable(page: number, vm: VmInstance, level: number): void {
    this.#tables.set(page, { vm, level });
    for (let index = 0; index < 512; index++) this.#descriptor(page * PAGE_BYTES + index * 8, { vm, level });
  }

  #descriptor(address: number, { vm, level }: TablePage): void {
    const at = address - (address % 8);
    const low = this.#memory.read32(at);
    const high = this.#memory.read32(at + 4);
    const kind = leafKind(low, level);
    const page = joinHalves(low & 0xffff_f000, high & 0xffff) / PAGE_BYTES;
    if (level < 3) this.#block(at, kind === 'block' ? { page, pages: 512 ** (3 - level) } : undefined, vm);
    // Larger than any resource is checked for: whatever lies in it, no bundle has it alone.
    if (kind === 'block') this.violate('S1', 'memory', [vm], `a block of level ${level} is mapped for`);
    if (kind !== 'next') {
      if (level === 3) this.path(at, undefined, undefined);
      return;
    }
    if (level < 3) {
      if (this.#tables.get(page)?.vm !== vm) this.#scanTable(page, vm, level + 1);
      return;
    }
    this.path(at, this.#pages.get(page), vm);
    this.#page(page, low, high, vm);
  }

  /** A descriptor of level 1 or 2 maps a block, or none: a path to all that it covers. */
  #block(
    at: number,
    block: { readonly page: number; readonly pages: number } | undefined,
    vm: VmInstance,
  ): void {
    for (const page of this.#blocks.get(at) ?? []) this.path(`block at ${at} ${page}`, undefined, undefined);
    this.#blocks.delete(at);
    if (block === undefined) return;
    const pages = this.#watchedPages(block.page - (block.page % block.pages), block.pages);
    this.#blocks.set(at, pages);
    for (const page of pages) this.path(`block at ${at} ${page}`, this.#pages.get(page), vm);
  }

  /** Which of the `count` pages from `first` are under watch. */
  #watchedPages(first: number, count: number): readonly number[] {
    if (count === 1) return this.#pages.has(first) ? [first] : [];
    return [...this.#pages.keys()].filter((page) => page >= first && page < first + count);
  }

  /** A page is mapped: it is of a bundle, the VM's own, or its engine's, and mapped as what it is. */
  #page(page: number, low: number, high: number, vm: VmInstance): void {
    const watched = this.#pages.get(page);
    const address = page * PAGE_BYTES;
    const isDevice = watched !== undefined || this.#ownPages.has(page);
    const isRam = address >= vm.ramPhysical && address < vm.ramPhysical + RAM_BYTES;
    const name = watched?.name ?? `page 0x${address.toString(16)}`;
    if (!isDevice && !isRam) this.violate('S1', name, [vm], 'of no bundle and not its own, and mapped for');
    const fault = isDevice || isRam ? attributeFault(low, high, isDevice ? 'device' : 'memory') : undefined;
    if (fault !== undefined) this.violate('mapping', name, [vm], `${fault}, mapped for`);
  }
}
