/** An SMMU model behind a bus, without a machine around it: for tests of emitter and model alone. */

import type { MachineBus } from '../../../src/edges/enforcer/bus.ts';
import { type SmmuLayout, Smmuv3 } from '../../../src/edges/enforcer/smmuv3.ts';
import { Stage2, tablePool } from '../../../src/edges/enforcer/stage2.ts';
import { Memory } from '../../../targets/lab/machine/memory.ts';
import type { Random } from '../../../targets/lab/machine/random.ts';
import { Smmu } from '../../../targets/lab/machine/smmu.ts';
import { Tlb } from '../../../targets/lab/machine/walker.ts';

/** Hardware that puts everything off and loses nothing. */
export const LAZY: Random = () => 0;
/** Hardware that acts at once, and forgets what it cached whenever it may. */
export const EAGER: Random = (bound) => bound - 1;

const REGISTERS = 0x0905_0000;
const TABLES = 0x8020_0000;
export const LAYOUT: SmmuLayout = {
  registers: REGISTERS,
  streamTable: 0x8000_0000,
  format: 'linear',
  streamBits: 8,
  leafTables: 0x8001_0000,
  commandQueue: 0x8010_0000,
  commandBits: 3,
  eventQueue: 0x8011_0000,
  eventBits: 2,
};

export class Rig {
  readonly memory = new Memory(0, () => {});
  readonly tlb: Tlb;
  readonly smmu: Smmu;
  readonly bus: MachineBus;
  readonly emitter: Smmuv3;
  readonly layout: SmmuLayout;
  /** CMD_SYNCs that the hardware saw. */
  syncs = 0;
  /** Whether the hardware works while it is polled. */
  isAlive = true;
  #tables = TABLES;

  constructor(random: Random, layout: Partial<SmmuLayout> = {}, streams: readonly number[] = [8, 16]) {
    this.layout = { ...LAYOUT, ...layout };
    this.tlb = new Tlb(this.memory, random, { filled: () => {}, dropped: () => {} });
    this.smmu = new Smmu(this.memory, this.tlb, random, {
      cached: () => {},
      forgotten: () => {},
      enabled: () => {},
      entrySynced: () => {},
      tableMoved: () => {},
      onSync: () => this.syncs++,
      onEvent: () => {},
    });
    this.bus = this.#makeBus();
    this.emitter = new Smmuv3(this.bus, this.layout);
    this.emitter.start(streams);
  }

  /** Tables of a VM that map one page of memory. */
  tables(ipa: number, physical: number): Stage2 {
    const stage2 = new Stage2(this.bus, tablePool(this.bus, this.#tables, 0x1_0000));
    this.#tables += 0x1_0000;
    stage2.map(ipa, physical, 4096, 'memory');
    return stage2;
  }

  #makeBus(): MachineBus {
    const isRegister = (address: number) => address >= REGISTERS && address < REGISTERS + 0x2_0000;
    return {
      read32: (address) =>
        isRegister(address) ? this.smmu.read(address - REGISTERS) : this.memory.read32(address),
      write32: (address, value) => {
        if (isRegister(address)) this.smmu.write(address - REGISTERS, value);
        else this.memory.write32(address, value);
      },
      write64: (address, low, high) => {
        if (!isRegister(address)) return this.memory.write64(address, low, high);
        this.smmu.write(address - REGISTERS, low);
        this.smmu.write(address - REGISTERS + 4, high);
      },
      poll: () => {
        if (this.isAlive) this.smmu.step();
      },
    };
  }
}
