/**
 * The SMMUv3 of the simulated machine as software sees it: registers, stream table, queues, caches, errors.
 *
 * Layouts come from edges/enforcer/smmuv3-layout.ts. Timing is adversarial: a command acts at any time between its
 * being fetched and the following CMD_SYNC, caches keep what they may keep, and also invalid entries. After a
 * CMD_SYNC every transaction that was translated with the old state is complete (`onSync`).
 */

import { highHalf, joinHalves } from '../../../src/edges/enforcer/bus.ts';
import {
  COMMAND_BYTES,
  CR0_BITS,
  CR0_CMDQEN,
  CR0_EVTQEN,
  CR0_SMMUEN,
  CR2_RECINVSID,
  type DecodedEntry,
  decodeEntry,
  EVENT_BYTES,
  EVENT_NAMES,
  EVTQ_OVERFLOW,
  GBPA_ABORT,
  GBPA_UPDATE,
  GERROR_CMDQ,
  IDR5_OAS,
  OPCODE,
  REGISTER,
  STE_BYTES,
  STE_CONFIG,
  STE_HALVES,
  STRTAB_FORMAT_TWO_LEVEL,
} from '../../../src/edges/enforcer/smmuv3-layout.ts';
import type { Memory } from './memory.ts';
import type { Random } from './random.ts';
import { PLAIN, type Tlb } from './walker.ts';

/** Bytes of the two register pages. */
export const SMMU_BYTES = 0x2_0000;
/**
 * IDR0: stage 2 alone (bit 0), AArch64 tables (3:2 = 2), coherent (4), 16-bit VMIDs (18), little-endian (22:21 = 2), no
 * stalls (25:24 = 1), two-level tables (28:27 = 1).
 */
const IDR0 = 1 | (2 << 2) | (1 << 4) | (1 << 18) | (2 << 21) | (1 << 24) | (1 << 27);
/** Stream ID bits. */
const SID_BITS = 16;
/** IDR1: 16 stream ID bits (5:0), 2^19 events (20:16) and commands (25:21). */
const IDR1 = SID_BITS | (19 << 16) | (19 << 21);
/** IDR5: output size (2:0), 4 KiB granule (4). */
const IDR5 = IDR5_OAS | (1 << 4);
/** SSec, bit 10 of a command: streams and translations of the secure world. ILLEGAL in a queue of the other. */
const COMMAND_SSEC = 1 << 10;
/** CLASS of a fault record, 41:40 of word 1: the address of the transaction itself (IN). */
const CLASS_IN = 2 << 8;
/** RnW and S2 of a fault record, 35 and 39 of word 1. */
const RECORD_READ = 1 << 3;
const RECORD_STAGE2 = 1 << 7;

/** Told about what happens inside. */
export interface SmmuObserver {
  /** A configuration was cached; `undefined` entry: the stream is beyond the table. */
  cached(stream: number, entry: DecodedEntry | undefined): void;
  forgotten(stream: number): void;
  /** Translation is switched on, with so many configurations and translations cached. */
  enabled(configurations: number, translations: number): void;
  /** A CFGI for a stream, or for all, is complete: the entry is read anew, whole. */
  entrySynced(stream: number | undefined): void;
  /** The place of stream table entries may have changed. */
  tableMoved(): void;
  /** A CMD_SYNC is about to complete. */
  onSync(): void;
  /** A record was written, or dropped because the queue is full. */
  onEvent(): void;
}

/** What a transaction gets: an address, or nothing. */
export type SmmuTranslation =
  | { readonly ok: true; readonly physical: number; readonly vmid: number | undefined }
  | { readonly ok: false };

export class Smmu {
  readonly #memory: Memory;
  readonly #tlb: Tlb;
  readonly #random: Random;
  readonly #observer: SmmuObserver;
  readonly #registers = new Map<number, number>();
  readonly #configurations = new Map<number, DecodedEntry | undefined>();
  /** Invalidations that were fetched and did not act yet. */
  #pending: (() => void)[] = [];
  /** Streams whose configuration is being invalidated; undefined: all. */
  readonly #invalidated = new Set<number | undefined>();
  /** Opcode of the command that is to be refused. */
  #failing: number | undefined;

