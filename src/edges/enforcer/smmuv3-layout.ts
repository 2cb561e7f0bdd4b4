/**
 * SMMUv3 as bits: register offsets, stream table entries, commands, events. Pure functions, no bus.
 *
 * Sources: torvalds/linux drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.h (offsets, STRTAB_STE_*, CMDQ_*, EVTQ_*)
 * and qemu/qemu hw/arm/smmuv3-internal.h (GERROR and CMDQ_CONS error codes, event records). Words are unsigned
 * 32-bit halves in memory order: 64-bit word n of an entry is halves 2n (low) and 2n + 1 (high).
 */

import { highHalf, joinHalves } from './bus.ts';

/** Register offsets in bytes from the base of register page 0. Event queue pointers are on page 1. */
export const REGISTER = {
  IDR0: 0x0,
  IDR1: 0x4,
  IDR5: 0x14,
  CR0: 0x20,
  CR0ACK: 0x24,
  CR1: 0x28,
  CR2: 0x2c,
  GBPA: 0x44,
  IRQ_CTRL: 0x50,
  GERROR: 0x60,
  GERRORN: 0x64,
  STRTAB_BASE: 0x80,
  STRTAB_BASE_CFG: 0x88,
  CMDQ_BASE: 0x90,
  CMDQ_PROD: 0x98,
  CMDQ_CONS: 0x9c,
  EVTQ_BASE: 0xa0,
  EVTQ_PROD: 0x1_00a8,
  EVTQ_CONS: 0x1_00ac,
} as const;

export const CR0_SMMUEN = 1 << 0;
export const CR0_EVTQEN = 1 << 2;
export const CR0_CMDQEN = 1 << 3;
/** Streams beyond the table are recorded as C_BAD_STREAMID. */
export const CR2_RECINVSID = 1 << 1;
/** Broadcast TLB maintenance of processors is ignored: every SMMU invalidation is our own command. */
export const CR2_PTM = 1 << 2;
/** Bits of CR0 that mean something: SMMUEN, PRIQEN, EVENTQEN, CMDQEN, ATSCHK, VMW. */
export const CR0_BITS = 0x3df;
export const GBPA_ABORT = 1 << 20;
export const GBPA_UPDATE = 0x8000_0000;
export const GERROR_CMDQ = 1 << 0;
export const GERROR_EVTQ_ABORT = 1 << 2;
/** Event queue, priority queue and global error interrupts on. */
export const IRQ_CTRL_ALL = 0x7;
/** RA hint of STRTAB_BASE (bit 62), in the upper half. */
export const STRTAB_BASE_RA_HIGH = 1 << 30;
export const STRTAB_FORMAT_TWO_LEVEL = 1 << 16;
/** Streams per second-level table, as a power of two; the value Linux uses. */
export const STRTAB_SPLIT_BITS = 8;
/** Overflow flag in EVTQ_PROD and its acknowledgement in EVTQ_CONS. */
export const EVTQ_OVERFLOW = 0x8000_0000;

export const STE_BYTES = 64;
/** 32-bit halves of an entry. */
export const STE_HALVES = 16;
export const COMMAND_BYTES = 16;
export const EVENT_BYTES = 32;

/** Values of STE.Config (bits 3:1 of word 0). */
export const STE_CONFIG = { abort: 0, bypass: 4, stage1: 5, stage2: 6, nested: 7 } as const;

/**
 * IPA bits that stage 2 translates: 39 bits are exactly three levels (1 to 3) of one 4 KiB table each, without
 * concatenated start tables.
 */
export const IPA_BITS = 39;

/** Upper half of STE word 2 for our stage 2; the field positions count from bit 32 of the word. */
const STE2_HIGH =
  (64 - IPA_BITS) | // S2T0SZ 37:32
  (1 << 6) | // S2SL0 39:38 = 1: the walk starts at level 1
  (1 << 8) | // S2IR0 41:40: inner write-back
  (1 << 10) | // S2OR0 43:42: outer write-back
  (3 << 12) | // S2SH0 45:44: inner shareable
  (0 << 14) | // S2TG 47:46: 4 KiB granule
  (2 << 16) | // S2PS 50:48: 40-bit physical addresses
  (1 << 19) | // S2AA64 51
  (1 << 21) | // S2AFFD 53: no access flag faults, every descriptor is written with AF set
  (1 << 22) | // S2PTW 54: a stage-1 walk may not read device memory
  (1 << 26); // S2R 58: faults are recorded. S2S 57 stays 0: a fault never stalls a stream

