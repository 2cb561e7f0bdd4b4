/**
 * Our SMMU model and QEMU's SMMUv3 side by side: every write goes to both, every access is made on both, and all that
 * can be seen of it is compared at once: where it lands or that it does not, what a read brings, the event record word
 * by word, and registers (`COMPARED`).
 *
 * Where the architecture leaves a choice, the model is made to choose as QEMU does, through its source of chance:
 * commands act when they are consumed, caches lose nothing, entries that are ILLEGAL are not cached, and a walk that
 * ends in a permission fault leaves nothing behind. So each access has one right answer, and nothing is excused.
 *
 * Deviations of QEMU 10.0.13 from the architecture (Arm IHI 0070), each kept out by the narrow rule that is named.
 * Functions are of QEMU's hw/arm/smmuv3.c and smmu-common.c.
 *
 * What is compared otherwise:
 * - Event queue full: QEMU raises GERROR.EVENTQ_ABT_ERR (smmuv3_record_event) where the architecture toggles OVFLG
 *   (event queue overflow): one for the other, at the same access (`#countEvent`).
 * - Records of faults have the low 12 bits of the IPA, which are RES0 (EVT_SET_ADDR2; F_TRANSLATION): masked.
 * - CMDQ_CONS.ERR is UNKNOWN unless the error is active (SMMU_CMDQ_CONS): compared while it is.
 *
 * What programs do first:
 * - Invalidate a page before an access that would find it in the TLB without permission: QEMU takes that for a fault of
 *   stage 1 or for none, and leaves no record (smmu_translate; `refusingHit`).
 *
 * What programs do not do:
 * - Clear CR2.RECINVSID, which QEMU ignores (smmu_find_ste). Go from two levels of the stream table back to one, which
 *   QEMU cannot (`features` in smmu_writel): there is one QEMU for each. Make a second level shorter than the split:
 *   QEMU takes Span n for 2^n entries, and what is beyond for C_BAD_STE (smmu_find_ste).
 * - Set the uppermost bit of STRTAB_BASE below the table's size, which counts to QEMU (smmu_find_ste);
 *   bits 51:48 of S2TTB, which do not (STE_S2TTB); S1CDMax or S1STALLD in an entry without stage 1 (decode_ste); any
 *   TG, NUM, SCALE or TTL of a range invalidation, which our model does not have.
 * - Clear S2AA64, which ends QEMU (decode_ste_s2_cfg). Take S2T0SZ larger than S2SL0 allows, to which QEMU is blind
 *   (s2_pgtable_config_valid), a granule of 16 or 64 KiB, which our model lacks, or several start tables side by side,
 *   of which QEMU takes the first for all (`baseaddr &= ~indexmask` in smmu_ptw_64_s2).
 * - Withhold AF or permissions from a page beyond the output size: that fault is QEMU's last (smmu_ptw_64_s2). Use an
 *   address of more than 44 bits, whose fault QEMU does not record (smmu_ptw, PTW_RECORD_FAULT).
 * - Walk a table as one of a lower level (`#mixesLevels` in program.ts): QEMU has blocks at level 0 (is_reserved_pte),
 *   and what lies outside the RAM is an external abort, where our model has memory everywhere.
 * - Give commands of features that IDR0 does not have, such as EL2's: QEMU ignores some (smmuv3_cmdq_consume).
 */

import type { MachineBus } from '../../../src/edges/enforcer/bus.ts';
import {
  CR0_SMMUEN,
  type DecodedEntry,
  EVENT_BYTES,
  EVENT_NAMES,
  EVTQ_OVERFLOW,
  GBPA_UPDATE,
  GERROR_CMDQ,
  GERROR_EVTQ_ABORT,
  REGISTER,
  STE_CONFIG,
} from '../../../src/edges/enforcer/smmuv3-layout.ts';
import { Memory } from '../../../targets/lab/machine/memory.ts';
import { isUsable, SMMU_BYTES, Smmu } from '../../../targets/lab/machine/smmu.ts';
import { Tlb, type TlbEntry } from '../../../targets/lab/machine/walker.ts';
import { EDU_WORDS, type Edu, plug } from './edu.ts';
import { Qtest, RAM, SMMU } from './qtest.ts';

const RAM_BYTES = 64 << 20;
/** Pages that devices may reach, 4 KiB each, at the start of the first and the second 2 MiB of RAM. */
export const PAGES = [0, 1, 2, 3, 0x200, 0x201, 0x202, 0x203].map((page) => RAM + page * 4096);
/** Where what a device has read is put to be looked at, and from where buffers are filled. */
const COLLECTED = RAM + 0x3f_f000;
export const COMMANDS = RAM + 0x50_0000;
export const COMMAND_BITS = 4;
export const EVENTS = RAM + 0x51_0000;
/** Eight records: a queue that is full now and then. */
export const EVENT_BITS = 3;
/** The word of a device's buffer that reads go to; the others hold what it writes. */
const READ_WORD = EDU_WORDS - 1;