  constructor(memory: Memory, tlb: Tlb, random: Random, observer: SmmuObserver) {
    this.#memory = memory;
    this.#tlb = tlb;
    this.#random = random;
    this.#observer = observer;
    this.#registers.set(REGISTER.IDR0, IDR0);
    this.#registers.set(REGISTER.IDR1, IDR1);
    this.#registers.set(REGISTER.IDR5, IDR5);
    this.#registers.set(REGISTER.GBPA, GBPA_ABORT);
  }

  /** Refuses the next command of this opcode as illegal. */
  failNext(opcode: number): void {
    this.#failing = opcode;
  }

  /**
   * Caches as they may be after a reset: each stream has a configuration of VMID 1, and each of the physical `pages`
   * is translated for it.
   */
  comeUpStale(streams: Iterable<number>, pages: Iterable<number>): void {
    for (const stream of streams) {
      const entry = {
        valid: true,
        config: STE_CONFIG.stage2,
        vmid: 1,
        root: 0,
        records: true,
        stalls: false,
        shape: PLAIN,
      };
      this.#configurations.set(stream, entry);
    }
    for (const page of pages) this.#tlb.comeUpWith(1, page);
  }

  /** Reads a register by its offset in bytes. */
  read(offset: number): number {
    return this.#registers.get(offset) ?? 0;
  }

  /** Writes a register by its offset in bytes. Read-only ones ignore it. */
  write(offset: number, value: number): void {
    if (READ_ONLY.has(offset)) return;
    if (offset === REGISTER.GBPA) {
      // Without Update the write is ignored: the one behaviour that SMMUv3.2 permits.
      if ((value & GBPA_UPDATE) === 0) return;
      value &= ~GBPA_UPDATE;
    }
    const isOn = (this.read(REGISTER.CR0) & CR0_SMMUEN) !== 0;
    this.#registers.set(offset, value >>> 0);
    if (offset === REGISTER.CR0 && !isOn && (value & CR0_SMMUEN) !== 0)
      this.#observer.enabled(this.#configurations.size, this.#tlb.size);
    if (offset === REGISTER.CR0) this.#registers.set(REGISTER.CR0ACK, value & CR0_BITS);
    if (TABLE_REGISTERS.has(offset)) this.#observer.tableMoved();
    if (offset === REGISTER.CMDQ_PROD) this.#consume(this.#random(this.#queued() + 1));
  }