/** SHCFG 45:44 of word 1 = 1: use the incoming shareability. */
const STE1_HIGH = 1 << 12;

/**
 * Returns the entry that gives a stream the stage 2 of a VM, composed from scratch: nothing of a former entry
 * remains.
 */
export function stage2Entry(vmid: number, root: number): Uint32Array {
  const halves = new Uint32Array(STE_HALVES);
  halves[0] = 1 | (STE_CONFIG.stage2 << 1);
  halves[3] = STE1_HIGH;
  halves[4] = vmid & 0xffff;
  halves[5] = STE2_HIGH;
  halves[6] = root & 0xffff_fff0;
  halves[7] = highHalf(root) & 0xf_ffff;
  return halves;
}

/** An entry that aborts silently (V=1, Config=0): for a blocked stream whose faults would flood the queue. */
export function silentEntry(): Uint32Array {
  const halves = new Uint32Array(STE_HALVES);
  halves[0] = 1 | (STE_CONFIG.abort << 1);
  return halves;
}

/** Shape of stage-2 tables with a granule of 4 KiB. */
export interface Stage2Shape {
  /** Bits of an IPA that are translated; one beyond is a translation fault. */
  readonly inputBits: number;
  /** Level of the start table, 0 to 2. Up to 16 tables lie side by side there where `inputBits` needs them. */
  readonly startLevel: number;
  /** Bits of a physical address; a page beyond is an address size fault. */
  readonly outputBits: number;
  /** Descriptors with AF = 0 fault. */
  readonly accessFaults: boolean;
}

/** The decoded fields of an entry. */
export interface DecodedEntry {
  readonly valid: boolean;
  readonly config: number;
  readonly vmid: number;
  /** Physical address of the stage-2 start table. */
  readonly root: number;
  /** S2R: faults leave a record. */
  readonly records: boolean;
  /** S2S: faults stall. */
  readonly stalls: boolean;
  /** How its tables are walked; undefined: no supported SMMU can walk them, and with stage 2 the entry is ILLEGAL. */
  readonly shape: Stage2Shape | undefined;
}

/** Output sizes by S2PS and IDR5.OAS, in bits. */
const ADDRESS_BITS = [32, 36, 40, 42, 44, 48, 52] as const;
/** IDR5.OAS of the supported SMMU: 44 bits. A larger S2PS has no effect. IPAs have as many bits (Arm IHI 0070, 3.4). */
export const IDR5_OAS = 4;
export const OAS_BITS = ADDRESS_BITS[IDR5_OAS];

/**
 * Reads the shape of an entry's tables. Arm IHI 0070, 5.2 (S2T0SZ, S2SL0, S2TG, S2ENDI, S2PS, S2TTB); the table of
 * start levels is that of the Arm ARM for stage 2 with 4 KiB.
 */
function decodeShape(fields: number, root: number): Stage2Shape | undefined {
  const inputBits = 64 - (fields & 0x3f);
  const startLevel = 2 - ((fields >>> 6) & 3);
  const outputBits = ADDRESS_BITS[Math.min((fields >>> 16) & 7, IDR5_OAS)]!;
  const isPlain = (fields & (3 << 14)) === 0 && (fields & (1 << 19)) !== 0 && (fields & (1 << 20)) === 0;
  if (!isPlain || startLevel < 0 || inputBits < 25 || inputBits > outputBits) return undefined;
  const below = 12 + 9 * (3 - startLevel);
  if (inputBits <= below || inputBits > below + 9 + 4) return undefined;
  if (root >= 2 ** outputBits) return undefined;
  return { inputBits, startLevel, outputBits, accessFaults: (fields & (1 << 21)) === 0 };
}

