/**
 * Random programs for an SMMU, by seed: writes to stream table, stage-2 tables and registers, commands, and accesses
 * of devices between any two of them. What a program must not do, since QEMU deviates there: see machines.ts.
 */

import { highHalf } from '../../../src/edges/enforcer/bus.ts';
import {
  COMMAND_BYTES,
  type Command,
  CR0_CMDQEN,
  CR0_EVTQEN,
  CR0_SMMUEN,
  CR2_PTM,
  CR2_RECINVSID,
  cfgiAll,
  cfgiSte,
  commandSync,
  EVTQ_OVERFLOW,
  GBPA_ABORT,
  GBPA_UPDATE,
  REGISTER,
  STE_CONFIG,
  STE_HALVES,
  STRTAB_FORMAT_TWO_LEVEL,
  STRTAB_SPLIT_BITS,
  stage2Entry,
  tlbiAll,
  tlbiPage,
  tlbiVmid,
} from '../../../src/edges/enforcer/smmuv3-layout.ts';
import { pageDescriptor } from '../../../src/edges/enforcer/stage2.ts';
import { type Random, seededRandom } from '../../../targets/lab/machine/random.ts';
import { COMMAND_BITS, COMMANDS, EVENT_BITS, EVENTS, type Machines, PAGES } from './machines.ts';
import { RAM, SMMU } from './qtest.ts';
import { IPAS, placeOf, rootOf, SETS, sizeOf, type TableSet } from './tables.ts';

/**
 * Streams of the devices: one on PCI's first bus, those of the panel (a real phone's), a neighbour
 * of one of them, and one that is the first of its second-level table.
 * Stream table: 2^12 entries, so that all are in it, or 2^11, so that 0xc80 is beyond.
 */
export const STREAMS = [0x8, 0x6c2, 0x6c3, 0x880, 0x900, 0xc80] as const;
const TABLE_BITS = [12, 12, 12, 11] as const;
const LINEAR = RAM + 0x100_0000;
const LEVEL_ONE = RAM + 0x110_0000;
const LEAVES = RAM + 0x120_0000;
const OFFSETS = [0, 4, 0x7fc, 0xffc] as const;

/** Upper half of STE word 2 and of the fields in it. */
const SIZE_MASK = 0x3f | (3 << 6);
const BIT_ENDIAN = 1 << 20;
const BIT_NO_ACCESS_FAULTS = 1 << 21;
const BIT_STALL = 1 << 25;
const BIT_RECORD = 1 << 26;
const GRANULE_RESERVED = 3 << 14;

const PAGE_VALID = 3;
const BLOCK_VALID = 1;
const ACCESS_FLAG = 1 << 10;
const PERMISSIONS = 3 << 6;

export class Program {
  readonly #machines: Machines;
  readonly #random: Random;
  readonly #twoLevel: boolean;
  #control = CR0_SMMUEN | CR0_EVTQEN | CR0_CMDQEN;

  /** Sets both machines up. `twoLevel`: format of the stream table. */
  constructor(machines: Machines, seed: number, twoLevel: boolean) {
    this.#machines = machines;
    this.#random = seededRandom(seed);
    this.#twoLevel = twoLevel;
    for (let set = 0; set < SETS.length; set++) this.#makeTables(SETS[set]!);
    for (let leaf = 0; leaf < 16; leaf++) this.#writeLeaf(leaf, true);
    for (const stream of STREAMS) {
      for (const table of [LINEAR, LEAVES]) this.#writeWords(table + stream * 64, this.#entry(SETS[0]), 0, 8);
    }
    this.#register(REGISTER.CR2, CR2_PTM | CR2_RECINVSID);
    this.#register64(REGISTER.CMDQ_BASE, COMMANDS + COMMAND_BITS);
    this.#register64(REGISTER.EVTQ_BASE, EVENTS + EVENT_BITS);
    this.#moveTable();
    this.#register(REGISTER.CR0, this.#control);
  }

  /** One step: something of everything, half of the steps an access. Throws an Error with the first difference. */
  step(): void {
    const kind = this.#random(32);
    if (kind < 6) this.#writeEntry();
    else if (kind < 10) this.#writeDescriptor();
    else if (kind < 14) this.#giveCommands();
    else if (kind < 16) this.#writeRegister();
    else this.#access();
    if (kind < 16) this.#machines.compare();
  }