  /** Gives the SMMU time: at least one waiting command is consumed. */
  step(): void {
    if (this.#queued() > 0) this.#consume(1 + this.#random(4));
  }

  /** Physical address of a stream's entry, or undefined when it is beyond the table. */
  entryAddress(stream: number): number | undefined {
    const config = this.read(REGISTER.STRTAB_BASE_CFG);
    const bits = Math.min(config & 0x3f, SID_BITS);
    if (stream >= 2 ** bits) return undefined;
    const isLinear = (config & STRTAB_FORMAT_TWO_LEVEL) === 0;
    const split = isLinear ? 0 : (config >>> 6) & 0x1f;
    // Tables are aligned to their size, which is at least 64 bytes; address bits below it are ignored.
    const size = Math.max(64, 2 ** (bits - split) * (isLinear ? STE_BYTES : 8));
    const given = this.#address(REGISTER.STRTAB_BASE, 0xffff_ffc0, 0xf_ffff);
    const base = given - (given % size);
    if (isLinear) return base + stream * STE_BYTES;
    const descriptor = base + (stream >>> split) * 8;
    const low = this.#memory.read32(descriptor);
    const span = low & 0x1f;
    const index = stream & ((1 << split) - 1);
    if (span === 0 || index >= 2 ** (span - 1)) return undefined;
    return joinHalves(low & 0xffff_ffc0, this.#memory.read32(descriptor + 4) & 0xf_ffff) + index * STE_BYTES;
  }

  /** Reads a stream's entry from memory, past the cache. */
  fetchEntry(stream: number): DecodedEntry | undefined {
    const address = this.entryAddress(stream);
    if (address === undefined) return undefined;
    const halves = new Array<number>(STE_HALVES);
    for (let half = 0; half < STE_HALVES; half++) halves[half] = this.#memory.read32(address + half * 4);
    return decodeEntry(halves);
  }

  /** Translates one access of a stream at I/O address `address`; records an event where the entry asks for it. */
  translate(stream: number, address: number, write: boolean): SmmuTranslation {
    if ((this.read(REGISTER.CR0) & CR0_SMMUEN) === 0) {
      if ((this.read(REGISTER.GBPA) & GBPA_ABORT) !== 0) return { ok: false };
      return { ok: true, physical: address, vmid: undefined };
    }
    const entry = this.#configuration(stream);
    if (entry === undefined) {
      if ((this.read(REGISTER.CR2) & CR2_RECINVSID) !== 0)
        this.#record('C_BAD_STREAMID', stream, address, write);
      return { ok: false };
    }
    if (!isUsable(entry)) {
      this.#record('C_BAD_STE', stream, address, write);
      return { ok: false };
    }
    if (isAbort(entry)) return { ok: false };
    if (entry.config === STE_CONFIG.bypass) return { ok: true, physical: address, vmid: undefined };
    const translation = this.#tlb.translate(entry.vmid, entry.root, address, write, entry.shape);
    if (translation.ok) return { ok: true, physical: translation.physical, vmid: entry.vmid };
    if (entry.records) this.#record(FAULT_EVENTS[translation.fault], stream, address, write);
    return { ok: false };
  }

  #configuration(stream: number): DecodedEntry | undefined {
    const isCached = this.#configurations.has(stream);
    if (isCached && this.#random(8) !== 7) return this.#configurations.get(stream);
    if (isCached) this.#forget(stream);
    const entry = this.fetchEntry(stream);
    this.#configurations.set(stream, entry);
    this.#observer.cached(stream, entry);
    return entry;
  }

  #forget(stream: number): void {
    if (this.#configurations.delete(stream)) this.#observer.forgotten(stream);
  }

  /** CFGI_STE_RANGE: the 2^(range + 1) streams around `stream`; of range 31, which is CFGI_ALL, all. */
  #forgetRange(stream: number, range: number): void {
    const size = 2 ** (range + 1);
    const first = stream - (stream % size);
    for (const known of [...this.#configurations.keys()]) {
      if (known >= first && known < first + size) this.#forget(known);
    }
  }

  /** Commands between CONS and PROD. */
  #queued(): number {
    if ((this.read(REGISTER.CR0) & CR0_CMDQEN) === 0) return 0;
    const isHalted = ((this.read(REGISTER.GERROR) ^ this.read(REGISTER.GERRORN)) & GERROR_CMDQ) !== 0;
    if (isHalted) return 0;
    const mask = (2 << (this.read(REGISTER.CMDQ_BASE) & 0x1f)) - 1;
    return (this.read(REGISTER.CMDQ_PROD) - this.read(REGISTER.CMDQ_CONS)) & mask;
  }

  #consume(count: number): void {
    for (let left = count; left > 0 && this.#queued() > 0; left--) {
      const log2 = this.read(REGISTER.CMDQ_BASE) & 0x1f;
      const consumer = this.read(REGISTER.CMDQ_CONS) & ((2 << log2) - 1);
      const address =
        this.#address(REGISTER.CMDQ_BASE, 0xffff_ffe0, 0xf_ffff) +
        (consumer & ((1 << log2) - 1)) * COMMAND_BYTES;
      if (!this.#execute(address)) {
        this.#registers.set(REGISTER.CMDQ_CONS, (consumer | (1 << 24)) >>> 0);
        this.#registers.set(REGISTER.GERROR, (this.read(REGISTER.GERROR) ^ GERROR_CMDQ) >>> 0);
        return;
      }
      this.#registers.set(REGISTER.CMDQ_CONS, (consumer + 1) & ((2 << log2) - 1));
    }
  }

