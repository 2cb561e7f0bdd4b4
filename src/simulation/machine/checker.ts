/**
 * Looks at every intermediate state of the machine and collects what breaks an invariant of the design.
 *
 * A *path* is one thing by which a VM reaches a resource: a descriptor in its tables, a TLB entry, a stream table
 * entry in memory or cached, a transaction under way, an enabled interrupt, a list register. Paths are counted per
 * resource, bundle and VM as they come and go, so a check costs a few map operations. The checker decodes tables
 * itself from memory; it asks neither the emitters nor the enforcer.
 */

import { joinHalves } from '../../enforcer/bus.ts';
import { type DecodedEntry, STE_CONFIG } from '../../enforcer/smmuv3-layout.ts';
import { PAGE_BYTES } from '../../enforcer/stage2.ts';
import { type BundleDefinition, resourcesOf, streamIdsOf } from '../../protocol/bundle.ts';
import type { Memory } from './memory.ts';
import { nameOf, RAM_BYTES, type VmInstance } from './vm.ts';
import type { TlbEntry } from './walker.ts';

/** A broken invariant. `resource` names what was reached, `vms` who is involved, `step` counts bus accesses. */
export interface Violation {
  readonly invariant: 'S1' | 'S3' | 'S6';
  readonly text: string;
  readonly resource: string;
  readonly vms: readonly string[];
  readonly step: number;
}

/** Distinct violations kept: one is enough to fail, a few help to understand. */
export const VIOLATIONS_MAX = 100;

/** One resource under watch. */
interface Watched {
  readonly name: string;
  readonly bundle: Group;
  readonly counts: Map<VmInstance, number>;
}

/** The resources that must always have one holder in common. */
interface Group {
  readonly name: string;
  readonly counts: Map<VmInstance, number>;
}

interface TablePage {
  readonly vm: VmInstance;
  readonly level: number;
}

export class Checker {
  readonly violations: Violation[] = [];
  /** Bus accesses so far. */
  step = 0;
  readonly #memory: Memory;
  readonly #seen = new Set<string>();
  readonly #pages = new Map<number, Watched>();
  readonly #streams = new Map<number, Watched>();
  readonly #interrupts = new Map<number, Watched>();
  readonly #watched: Watched[] = [];
  /** What each path leads to; a descriptor in memory is named by its address. */
  readonly #paths = new Map<string | number, { readonly to: Watched; readonly vm: VmInstance }>();
  /** Pages that hold stage-2 tables. */
  readonly #tables = new Map<number, TablePage>();
  readonly #roots = new Map<number, VmInstance>();
  readonly #vmids = new Map<number, VmInstance>();
  readonly #processors = new Map<number, VmInstance>();
  /** Watched pages that blocks map, by the address of the descriptor. */
  readonly #blocks = new Map<number, readonly number[]>();
  /** Stream table entries in memory, by address. */
  readonly #entries = new Map<number, number>();

  /** Watches all bundles, and `ownStreams` that never change hands (they must not outlive their VM either). */
  constructor(memory: Memory, bundles: readonly BundleDefinition[], ownStreams: readonly number[]) {
    this.#memory = memory;
    for (const bundle of bundles) {
      const group: Group = { name: bundle.id, counts: new Map() };
      for (const resource of resourcesOf(bundle)) {
        const watched = this.#watch(resource.id, group);
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
      this.#streams.set(stream, this.#watch(name, { name, counts: new Map() }));
    }
  }

  /** Lives that reach anything of a bundle by any path, as `nameOf` has them. */
  holders(bundle: string): readonly string[] {
    const group = this.#watched.find((watched) => watched.bundle.name === bundle)?.bundle;
    return group === undefined ? [] : [...group.counts.keys()].map(nameOf);
  }

  /** Resources of bundles that the life of `vm` which runs, or has just ended, reaches by any path. */
  reachedBy(vm: string): readonly string[] {
    const reached = this.#watched.filter(({ counts }) => [...counts.keys()].some((life) => life.vm === vm));
    return reached.map(({ name }) => name);
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
      for (const watched of this.#watched) {
        if (watched.counts.has(former))
          this.#violate('S1', watched.name, [former, vm], 'memory reused while still in reach of');
      }
    }
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
    if (stream !== undefined) this.#entry(`memory ${stream}`, stream, fetch(stream));
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
    const vm = present ? this.#vmids.get(entry.vmid) : undefined;
    for (const page of this.#watchedPages(entry.physicalPage, entry.pages)) {
      this.#path(`${tlb} TLB ${entry.vmid} ${entry.ipaPage} ${page}`, this.#pages.get(page), vm);
    }
  }