  #access(): void {
    const stream = this.#pick(STREAMS);
    const ipas = this.#machines.mayBypass(stream) ? IPAS.slice(0, 4) : IPAS;
    const access = { stream, address: this.#pick(ipas) + this.#pick(OFFSETS), write: this.#random(2) === 0 };
    const refusing = this.#machines.refusingHit(access);
    if (refusing !== undefined) {
      this.#give([tlbiPage(refusing, access.address)]);
      if (this.#machines.refusingHit(access) !== undefined) return;
    }
    const isFull = this.#events() === 1 << EVENT_BITS;
    if (isFull && this.#random(4) === 0)
      this.#register(REGISTER.EVTQ_CONS, this.#machines.smmu.read(REGISTER.EVTQ_PROD));
    this.#log(`stream ${hex(stream)} ${access.write ? 'writes' : 'reads'} ${hex(access.address)}`);
    this.#machines.access(access);
  }

  /** All words of an entry, or one: entries may be torn. */
  #writeEntry(): void {
    const stream = this.#pick(STREAMS);
    const at = this.#machines.smmu.entryAddress(stream) ?? LINEAR + stream * 64;
    const entry = this.#anyEntry();
    const isTorn = this.#random(3) === 0;
    const first = isTorn ? this.#random(4) : 0;
    const isMixed = isTorn && first > 1 && this.#mixesLevels(at, entry, first);
    const words = isTorn && !isMixed ? 1 : 8;
    this.#log(`entry of ${hex(stream)}, ${words} words from ${first}: ${[...entry].slice(0, 8).map(hex)}`);
    this.#writeWords(at, entry, words === 1 ? first : 0, words);
  }

  /**
   * Whether word 2 or 3 of `entry` alone would make one whose tables are walked as if they were of a lower number of
   * level: what is no table there would be one, level 0 would have blocks, and pages beyond the RAM would be tables.
   */
  #mixesLevels(at: number, entry: Uint32Array, word: number): boolean {
    const { memory } = this.#machines;
    const fields = word === 2 ? entry[5]! : memory.read32(at + 20);
    const root = word === 3 ? entry[6]! : memory.read32(at + 24);
    const set = SETS.find((known) => rootOf(known) === root);
    return set !== undefined && ((fields >>> 6) & 3) > set.sl0;
  }