interface Cached {
  readonly entry: TlbEntry;
  /** QEMU does not have it: it came from a walk that ended in a permission fault. */
  isOurs: boolean;
}

/** A device's access. */
export interface Access {
  readonly stream: number;
  readonly address: number;
  readonly write: boolean;
}

export class Machines {
  readonly qemu: Qtest;
  readonly smmu: Smmu;
  readonly memory = new Memory(0, () => {});
  /** What was done since the last success, for a report. */
  readonly log: string[] = [];
  /** What happened, and how often: accesses by what became of them, so that a test can say that it saw all kinds. */
  readonly seen = new Map<string, number>();
  readonly #edus: ReadonlyMap<number, Edu>;
  readonly #configurations = new Map<number, DecodedEntry | undefined>();
  readonly #tlb = new Map<string, Cached>();
  #access: Access | undefined;
  /** The next choice of a cache is the one about the configuration. */
  #isConfigurationNext = false;
  #filled: Cached[] = [];
  /** GERROR.EVENTQ_ABT_ERR, which our model never raises. */
  #eventAbort = 0;
  #written = 0;
  #wasDropped = false;
  /** Records that the model wrote or dropped. */
  #events = 0;

  constructor(program: string, streams: readonly number[], lifeS: number) {
    const tlb = new Tlb(this.memory, (bound) => this.#choose(bound), {
      filled: (entry) => {
        const cached = { entry, isOurs: false };
        this.#tlb.set(nameOf(entry.vmid, entry.ipaPage, entry.pages), cached);
        this.#filled.push(cached);
      },
      dropped: (entry) => this.#tlb.delete(nameOf(entry.vmid, entry.ipaPage, entry.pages)),
    });
    this.smmu = new Smmu(this.memory, tlb, (bound) => this.#choose(bound), {
      cached: (stream, entry) => this.#configurations.set(stream, entry),
      forgotten: (stream) => this.#configurations.delete(stream),
      enabled: () => {},
      entrySynced: () => {},
      tableMoved: () => {},
      onSync: () => {},
      onEvent: () => {
        this.#events++;
      },
    });
    this.qemu = new Qtest({ program, streams, ramMib: RAM_BYTES >> 20, lifeS });
    try {
      const edus = plug(this.qemu, streams);
      this.#edus = new Map(streams.map((stream, index) => [stream, edus[index]!]));
      this.#loadBuffers(edus);
    } catch (error) {
      this.qemu.end();
      throw error;
    }
  }

  /** Writes to both; reads are the model's, and an Error unless QEMU's are the same. */
  readonly bus: MachineBus = {
    read32: (address) => {
      const [ours, theirs] = [this.#read(address), this.qemu.read32(address)];
      if (ours !== theirs)
        throw new Error(`0x${address.toString(16)}: model ${hex(ours)}, QEMU ${hex(theirs)}`);
      return ours;
    },
    write32: (address, value) => {
      this.qemu.write32(address, value);
      if (!isRegister(address)) return this.memory.write32(address, value >>> 0);
      this.smmu.write(address - SMMU, value);
      this.#settle();
    },
    write64: (address, low, high) => {
      this.qemu.write64(address, low, high);
      if (!isRegister(address)) return this.memory.write64(address, low >>> 0, high >>> 0);
      this.smmu.write(address - SMMU, low);
      this.smmu.write(address - SMMU + 4, high);
      this.#settle();
    },
    poll: () => {},
  };

  /** Whether an access of this stream may pass untranslated, now or after a fetch. */
  mayBypass(stream: number): boolean {
    if ((this.smmu.read(REGISTER.CR0) & CR0_SMMUEN) === 0) return true;
    const entries = [this.#configurations.get(stream), this.smmu.fetchEntry(stream)];
    return entries.some((entry) => entry?.config === STE_CONFIG.bypass);
  }

  /** Makes the access on both machines and compares everything. Throws an Error with the first difference. */
  access(access: Access): void {
    const { stream, address, write } = access;
    const before = { producer: this.smmu.read(REGISTER.EVTQ_PROD), events: this.#events };
    const result = this.#translate(access);
    this.#countEvent(before);
    const edu = this.#edus.get(stream)!;
    // A page may lie beyond the RAM, where writes are lost and reads give 0.
    const isMemory = result.ok && result.physical < RAM + RAM_BYTES;
    let [expected, read] = [0, 0];
    if (write) {
      const word = this.#written++ % READ_WORD;
      edu.write(address, word);
      if (isMemory) this.memory.write32(result.physical, wordOf(edu, word));
    } else {
      edu.read(address, READ_WORD);
      read = this.#collect(edu);
      if (isMemory) expected = this.memory.read32(result.physical);
    }
    this.compare(PAGES.map((page) => page + (address % 4096)));
    if (read !== expected) throw new Error(`read ${hex(read)} instead of ${hex(expected)}`);
    const isRecorded = this.smmu.read(REGISTER.EVTQ_PROD) !== before.producer && !this.#wasDropped;
    const event = isRecorded ? EVENT_NAMES[this.#lastEvent()] : undefined;
    const refused = event === undefined ? 'is refused silently' : `leaves ${event}`;
    this.#count(`${write ? 'write' : 'read'} ${result.ok ? 'passes' : refused}`);
  }

  /** Compares registers, the last event record, and the words at `addresses`. Throws an Error with what differs. */
  compare(addresses: readonly number[] = []): void {
    if (this.isHalted()) this.#count('command queue is halted');
    const producer = this.smmu.read(REGISTER.EVTQ_PROD);
    const record = EVENTS + ((producer - 1) & ((1 << EVENT_BITS) - 1)) * EVENT_BYTES;
    const words = [0, 1, 2, 3, 4, 5, 6, 7].map((word) => record + word * 4);
    const places = [...COMPARED.map((register) => SMMU + register), ...words, ...addresses];
    const theirs = this.qemu.read32s(places);
    places.forEach((place, index) => {
      let [ours, qemus] = [this.#read(place), theirs[index]!];
      if (place === SMMU + REGISTER.GERROR) ours = (ours | this.#eventAbort) >>> 0;
      if (place === SMMU + REGISTER.EVTQ_PROD) ours &= 0x7fff_ffff;
      if (place === SMMU + REGISTER.CMDQ_CONS && !this.isHalted())
        [ours, qemus] = [ours & 0xfffff, qemus & 0xfffff];
      if (place === words[6]) qemus = (qemus & 0xffff_f000) >>> 0;
      if (ours !== qemus)
        throw new Error(`${placeName(place, words)}: model ${hex(ours)}, QEMU ${hex(qemus)}`);
    });
  }

  /** Whether the command queue stands still after an error. */
  isHalted(): boolean {
    return ((this.smmu.read(REGISTER.GERROR) ^ this.smmu.read(REGISTER.GERRORN)) & GERROR_CMDQ) !== 0;
  }

  /** Acknowledges all global errors of both. */
  acknowledge(): void {
    this.bus.write32(SMMU + REGISTER.GERRORN, this.smmu.read(REGISTER.GERROR) | this.#eventAbort);
  }

  /** Compares every word that devices may reach. */
  compareMemory(): void {
    for (const page of PAGES) {
      const bytes = this.qemu.readBytes(page, 4096);
      for (let at = 0; at < 4096; at += 4) {
        const [ours, theirs] = [this.memory.read32(page + at), bytes.readUInt32LE(at)];
        if (ours !== theirs) throw new Error(`${hex(page + at)}: model ${hex(ours)}, QEMU ${hex(theirs)}`);
      }
    }
  }

  /** Fills each buffer with words of its own, past the SMMU. Every page gets words of its own, too. */
  #loadBuffers(edus: readonly Edu[]): void {
    this.#past(() => {
      for (const edu of edus) {
        for (let word = 0; word < EDU_WORDS; word++)
          this.qemu.write32(COLLECTED + word * 4, wordOf(edu, word));
        edu.fill(COLLECTED);
      }
    });
    for (const page of PAGES) {
      for (let at = 0; at < 4096; at += 8) this.bus.write64(page + at, page + at, page + at + 4);
    }
  }

  /** What the device has read, fetched past the SMMU. */
  #collect(edu: Edu): number {
    this.#past(() => edu.write(COLLECTED, READ_WORD));
    return this.qemu.read32(COLLECTED);
  }

  /** Switches QEMU's SMMU off, lets everything pass, and puts all of it back. */
  #past(work: () => void): void {
    const control = this.smmu.read(REGISTER.CR0);
    this.qemu.write32(SMMU + REGISTER.GBPA, GBPA_UPDATE);
    this.qemu.write32(SMMU + REGISTER.CR0, control & ~CR0_SMMUEN);
    work();
    this.qemu.write32(SMMU + REGISTER.CR0, control);
    this.qemu.write32(SMMU + REGISTER.GBPA, this.smmu.read(REGISTER.GBPA) | GBPA_UPDATE);
  }

  #translate(access: Access) {
    const { stream, address, write } = access;
    this.#access = access;
    this.#isConfigurationNext = this.#configurations.has(stream);
    this.#filled = [];
    const result = this.smmu.translate(stream, address, write);
    this.#access = undefined;
    if (!result.ok) for (const cached of this.#filled) cached.isOurs = true;
    return result;
  }

  /** Lets the model consume what QEMU consumes at once. */
  #settle(): void {
    for (let steps = 0; steps < 2 << COMMAND_BITS; steps++) this.smmu.step();
  }

  /** The model's chance: see the head of this file. */
  #choose(bound: number): number {
    if (this.#access === undefined || bound !== 8) return bound - 1;
    const { stream, address } = this.#access;
    const entry = this.#configurations.get(stream);
    if (this.#isConfigurationNext) {
      this.#isConfigurationNext = false;
      return entry !== undefined && isUsable(entry) ? 0 : 7;
    }
    return this.#hit(entry!.vmid, address)?.isOurs ? 7 : 0;
  }

  /** The largest entry for an address, of all or of those that QEMU has as well. */
  #hit(vmid: number, address: number, isTheirs = false): Cached | undefined {
    for (const pages of [2 ** 18, 2 ** 9, 1]) {
      const cached = this.#tlb.get(nameOf(vmid, Math.floor(address / 4096 / pages) * pages, pages));
      if (cached !== undefined && !(isTheirs && cached.isOurs)) return cached;
    }
    return undefined;
  }

  /** VMID under which QEMU has the page cached without the permission that the access needs. */
  refusingHit({ stream, address, write }: Access): number | undefined {
    if ((this.smmu.read(REGISTER.CR0) & CR0_SMMUEN) === 0) return undefined;
    const cached = this.#configurations.get(stream);
    const entry = cached !== undefined && isUsable(cached) ? cached : this.smmu.fetchEntry(stream);
    if (entry === undefined || entry.config !== STE_CONFIG.stage2) return undefined;
    const hit = this.#hit(entry.vmid, address, true);
    if (hit === undefined) return undefined;
    return (write ? hit.entry.writable : hit.entry.readable) ? undefined : entry.vmid;
  }

  /** A record that found the queue full is a global error to QEMU. `before`: as they were before the access. */
  #countEvent(before: { readonly producer: number; readonly events: number }): void {
    const isWritten = ((this.smmu.read(REGISTER.EVTQ_PROD) ^ before.producer) & ~EVTQ_OVERFLOW) !== 0;
    this.#wasDropped = !isWritten && this.#events !== before.events;
    if (!this.#wasDropped) return;
    const isActive = ((this.smmu.read(REGISTER.GERRORN) ^ this.#eventAbort) & GERROR_EVTQ_ABORT) !== 0;
    if (!isActive) this.#eventAbort ^= GERROR_EVTQ_ABORT;
    this.#count('record finds the queue full');
  }

  #count(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1);
  }

  /** Type of the record that the access left; 0 without. */
  #lastEvent(): number {
    const index = (this.smmu.read(REGISTER.EVTQ_PROD) - 1) & ((1 << EVENT_BITS) - 1);
    return this.memory.read32(EVENTS + index * EVENT_BYTES) & 0xff;
  }

  #read(address: number): number {
    return isRegister(address) ? this.smmu.read(address - SMMU) : this.memory.read32(address);
  }
}

