/**
 * Where the SMMU model was kinder than hardware, or other: found by comparison with QEMU's SMMUv3
 * (test/system/smmu-differential), kept here without it.
 */

import { describe, expect, it } from 'vitest';
import {
  type Command,
  CR0_CMDQEN,
  CR0_EVTQEN,
  CR0_SMMUEN,
  cfgiAll,
  cfgiSte,
  GBPA_ABORT,
  GBPA_UPDATE,
  OPCODE,
  REGISTER,
  STE_CONFIG,
  stage2Entry,
  tlbiVmid,
} from '../../src/edges/enforcer/smmuv3-layout.ts';
import { pageDescriptor } from '../../src/edges/enforcer/stage2.ts';
import { ANDROID, HYPERVISOR_BASE, PANEL, VAULT } from '../../targets/lab/machine/board.ts';
import { Checker } from '../../targets/lab/machine/checker.ts';
import { Memory } from '../../targets/lab/machine/memory.ts';
import { LAYOUT, LAZY, Rig } from '../edges/enforcer/rig.ts';

const IPA = 0x4000_0000;
const PAGE = 0x4700_0000;
const OTHER = 0x4800_0000;
const MIB = 0x10_0000;
const SH_AND_AF = 0x7c0;

/** A stream's entry as it is, in force at once. */
function write(rig: Rig, stream: number, entry: Uint32Array): void {
  const at = rig.emitter.entryAddress(stream);
  for (let half = 0; half < 16; half++) rig.bus.write32(at + half * 4, entry[half]!);
  rig.emitter.push(cfgiSte(stream));
  rig.emitter.sync();
}

function changed(entry: Uint32Array, half: number, clear: number, set: number): Uint32Array {
  entry[half] = (entry[half]! & ~clear) | set;
  return entry;
}

/** The table to which the descriptor at `address` points. */
function tableAt(rig: Rig, address: number): number {
  return (rig.memory.read32(address) & 0xffff_f000) >>> 0;
}

function lastRecord(rig: Rig): readonly string[] {
  const index = (rig.smmu.read(REGISTER.EVTQ_PROD) - 1) & ((1 << LAYOUT.eventBits) - 1);
  const at = LAYOUT.eventQueue + index * 32;
  return [0, 1, 2, 3, 4, 5, 6, 7].map((word) => rig.memory.read32(at + word * 4).toString(16));
}

describe('translation', () => {
  it('an IPA beyond the tables finds no entry of another VMID in the TLB', () => {
    const rig = new Rig(LAZY);
    write(rig, 8, stage2Entry(1, rig.tables(IPA, PAGE).root));
    write(rig, 16, stage2Entry(2, rig.tables(IPA, OTHER).root));
    expect(rig.smmu.translate(16, IPA, true)).toMatchObject({ ok: true, physical: OTHER });
    expect(rig.smmu.translate(8, 2 ** 39 + IPA, true).ok).toBe(false);
    expect(rig.emitter.drainEvents(4).events).toMatchObject([
      { event: 'F_TRANSLATION', address: 2 ** 39 + IPA },
    ]);
  });

  it('a block of 2 MiB is translated, cached as a whole, and forgotten by any of its pages', () => {
    const rig = new Rig(LAZY);
    const tables = rig.tables(IPA, PAGE);
    write(rig, 8, stage2Entry(1, tables.root));
    const levelTwo = tableAt(rig, tables.root + 8);
    rig.bus.write64(levelTwo, (OTHER | SH_AND_AF | 1) >>> 0, 0);
    expect(rig.smmu.translate(8, IPA + MIB, true)).toMatchObject({ ok: true, physical: OTHER + MIB });
    rig.bus.write64(levelTwo, 0, 0);
    expect(rig.smmu.translate(8, IPA + 4096, true)).toMatchObject({ ok: true, physical: OTHER + 4096 });
    rig.tlb.invalidatePage(1, IPA + 8192);
    expect(rig.smmu.translate(8, IPA + MIB, true).ok).toBe(false);
  });

  it('the checker sees what a block reaches', () => {
    const vm = (name: typeof ANDROID, vmid: number) => ({
      ...{ vm: name, vmid, processor: vmid, serial: vmid, state: 'running' as const },
      ...{ ramPhysical: IPA + vmid * MIB, stage2: { root: HYPERVISOR_BASE + vmid * 4096 } as never },
    });
    const memory: Memory = new Memory(HYPERVISOR_BASE, (at) => checker.memoryWritten(at, () => undefined));
    const checker = new Checker(memory, [PANEL], []);
    checker.vmBegins(vm(ANDROID, 1));
    checker.vmBegins(vm(VAULT, 2));
    for (const vmid of [1, 2]) memory.write64(HYPERVISOR_BASE + vmid * 4096, SH_AND_AF | 1, 0);
    expect(checker.violations.map(({ invariant }) => invariant)).toContain('S1');
  });

  it('a page beyond the output size, and one without AF where that faults, are refused by name', () => {
    const rig = new Rig(LAZY);
    const tables = rig.tables(IPA, PAGE);
    write(rig, 8, changed(stage2Entry(1, tables.root), 5, 1 << 21, 0));
    const levelTwo = tableAt(rig, tables.root + 8);
    const at = tableAt(rig, levelTwo);
    const [low, high] = pageDescriptor(PAGE, 'memory');
    rig.bus.write64(at, low & ~(1 << 10), high);
    rig.smmu.translate(8, IPA, true);
    rig.bus.write64(at, low, high | (1 << 8));
    rig.smmu.translate(8, IPA, true);
    expect(rig.emitter.drainEvents(4).events.map(({ event }) => event)).toEqual(['F_ACCESS', 'F_ADDR_SIZE']);
  });
});