  #anyEntry(): Uint32Array {
    const entry = this.#entry(this.#pick(SETS));
    const kind = this.#random(16);
    if (kind === 0) entry[0] = 0;
    else if (kind === 1) entry[0]! &= ~1;
    else if (kind === 2) entry[0] = 1 | (STE_CONFIG.bypass << 1);
    else if (kind === 3) entry[0] = 1 | (this.#pick([0, 1, 2, 3, STE_CONFIG.stage1, STE_CONFIG.nested]) << 1);
    else if (kind === 4) entry[5]! ^= this.#pick([BIT_ENDIAN, BIT_STALL, GRANULE_RESERVED]);
    else if (kind === 5) entry[5]! &= ~BIT_RECORD;
    else if (kind === 6 || kind > 13) entry[5]! &= ~BIT_NO_ACCESS_FAULTS;
    // Start tables beyond every output size, whatever size the entry names; other output sizes.
    else if (kind === 7) [entry[5], entry[7]] = [withOutputSize(entry[5]!, this.#pick([2, 5, 7])), 1 << 12];
    else if (kind === 8) entry[5] = withOutputSize(entry[5]!, this.#pick([0, 4, 5, 7]));
    // Input sizes and start levels that are no pair, or too large for the output size.
    else if (kind === 9) entry[5] = (entry[5]! & ~SIZE_MASK) | this.#pick(ILLEGAL_SIZES);
    return entry;
  }

  #entry(set: TableSet): Uint32Array {
    const entry = stage2Entry(set.vmid, rootOf(set));
    entry[5] = (entry[5]! & ~SIZE_MASK) | sizeOf(set);
    return entry;
  }

  #writeDescriptor(): void {
    const set = this.#pick(SETS);
    const ipa = this.#pick(IPAS);
    const level = this.#pick([3, 3, 3, 3, 2, 1]);
    const place = placeOf(set, ipa, level);
    if (place === undefined) return;
    const [low, high] = level === 3 ? this.#page() : this.#tableOrBlock(set, ipa, level);
    this.#log(`tables ${SETS.indexOf(set)}, level ${level} for ${hex(ipa)}: ${hex(high)} ${hex(low)}`);
    this.#machines.bus.write64(place, low, high);
  }

  /** A descriptor of level 3. */
  #page(): readonly [number, number] {
    const [low, high] = pageDescriptor(this.#pick(PAGES), 'memory');
    switch (this.#random(10)) {
      case 0:
        return [0, 0];
      case 1:
        return [(low & ~3) | this.#random(3), high];
      case 2:
        return [low & ~ACCESS_FLAG, high];
      case 3:
      case 6:
        // Beyond 40 or 44 bits: with all permissions, see machines.ts.
        return [low, high | this.#pick([1 << 8, 1 << 12])];
      case 4:
      case 5:
        return [(low & ~PERMISSIONS) | (this.#random(3) << 6), high];
      default:
        return [low, high];
    }
  }

  #tableOrBlock(set: TableSet, ipa: number, level: number): readonly [number, number] {
    const next = placeOf(set, ipa, level + 1)! & ~0xfff;
    const kind = this.#random(8);
    if (kind === 0) return [next & ~PAGE_VALID, 0];
    if (kind > 3) return [next | PAGE_VALID, 0];
    const [low, high] = pageDescriptor(RAM, 'memory');
    const block = (low & ~3) | BLOCK_VALID;
    if (kind === 1) return [(block & ~PERMISSIONS) | (this.#random(4) << 6), high];
    return [kind === 2 ? block & ~ACCESS_FLAG : block, high];
  }

  #giveCommands(): void {
    if (this.#machines.isHalted() && this.#random(2) > 0) this.#recover();
    const count = 1 + this.#random(4);
    this.#give(Array.from({ length: count }, () => this.#anyCommand()));
  }

  #anyCommand(): Command {
    const stream = this.#pick(STREAMS);
    const { vmid } = this.#pick(SETS);
    switch (this.#random(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return cfgiSte(stream);
      case 4:
        return cfgiAll();
      case 5: {
        const [opcode, , , high] = cfgiAll();
        return [opcode, stream ^ this.#random(256), this.#random(12), high];
      }
      case 6:
      case 7:
        return tlbiVmid(vmid);
      case 8:
      case 9:
      case 10:
        return tlbiPage(vmid, this.#pick(IPAS) + this.#pick(OFFSETS));
      case 11:
        return tlbiAll();
      case 12:
        return [this.#pick([0x01, 0x02]), stream, 0, 0];
      case 13:
        // Of the secure world, or without a meaning, now and then: each stops the queue.
        return this.#random(8) > 0 ? commandSync() : [this.#pick(ILLEGAL_COMMANDS), stream, 1, 0];
      default:
        return commandSync();
    }
  }

  /** Puts commands into the queue, as many as there is room for, and rings. */
  #give(commands: readonly Command[]): void {
    const { smmu } = this.#machines;
    const mask = (2 << COMMAND_BITS) - 1;
    let producer = smmu.read(REGISTER.CMDQ_PROD) & mask;
    for (const command of commands) {
      if (((producer - smmu.read(REGISTER.CMDQ_CONS)) & mask) === 1 << COMMAND_BITS) break;
      this.#writeCommand(producer, command);
      producer = (producer + 1) & mask;
    }
    this.#register(REGISTER.CMDQ_PROD, producer);
    this.#log(`commands ${commands.map((command) => command.map(hex).join(' ')).join(', ')}`);
  }

  #writeCommand(index: number, command: Command): void {
    const at = COMMANDS + (index & ((1 << COMMAND_BITS) - 1)) * COMMAND_BYTES;
    this.#machines.bus.write64(at, command[0], command[1]);
    this.#machines.bus.write64(at + 8, command[2], command[3]);
  }

  #writeRegister(): void {
    const { smmu } = this.#machines;
    const kind = this.#random(10);
    if (kind === 0) this.#control = this.#pick(CONTROLS);
    if (kind <= 1) this.#register(REGISTER.CR0, this.#control);
    else if (kind === 2) this.#register(REGISTER.GBPA, this.#pick(PASS_ALL));
    else if (kind === 3) this.#moveTable();
    else if (kind > 7 && this.#twoLevel) this.#writeLeaf(this.#pick(STREAMS) >>> STRTAB_SPLIT_BITS);
    else if (kind === 4) this.#recover();
    // Drained, wholly or as it happens to be; the overflow acknowledged.
    else if (kind === 5) this.#register(REGISTER.EVTQ_CONS, smmu.read(REGISTER.EVTQ_PROD));
    else {
      const drained = Math.min(this.#random(1 << EVENT_BITS), this.#events());
      const consumer = smmu.read(REGISTER.EVTQ_CONS);
      const index = (consumer + drained) & ((2 << EVENT_BITS) - 1);
      this.#register(REGISTER.EVTQ_CONS, (index | (consumer & EVTQ_OVERFLOW)) >>> 0);
    }
  }

  /** Replaces the command at which the queue stands, or forgets to, and acknowledges. */
  #recover(): void {
    const { smmu } = this.#machines;
    if (this.#machines.isHalted() && this.#random(4) > 0) {
      this.#writeCommand(smmu.read(REGISTER.CMDQ_CONS), commandSync());
    }
    this.#machines.acknowledge();
  }

  /** Base and size of the stream table, while the SMMU is off. Address bits below half of its size do not count. */
  #moveTable(): void {
    const bits = this.#pick(TABLE_BITS);
    const junk = this.#twoLevel ? 0 : this.#random(2) * (0x40 << this.#random(10));
    this.#register(REGISTER.CR0, this.#control & ~CR0_SMMUEN);
    this.#register64(REGISTER.STRTAB_BASE, (this.#twoLevel ? LEVEL_ONE : LINEAR) + (bits === 12 ? junk : 0));
    const format = this.#twoLevel ? STRTAB_FORMAT_TWO_LEVEL | (STRTAB_SPLIT_BITS << 6) : 0;
    this.#register(REGISTER.STRTAB_BASE_CFG, bits | format);
    this.#register(REGISTER.CR0, this.#control);
  }

  /** A first-level descriptor: a whole second level, or none. */
  #writeLeaf(leaf: number, isThere = this.#random(4) > 0): void {
    const table = LEAVES + leaf * (64 << STRTAB_SPLIT_BITS);
    this.#log(`second level ${leaf} is ${isThere ? 'there' : 'not there'}`);
    this.#machines.bus.write64(LEVEL_ONE + leaf * 8, isThere ? table + STRTAB_SPLIT_BITS + 1 : 0, 0);
  }

  #events(): number {
    const { smmu } = this.#machines;
    return (smmu.read(REGISTER.EVTQ_PROD) - smmu.read(REGISTER.EVTQ_CONS)) & ((2 << EVENT_BITS) - 1);
  }

  /** Tables for every IPA, all pages mapped. */
  #makeTables(set: TableSet): void {
    const { bus } = this.#machines;
    IPAS.forEach((ipa, index) => {
      for (let level = 0; level < 3; level++) {
        const place = placeOf(set, ipa, level);
        if (place !== undefined) bus.write64(place, (placeOf(set, ipa, level + 1)! & ~0xfff) | PAGE_VALID, 0);
      }
      const place = placeOf(set, ipa, 3);
      const [low, high] = pageDescriptor(PAGES[(index + set.root) % PAGES.length]!, 'memory');
      if (place !== undefined) bus.write64(place, low, high);
    });
  }

  #writeWords(at: number, entry: Uint32Array, first: number, words: number): void {
    const { bus } = this.#machines;
    for (let half = first * 2; half < Math.min((first + words) * 2, STE_HALVES); half += 2) {
      bus.write64(at + half * 4, entry[half]!, entry[half + 1]!);
    }
  }

  #register(offset: number, value: number): void {
    this.#log(`register ${hex(offset)} = ${hex(value)}`);
    this.#machines.bus.write32(SMMU + offset, value);
  }

