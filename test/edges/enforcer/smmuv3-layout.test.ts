/** SMMUv3 bit layouts against numbers written out by hand from the sources named in smmuv3-layout.ts. */

import { describe, expect, it } from 'vitest';
import {
  cfgiAll,
  cfgiSte,
  commandSync,
  decodeEntry,
  decodeEvent,
  levelOneDescriptor,
  silentEntry,
  stage2Entry,
  tlbiAll,
  tlbiPage,
  tlbiVmid,
} from '../../../src/edges/enforcer/smmuv3-layout.ts';
import { pageDescriptor, tableIndex } from '../../../src/edges/enforcer/stage2.ts';

const hex = (halves: ArrayLike<number>) => Array.from(halves, (half) => half.toString(16));

describe('stream table entry', () => {
  it('for stage 2 has V, Config 6, VMID, 39-bit IPA from level 1, S2R and no S2S', () => {
    // Word 2 upper half: T0SZ 25, SL0 1, IR0 1, OR0 1, SH0 3, TG 0, PS 2, AA64, AFFD, PTW, R.
    expect(hex(stage2Entry(0x1234, 0x12_8765_4000))).toEqual(
      ['d', '0', '0', '1000', '1234', '46a3559', '87654000', '12'].concat(new Array(8).fill('0')),
    );
  });

  it('that is silent has V and Config 0 only', () => {
    expect(hex(silentEntry())).toEqual(['1', ...new Array(15).fill('0')]);
  });

  it('is read back as it was composed', () => {
    expect(decodeEntry(stage2Entry(7, 0x8020_0000))).toEqual({
      valid: true,
      config: 6,
      vmid: 7,
      root: 0x8020_0000,
      records: true,
      stalls: false,
      shape: { inputBits: 39, startLevel: 1, outputBits: 40, accessFaults: false },
    });
    expect(decodeEntry(new Uint32Array(16))).toMatchObject({ valid: false, config: 0 });
  });

  it.each([
    ['a table below 4 GiB', 0x8001_0000, ['80010009', '0']],
    ['a table above 4 GiB', 0x3_8001_0000, ['80010009', '3']],
  ])('level 1 descriptor of %s has Span 9 for 256 entries', (_, table, want) => {
    expect(hex(levelOneDescriptor(table))).toEqual(want);
  });
});

describe('commands', () => {
  it.each([
    ['CFGI_STE', cfgiSte(0x6c3), ['3', '6c3', '1', '0']],
    ['CFGI_ALL', cfgiAll(), ['4', '0', '1f', '0']],
    ['TLBI_S12_VMALL', tlbiVmid(0xbeef), ['28', 'beef', '0', '0']],
    ['TLBI_S2_IPA', tlbiPage(2, 0x12_4000_1000), ['2a', '2', '40001000', '12']],
    ['TLBI_NSNH_ALL', tlbiAll(), ['30', '0', '0', '0']],
    ['CMD_SYNC', commandSync(), ['46', '0', '0', '0']],
  ])('%s', (_, command, want) => {
    expect(hex(command)).toEqual(want);
  });
});

describe('event records', () => {
  it.each([
    ['C_BAD_STE, write', [0x04, 0x880, 0, 0, 0x4000_0010, 0, 0, 0], 'C_BAD_STE', 0x4000_0010, true],
    ['F_TRANSLATION, read', [0x10, 0x880, 0, 8, 0x1000, 0x2, 0, 0], 'F_TRANSLATION', 0x2_0000_1000, false],
    ['an unknown one', [0xee, 0x880, 0, 8, 0, 0, 0, 0], 'event 0xee', 0, false],
  ])('%s', (_, halves, event, address, write) => {
    expect(decodeEvent(halves)).toEqual({ event, stream: 0x880, address, write });
  });
});

describe('stage-2 descriptors', () => {
  it('of memory: AF, inner shareable, read and write, write-back', () => {
    expect(hex(pageDescriptor(0x1_4000_5000, 'memory'))).toEqual(['400057ff', '1']);
  });

  it('of registers: AF, read and write, device memory, never executed', () => {
    expect(hex(pageDescriptor(0x0a90_0000, 'device'))).toEqual(['a9004c7', '400000']);
  });

  it.each([
    [1, 1],
    [2, 0],
    [3, 5],
  ])('IPA 0x40005000 has index at level %i: %i', (level, index) => {
    expect(tableIndex(0x4000_5000, level)).toBe(index);
  });
});
