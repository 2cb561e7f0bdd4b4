/** Sets of stage-2 tables for random programs, and where each descriptor of them lies. */

import { RAM } from './qtest.ts';

/** Stage-2 tables, 1 MiB for each set of tables. */
const TABLES = RAM + 0x200_0000;
const ROOT_BYTES = 0x1_0000;

/**
 * IPAs that devices use. A block of level 1 or 2 that maps the start of RAM leads from each of them to one of `PAGES`;
 * those from 0x4000_0000 on may pass untranslated. Two are beyond the tables of 39 bits.
 */
export const IPAS = [
  0x4000_0000, 0x4000_1000, 0x4020_1000, 0x4020_2000, 0x3000, 0x20_0000, 0x40_0000_2000, 0x7f_c020_3000,
  0x80_4000_0000, 0x800_0000_0000,
] as const;
/**
 * Sets of tables: VMID, root, and the shape they are walked in. The first three are as ours; two share a VMID. Others
 * have fewer bits, or more and another level first.
 */
export const SETS = [
  { vmid: 1, root: 0, inputBits: 39, sl0: 1 },
  { vmid: 2, root: 1, inputBits: 39, sl0: 1 },
  { vmid: 2, root: 2, inputBits: 39, sl0: 1 },
  { vmid: 0xfffd, root: 3, inputBits: 36, sl0: 1 },
  { vmid: 4, root: 4, inputBits: 40, sl0: 2 },
  { vmid: 5, root: 5, inputBits: 30, sl0: 0 },
] as const;
export type TableSet = (typeof SETS)[number];

/** Physical address of the start table. */
export function rootOf({ root }: TableSet): number {
  return TABLES + root * 0x10_0000;
}

/** S2T0SZ and S2SL0. */
export function sizeOf({ inputBits, sl0 }: TableSet): number {
  return (64 - inputBits) | (sl0 << 6);
}

/**
 * Address of the descriptor for `ipa`; undefined where the set has none. Below the root there is a table for each IPA
 * and level, or for several IPAs that share it.
 */
export function placeOf(set: TableSet, ipa: number, level: number): number | undefined {
  const start = 2 - set.sl0;
  if (level < start || ipa >= 2 ** set.inputBits) return undefined;
  const bytes = 4096 * 512 ** (3 - level);
  if (level === start) return rootOf(set) + Math.floor(ipa / bytes) * 8;
  const whole = Math.floor(ipa / (bytes * 512));
  const first = IPAS.findIndex((other) => Math.floor(other / (bytes * 512)) === whole);
  const table = rootOf(set) + ROOT_BYTES + (level * IPAS.length + first) * 4096;
  return table + (Math.floor(ipa / bytes) % 512) * 8;
}