  #register64(offset: number, value: number): void {
    this.#log(`register ${hex(offset)} = ${hex(value)}`);
    this.#machines.bus.write64(SMMU + offset, value, highHalf(value));
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#random(list.length)]!;
  }

  #log(what: string): void {
    const { log } = this.#machines;
    log.push(what);
    if (log.length > LOG_MAX) log.shift();
  }
}

/** Lines of a report: what led to a difference is most often among the last few. */
const LOG_MAX = 40;
const ILLEGAL_COMMANDS = [0, 0xff, 0x03 | (1 << 10), 0x04 | (1 << 10)] as const;
/** S2T0SZ and S2SL0: more bits than start tables can hold or than are put out, less than 25, a level that is none. */
const ILLEGAL_SIZES = [20 | (1 << 6), 23 | (1 << 6), 29, 40, 25 | (3 << 6), 63 | (1 << 6)] as const;
const ALL_ON = CR0_SMMUEN | CR0_EVTQEN | CR0_CMDQEN;
/** Mostly everything on; reserved bits are set now and then. */
const CONTROLS = [
  ...[ALL_ON, ALL_ON, ALL_ON, ALL_ON, ALL_ON, ALL_ON],
  ALL_ON | 0xffff_fc20,
  ALL_ON & ~CR0_SMMUEN,
  ALL_ON & ~CR0_EVTQEN,
  ALL_ON & ~CR0_CMDQEN,
] as const;
/** Without Update a write is ignored. */
const PASS_ALL = [GBPA_UPDATE, GBPA_UPDATE | GBPA_ABORT, 0, GBPA_ABORT] as const;

/** S2PS: 32, 36, 40, 42, 44, 48, 52 bits. */
function withOutputSize(fields: number, size: number): number {
  return (fields & ~(7 << 16)) | (size << 16);
}

function hex(value: number): string {
  return `0x${(value < 0 ? value >>> 0 : value).toString(16)}`;
}
