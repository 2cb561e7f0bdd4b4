/** Stage-2 tables written by the emitter, walked by the model that processors and SMMU share. */

import { describe, expect, it } from 'vitest';
import { walk } from '../../../targets/lab/machine/walker.ts';
import { LAZY, Rig } from './rig.ts';

const RAM = 0x4000_0000;
const REGISTERS = 0x0ae0_0000;

describe('stage 2', () => {
  it('maps and unmaps page by page', () => {
    const rig = new Rig(LAZY);
    const stage2 = rig.tables(RAM, 0x4700_0000);
    stage2.map(REGISTERS, REGISTERS, 0x1_0000, 'device');

    expect(walk(rig.memory, stage2.root, REGISTERS + 0xf004, 1)).toMatchObject({ physicalPage: 0xae0f });
    expect(stage2.countMapped(REGISTERS, REGISTERS, 0x1_0000)).toBe(16);
    expect(stage2.unmap(REGISTERS, REGISTERS, 0x1_0000)).toBe(16);
    expect(stage2.unmap(REGISTERS, REGISTERS, 0x1_0000)).toBe(0);
    expect(walk(rig.memory, stage2.root, REGISTERS, 1)).toBe('translation');
    expect(walk(rig.memory, stage2.root, RAM, 1)).toMatchObject({ physicalPage: 0x47000 });
  });

  it('crosses from one table into the next', () => {
    const rig = new Rig(LAZY);
    const stage2 = rig.tables(RAM, 0x4700_0000);
    const last = 0x0a00_0000 - 0x1000;
    // The second table is made first, so that it does not lie behind the other by chance.
    stage2.reserve(last + 0x1000, 0x1000);
    stage2.map(last, 0x0b00_0000, 0x2000, 'device');
    expect(stage2.lookup(last)).toBe(0x0b00_0000);
    expect(stage2.lookup(last + 0x1008)).toBe(0x0b00_1008);
    expect(stage2.countMapped(last, 0x0b00_0000, 0x2000)).toBe(2);
    expect(stage2.unmap(last, 0x0b00_0000, 0x2000)).toBe(2);
    expect(stage2.lookup(last + 0x1000)).toBeUndefined();
  });

  it('leaves alone what leads elsewhere', () => {
    const rig = new Rig(LAZY);
    const stage2 = rig.tables(RAM, 0x4700_0000);
    expect(stage2.unmap(RAM, 0x4800_0000, 0x1000)).toBe(0);
    expect(stage2.lookup(RAM)).toBe(0x4700_0000);
  });

  it.each([
    [RAM + 1, 0x1000],
    [RAM, 0x800],
    [2 ** 39, 0x1000],
    [-0x1000, 0x1000],
  ])('refuses %i + %i bytes', (ipa, bytes) => {
    const stage2 = new Rig(LAZY).tables(RAM, 0x4700_0000);
    expect(() => stage2.map(ipa, 0, bytes, 'memory')).toThrow(RangeError);
  });

  it('refuses an IPA beyond 39 bits in the walk', () => {
    const rig = new Rig(LAZY);
    expect(walk(rig.memory, rig.tables(RAM, RAM).root, 2 ** 39, 1)).toBe('translation');
    expect(walk(rig.memory, rig.tables(RAM, RAM).root, 2 ** 44, 1)).toBe('inputSize');
  });

  it('runs out of table memory with a name', () => {
    const stage2 = new Rig(LAZY).tables(RAM, RAM);
    const mapFar = () => {
      for (let n = 1; n < 20; n++) stage2.map(n * 0x4000_0000 * 2, 0, 4096, 'memory');
    };
    expect(mapFar).toThrow('no memory left for stage-2 tables');
  });
});