  /** Carries out or takes on one command. Returns false when it is illegal. */
  #execute(address: number): boolean {
    const first = this.#memory.read32(address);
    const opcode = first & 0xff;
    const second = this.#memory.read32(address + 4);
    const third = this.#memory.read32(address + 8);
    if (opcode === this.#failing) {
      this.#failing = undefined;
      return false;
    }
    switch (opcode) {
      case OPCODE.PREFETCH_CONFIG:
      case OPCODE.PREFETCH_ADDR:
        // A hint, which this SMMU does not take.
        return true;
      case OPCODE.CFGI_STE:
        if ((first & COMMAND_SSEC) !== 0) return false;
        this.#invalidated.add(second);
        this.#later(() => this.#forget(second));
        return true;
      case OPCODE.CFGI_ALL:
        if ((first & COMMAND_SSEC) !== 0) return false;
        this.#invalidated.add(undefined);
        this.#later(() => this.#forgetRange(second, third & 0x1f));
        return true;
      case OPCODE.TLBI_S12_VMALL:
        this.#later(() => this.#tlb.invalidate(second & 0xffff));
        return true;
      case OPCODE.TLBI_S2_IPA: {
        const ipa = joinHalves(third & 0xffff_f000, this.#memory.read32(address + 12));
        this.#later(() => this.#tlb.invalidatePage(second & 0xffff, ipa));
        return true;
      }
      case OPCODE.TLBI_NSNH_ALL:
        this.#later(() => this.#tlb.invalidate());
        return true;
      case OPCODE.SYNC:
        for (const act of this.#pending.splice(0)) act();
        for (const stream of this.#invalidated) this.#observer.entrySynced(stream);
        this.#invalidated.clear();
        this.#observer.onSync();
        return true;
      default:
        return false;
    }
  }

  #later(act: () => void): void {
    this.#pending.push(act);
    if (this.#random(2) === 1) this.#pending.splice(this.#random(this.#pending.length), 1)[0]!();
  }

  #record(event: string, stream: number, address: number, write: boolean): void {
    if ((this.read(REGISTER.CR0) & CR0_EVTQEN) === 0) return;
    const log2 = this.read(REGISTER.EVTQ_BASE) & 0x1f;
    const producer = this.read(REGISTER.EVTQ_PROD);
    const consumer = this.read(REGISTER.EVTQ_CONS);
    const mask = (2 << log2) - 1;
    if (((producer - consumer) & mask) === 1 << log2) {
      // Full: the record is dropped, and the flag toggles unless an overflow is unacknowledged already.
      const isTold = ((producer ^ consumer) & EVTQ_OVERFLOW) !== 0;
      if (!isTold) this.#registers.set(REGISTER.EVTQ_PROD, (producer ^ EVTQ_OVERFLOW) >>> 0);
    } else {
      const base = this.#address(REGISTER.EVTQ_BASE, 0xffff_ffe0, 0xf_ffff);
      const at = base + (producer & (mask >> 1)) * EVENT_BYTES;
      // A faulty configuration names the stream alone: what it was about to access is not in the record (7.3).
      const isFault = event.startsWith('F_');
      const flags = RECORD_STAGE2 | CLASS_IN | (write ? 0 : RECORD_READ);
      const [low, high] = isFault ? [address >>> 0, highHalf(address)] : [0, 0];
      this.#memory.write64(at, EVENT_NUMBERS[event]!, stream);
      this.#memory.write64(at + 8, 0, isFault ? flags : 0);
      this.#memory.write64(at + 16, low, high);
      this.#memory.write64(at + 24, (low & 0xffff_f000) >>> 0, high);
      const next = ((producer + 1) & mask) | (producer & EVTQ_OVERFLOW);
      this.#registers.set(REGISTER.EVTQ_PROD, next >>> 0);
    }
    this.#observer.onEvent();
  }

  #address(register: number, lowMask: number, highMask: number): number {
    return joinHalves(this.read(register) & lowMask, this.read(register + 4) & highMask);
  }
}

/** Config 0 to 3: V=1 entries that abort silently. */
function isAbort(entry: DecodedEntry): boolean {
  return entry.config < STE_CONFIG.bypass;
}

/** Whether an entry is valid and none that this SMMU must call ILLEGAL: with stage 1, stalls, or unknown tables. */
export function isUsable(entry: DecodedEntry): boolean {
  if (!entry.valid) return false;
  if (isAbort(entry) || entry.config === STE_CONFIG.bypass) return true;
  return entry.config === STE_CONFIG.stage2 && !entry.stalls && entry.shape !== undefined;
}

const READ_ONLY: ReadonlySet<number> = new Set([
  REGISTER.IDR0,
  REGISTER.IDR1,
  REGISTER.IDR5,
  REGISTER.CR0ACK,
  REGISTER.GERROR,
]);
const TABLE_REGISTERS: ReadonlySet<number> = new Set([
  REGISTER.STRTAB_BASE,
  REGISTER.STRTAB_BASE + 4,
  REGISTER.STRTAB_BASE_CFG,
]);
const FAULT_EVENTS = {
  translation: 'F_TRANSLATION',
  access: 'F_ACCESS',
  permission: 'F_PERMISSION',
  addressSize: 'F_ADDR_SIZE',
  inputSize: 'F_ADDR_SIZE',
} as const;
const EVENT_NUMBERS: Readonly<Record<string, number>> = Object.fromEntries(
  Object.entries(EVENT_NAMES).map(([number, name]) => [name, Number(number)]),
);