  /** Who an interrupt can be delivered to changed. */
  interruptReach(interrupt: number, processor: number | undefined): void {
    const watched = this.#interrupts.get(interrupt);
    if (watched === undefined) return;
    const vm = processor === undefined ? undefined : this.#processors.get(processor);
    this.#path(`interrupt ${interrupt}`, watched, vm);
  }

  /** A list register of a processor holds `interrupt` now, or nothing. */
  listRegister(processor: number, index: number, interrupt: number | undefined): void {
    const watched = interrupt === undefined ? undefined : this.#interrupts.get(interrupt);
    this.#path(`list register ${processor}.${index}`, watched, this.#processors.get(processor));
  }

  /** A transaction was translated under a VMID (undefined: bypass) and will land. */
  transactionUnderWay(id: number, stream: number, vmid: number | undefined): void {
    const vm = vmid === undefined ? undefined : this.#vmids.get(vmid);
    this.#path(`transaction ${id}`, this.#streams.get(stream), vm);
  }

  /** A transaction landed. */
  transactionDone(id: number): void {
    this.#path(`transaction ${id}`, undefined, undefined);
  }

  /** DMA that `programmer` set up went to or came from the RAM of `owner` (undefined: not RAM). */
  dmaLanded(stream: number, programmer: VmInstance, owner: VmInstance | undefined, write: boolean): void {
    if (owner === undefined || owner === programmer) return;
    const name = this.#streams.get(stream)?.name ?? `stream 0x${stream.toString(16)}`;
    this.#violate('S6', name, [programmer, owner], `armed DMA ${write ? 'wrote' : 'read'} memory of`);
  }

  /** A processor's access of `vm` arrived at a physical address. */
  processorAccess(vm: VmInstance, physical: number): void {
    const owner = this.ramOwner(physical);
    if (owner !== undefined && owner !== vm)
      this.#violate('S1', 'memory', [vm, owner], 'a processor reached memory of');
  }

  /** A VM read what a VM left in a device. */
  residueRead(device: string, what: string, producer: VmInstance | null, reader: VmInstance): void {
    if (producer === null || producer === reader) return;
    this.#violate('S6', device, [producer, reader], `${what} left by the first was read by`);
  }