/** Registers that are compared after every step. */
const COMPARED = [
  REGISTER.CR0ACK,
  REGISTER.CR2,
  REGISTER.GBPA,
  REGISTER.GERROR,
  REGISTER.GERRORN,
  REGISTER.STRTAB_BASE,
  REGISTER.STRTAB_BASE_CFG,
  REGISTER.CMDQ_PROD,
  REGISTER.CMDQ_CONS,
  REGISTER.EVTQ_PROD,
  REGISTER.EVTQ_CONS,
] as const;

const REGISTER_NAMES = new Map(Object.entries(REGISTER).map(([name, offset]) => [SMMU + offset, name]));

/**
 * What a device's buffer holds at a word: told apart from those of other devices and from what pages begin with. Tables
 * may come to lie in such words: none of them is a valid descriptor (bits 1:0).
 */
function wordOf(edu: Edu, word: number): number {
  return 0x8000_0000 + edu.stream * 4 * EDU_WORDS + word * 4;
}

function nameOf(vmid: number, ipaPage: number, pages: number): string {
  return `${vmid} ${ipaPage} ${pages}`;
}

function isRegister(address: number): boolean {
  return address >= SMMU && address < SMMU + SMMU_BYTES;
}

function placeName(place: number, record: readonly number[]): string {
  const word = record.indexOf(place);
  return word < 0 ? (REGISTER_NAMES.get(place) ?? hex(place)) : `word ${word} of the last event record`;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