describe('stream table', () => {
  it.each([
    ['S2T0SZ', 5, 0x3f, 16],
    ['S2SL0', 5, 3 << 6, 0],
    ['S2TG', 5, 0, 1 << 14],
    ['S2AA64', 5, 1 << 19, 0],
    ['S2ENDI', 5, 0, 1 << 20],
    ['S2S', 5, 0, 1 << 25],
    ['S2TTB', 7, 0, 1 << 9],
  ])('an entry whose %s makes it ILLEGAL translates nothing', (_, half, clear, set) => {
    const rig = new Rig(LAZY);
    write(rig, 8, changed(stage2Entry(1, rig.tables(IPA, PAGE).root), half, clear, set));
    expect(rig.smmu.translate(8, IPA, true).ok).toBe(false);
    expect(rig.emitter.drainEvents(4).events).toMatchObject([{ event: 'C_BAD_STE', stream: 8 }]);
  });

  it.each([0, 1, 2, 3])('Config %i aborts silently', (config) => {
    const rig = new Rig(LAZY);
    write(rig, 8, changed(stage2Entry(1, 0), 0, 0xe, config << 1));
    expect(rig.smmu.translate(8, IPA, true).ok).toBe(false);
    expect(rig.emitter.drainEvents(4).events).toEqual([]);
  });

  it('address bits below its size do not count', () => {
    const rig = new Rig(LAZY);
    write(rig, 8, changed(stage2Entry(1, 0), 0, 0xe, STE_CONFIG.bypass << 1));
    rig.bus.write32(LAYOUT.registers + REGISTER.STRTAB_BASE, LAYOUT.streamTable + 0x40);
    expect(rig.smmu.entryAddress(8)).toBe(rig.emitter.entryAddress(8));
  });
});

describe('records', () => {
  it('of a faulty configuration name the stream alone; of a fault stage, class, direction and addresses', () => {
    const rig = new Rig(LAZY);
    rig.smmu.translate(8, IPA + 0x123, false);
    expect(lastRecord(rig)).toEqual(['4', '8', '0', '0', '0', '0', '0', '0']);
    write(rig, 16, stage2Entry(1, rig.tables(IPA, PAGE).root));
    rig.smmu.translate(16, 0x12_3000_0124, false);
    expect(lastRecord(rig)).toEqual(['10', '10', '0', '288', '30000124', '12', '30000000', '12']);
  });
});

describe('commands', () => {
  const run = (rig: Rig, command: Command): void => {
    rig.emitter.push(command);
    rig.emitter.sync();
  };

  it('a range of streams is forgotten, and no other', () => {
    const rig = new Rig(LAZY);
    write(rig, 8, stage2Entry(1, rig.tables(IPA, PAGE).root));
    expect(rig.smmu.translate(8, IPA, true).ok).toBe(true);
    rig.emitter.block(8);
    const [opcode] = cfgiAll();
    run(rig, [opcode, 0, 2, 0]);
    expect(rig.smmu.translate(8, IPA, true).ok).toBe(true);
    run(rig, [opcode, 9, 0, 0]);
    expect(rig.smmu.translate(8, IPA, true).ok).toBe(false);
  });

  it.each([
    ['CFGI_STE', cfgiSte(8)],
    ['CFGI_ALL', cfgiAll()],
  ])('%s for the secure world is illegal', (_, [opcode, ...others]) => {
    expect(() => run(new Rig(LAZY), [opcode | (1 << 10), ...others])).toThrow('CERROR_ILL');
  });

  it('a prefetch is a hint', () => {
    const rig = new Rig(LAZY);
    run(rig, [OPCODE.PREFETCH_CONFIG, 8, 0, 0]);
    run(rig, tlbiVmid(1));
    // It was consumed, and so was what followed: nothing is wrong with the queue.
    expect(rig.smmu.read(REGISTER.CMDQ_CONS)).toBe(rig.smmu.read(REGISTER.CMDQ_PROD));
  });
});

describe('registers', () => {
  it('GBPA without Update is ignored', () => {
    const rig = new Rig(LAZY);
    rig.smmu.write(REGISTER.GBPA, 0);
    expect(rig.smmu.read(REGISTER.GBPA)).toBe(GBPA_ABORT);
    rig.smmu.write(REGISTER.GBPA, GBPA_UPDATE);
    expect(rig.smmu.read(REGISTER.GBPA)).toBe(0);
  });

  it('CR0ACK takes over what means something', () => {
    const rig = new Rig(LAZY);
    rig.smmu.write(REGISTER.CR0, 0xffff_fc20 | CR0_SMMUEN | CR0_EVTQEN | CR0_CMDQEN);
    expect(rig.smmu.read(REGISTER.CR0ACK)).toBe(CR0_SMMUEN | CR0_EVTQEN | CR0_CMDQEN);
  });
});