  #watch(name: string, bundle: Group): Watched {
    const watched: Watched = { name, bundle, counts: new Map() };
    this.#watched.push(watched);
    return watched;
  }

  #entry(key: string, stream: number, entry: DecodedEntry | undefined): void {
    const watched = this.#streams.get(stream);
    const isOpen = entry?.valid === true && entry.config !== STE_CONFIG.abort;
    if (isOpen && entry.config !== STE_CONFIG.stage2) {
      this.#violate('S1', watched?.name ?? `stream ${stream}`, [], `${key}: passes without stage 2`);
    }
    const isTranslated = isOpen && entry.config === STE_CONFIG.stage2;
    // Both the tables it walks and the TLB tag it hits count: they may differ in a torn entry.
    this.#path(`entry ${key} root`, watched, isTranslated ? this.#roots.get(entry.root) : undefined);
    this.#path(`entry ${key} VMID`, watched, isTranslated ? this.#vmids.get(entry.vmid) : undefined);
  }

  #scanTable(page: number, vm: VmInstance, level: number): void {
    this.#tables.set(page, { vm, level });
    for (let index = 0; index < 512; index++) this.#descriptor(page * PAGE_BYTES + index * 8, { vm, level });
  }

  #descriptor(address: number, { vm, level }: TablePage): void {
    const at = address - (address % 8);
    const low = this.#memory.read32(at);
    const page = joinHalves(low & 0xffff_f000, this.#memory.read32(at + 4) & 0xffff) / PAGE_BYTES;
    if (level < 3) this.#block(at, (low & 3) === 1 ? { page, pages: 512 ** (3 - level) } : undefined, vm);
    const isValid = (low & 3) === 3;
    if (!isValid) {
      if (level === 3) this.#path(at, undefined, undefined);
      return;
    }
    if (level === 3) this.#path(at, this.#pages.get(page), vm);
    else if (this.#tables.get(page)?.vm !== vm) this.#scanTable(page, vm, level + 1);
  }

  /** A descriptor of level 1 or 2 maps a block, or none. No emitter of ours writes one: it is a path all the same. */
  #block(
    at: number,
    block: { readonly page: number; readonly pages: number } | undefined,
    vm: VmInstance,
  ): void {
    for (const page of this.#blocks.get(at) ?? []) this.#path(`block at ${at} ${page}`, undefined, undefined);
    this.#blocks.delete(at);
    if (block === undefined) return;
    const pages = this.#watchedPages(block.page - (block.page % block.pages), block.pages);
    this.#blocks.set(at, pages);
    for (const page of pages) this.#path(`block at ${at} ${page}`, this.#pages.get(page), vm);
  }

  /** Which of the `count` pages from `first` are under watch. */
  #watchedPages(first: number, count: number): readonly number[] {
    if (count === 1) return this.#pages.has(first) ? [first] : [];
    return [...this.#pages.keys()].filter((page) => page >= first && page < first + count);
  }

  /** A path now leads to `to` for `vm`, or nowhere. */
  #path(key: string | number, to: Watched | undefined, vm: VmInstance | undefined): void {
    const old = this.#paths.get(key);
    if (old !== undefined && old.to === to && old.vm === vm) return;
    if (old !== undefined) {
      this.#paths.delete(key);
      decrement(old.to.counts, old.vm);
      decrement(old.to.bundle.counts, old.vm);
    }
    if (to === undefined || vm === undefined) return;
    this.#paths.set(key, { to, vm });
    increment(to.counts, vm);
    increment(to.bundle.counts, vm);
    if (to.bundle.counts.size > 1) this.#sharedBundle(key, to, vm);
  }

  /** Somebody else reaches part of the bundle: the same resource breaks S1, another one S3. */
  #sharedBundle(key: string | number, to: Watched, vm: VmInstance): void {
    const what = typeof key === 'string' ? key : `descriptor at 0x${key.toString(16)}`;
    for (const other of to.bundle.counts.keys()) {
      if (other === vm) continue;
      if (to.counts.has(other)) this.#violate('S1', to.name, [other, vm], `${what}: reached by two`);
      else
        this.#violate(
          'S3',
          to.name,
          [other, vm],
          `${what}: new holder before the old one is blocked in ${to.bundle.name}`,
        );
    }
  }

  #violate(
    invariant: Violation['invariant'],
    resource: string,
    vms: readonly VmInstance[],
    what: string,
  ): void {
    const names = vms.map(nameOf);
    const text = `${resource}: ${what} ${names.join(', ')}`;
    const key = `${invariant} ${text}`;
    if (this.#seen.has(key) || this.violations.length >= VIOLATIONS_MAX) return;
    this.#seen.add(key);
    this.violations.push({ invariant, text, resource, vms: names, step: this.step });
  }
}

function increment(counts: Map<VmInstance, number>, vm: VmInstance): void {
  counts.set(vm, (counts.get(vm) ?? 0) + 1);
}

function decrement(counts: Map<VmInstance, number>, vm: VmInstance): void {
  const count = counts.get(vm)! - 1;
  if (count === 0) counts.delete(vm);
  else counts.set(vm, count);
}