/** Reads the fields of an entry given as 16 halves. */
export function decodeEntry(halves: ArrayLike<number>): DecodedEntry {
  const root = joinHalves(halves[6]! & 0xffff_fff0, halves[7]! & 0xf_ffff);
  return {
    valid: (halves[0]! & 1) === 1,
    config: (halves[0]! >>> 1) & 7,
    vmid: halves[4]! & 0xffff,
    root,
    records: ((halves[5]! >>> 26) & 1) === 1,
    stalls: ((halves[5]! >>> 25) & 1) === 1,
    shape: decodeShape(halves[5]!, root),
  };
}

/** First-level descriptor of a two-level stream table: Span 4:0 and L2Ptr 51:6, as [low, high]. */
export function levelOneDescriptor(table: number): readonly [number, number] {
  // Span n means 2^(n-1) entries.
  return [((table & 0xffff_ffc0) | (STRTAB_SPLIT_BITS + 1)) >>> 0, highHalf(table)];
}

/** Command opcodes. */
export const OPCODE = {
  PREFETCH_CONFIG: 0x01,
  PREFETCH_ADDR: 0x02,
  CFGI_STE: 0x03,
  CFGI_ALL: 0x04,
  TLBI_S12_VMALL: 0x28,
  TLBI_S2_IPA: 0x2a,
  TLBI_NSNH_ALL: 0x30,
  SYNC: 0x46,
} as const;

/** A command of 16 bytes as four halves. */
export type Command = readonly [number, number, number, number];

/** Invalidates the cached entry of a stream, also an invalid one. */
export function cfgiSte(stream: number): Command {
  return [OPCODE.CFGI_STE, stream, 1, 0]; // word 1 bit 0: Leaf, the tables above did not change
}

/** Invalidates all cached configuration. Range 31 means all. */
export function cfgiAll(): Command {
  return [OPCODE.CFGI_ALL, 0, 31, 0];
}

/** Invalidates all translations of a VMID, stages 1 and 2. */
export function tlbiVmid(vmid: number): Command {
  return [OPCODE.TLBI_S12_VMALL, vmid & 0xffff, 0, 0];
}

/** Invalidates the stage-2 translation of one IPA page of a VMID. Address bits 51:12 are in word 1. */
export function tlbiPage(vmid: number, ipa: number): Command {
  return [OPCODE.TLBI_S2_IPA, vmid & 0xffff, (ipa & 0xffff_f000) >>> 0, highHalf(ipa)];
}

/** Invalidates all non-secure, non-hypervisor translations. */
export function tlbiAll(): Command {
  return [OPCODE.TLBI_NSNH_ALL, 0, 0, 0];
}

/** Completes when every earlier command has; CS = 0: CONS shows the completion. */
export function commandSync(): Command {
  return [OPCODE.SYNC, 0, 0, 0];
}

/** Names of CMDQ_CONS.ERR (bits 30:24). */
export const COMMAND_ERRORS = ['CERROR_NONE', 'CERROR_ILL', 'CERROR_ABT', 'CERROR_ATC_INV_SYNC'] as const;

/** Event record types that our configuration can produce, by their number in bits 7:0 of word 0. */
export const EVENT_NAMES: Readonly<Record<number, string>> = {
  1: 'F_UUT',
  2: 'C_BAD_STREAMID',
  3: 'F_STE_FETCH',
  4: 'C_BAD_STE',
  11: 'F_WALK_EABT',
  16: 'F_TRANSLATION',
  17: 'F_ADDR_SIZE',
  18: 'F_ACCESS',
  19: 'F_PERMISSION',
};

/** One record of the event queue. */
export interface SmmuEvent {
  readonly event: string;
  readonly stream: number;
  /** Input address in bytes: with stage 2 alone, the IPA. Records of a faulty configuration (C_*) have 0 here. */
  readonly address: number;
  readonly write: boolean;
}

/** Reads an event record given as eight halves. */
export function decodeEvent(halves: ArrayLike<number>): SmmuEvent {
  const type = halves[0]! & 0xff;
  return {
    event: EVENT_NAMES[type] ?? `event 0x${type.toString(16)}`,
    stream: halves[1]!,
    address: joinHalves(halves[4]!, halves[5]! & 0x1f_ffff),
    write: ((halves[3]! >>> 3) & 1) === 0, // RnW is bit 35 of word 1
  };
}
