/**
 * Our emitters with QEMU's SMMUv3 as executor: whole remaps between two VMs, with DMA between any two writes (board.ts
 * says who may be reached when), and negative controls, each of which must be noticed by its sign.
 * BATON_MOVES: how many remaps, 40 unless told otherwise; BATON_SEED: another order.
 */

import { describe, expect, test } from 'vitest';
import {
  COMMAND_BYTES,
  OPCODE,
  STE_BYTES,
  STRTAB_SPLIT_BITS,
} from '../../../src/edges/enforcer/smmuv3-layout.ts';
import { ANDROID, SMMU_LAYOUT, VAULT } from '../../../targets/lab/machine/board.ts';
import { paced } from '../../support/pace.ts';
import { Board, type BoardOptions, type Bug, STREAMS, UNMAPPED } from './board.ts';
import { qemuProgram } from './qemu-program.ts';

const MOVES = Number(process.env['BATON_MOVES'] ?? 40);
const SEED = Number(process.env['BATON_SEED'] ?? Date.now() % 1_000_000);
/** Enough for each control to show: every move has a hundred accesses. */
const CONTROL_MOVES = 4;
/** A move takes a tenth of a second; three times as long on a busy machine, before it is stretched by its pace. */
const LIMIT_MS = paced(30_000 + MOVES * 300);

/** Moves the bundle to and fro. Returns all that is wrong: who was reached, what was not reported, errors. */
async function run(moves: number, options: Partial<BoardOptions> = {}) {
  const lifeS = LIMIT_MS / 1000;
  const board = new Board({ program: qemuProgram(), seed: SEED, lifeS, ...options });
  const wrong = new Set<string>();
  try {
    for (let move = 0; move < moves; move++) {
      board.move(move % 2 === 0 ? ANDROID : VAULT);
      // Calls to QEMU block: the test runner gets its turn.
      await new Promise((resolve) => setImmediate(resolve));
    }
    board.probeUnmapped();
    if (board.overflow().join() !== 'true,false')
      wrong.add('an overflow of the event queue is not told once');
  } catch (error) {
    wrong.add(`${error}`);
  } finally {
    board.end();
  }
  for (const violation of board.violations) wrong.add(violation);
  for (const stream of STREAMS) {
    const own = board.faults.filter((fault) => fault.stream === stream && fault.bundle === 'panel');
    const name = `0x${stream.toString(16)}`;
    if (!own.some(({ event }) => event === 'C_BAD_STE')) wrong.add(`${name}: blocked and not named`);
    for (const at of UNMAPPED) {
      const isNamed = own.some(({ event, address }) => event === 'F_TRANSLATION' && address === at);
      if (!isNamed) wrong.add(`${name}: a fault of its holder is not named`);
    }
  }
  return { wrong: [...wrong], counts: board.counts };
}

/** Changes commands in the queue, by opcode. */
function command(opcode: number, change: Bug): Bug {
  const { commandQueue, commandBits } = SMMU_LAYOUT;
  return (address, low, high) => {
    const isFirst = (address - commandQueue) % COMMAND_BYTES === 0;
    const isInside = address >= commandQueue && address < commandQueue + (COMMAND_BYTES << commandBits);
    return isInside && isFirst && low === opcode ? change(address, low, high) : [low, high];
  };
}

/** Changes a word of stream table entries. */
function entryWord(word: number, change: Bug): Bug {
  const { leafTables } = SMMU_LAYOUT;
  const bytes = STREAM_LEAVES * (STE_BYTES << STRTAB_SPLIT_BITS);
  return (address, low, high) => {
    const isInside = address >= leafTables && address < leafTables + bytes;
    return isInside && (address % STE_BYTES) / 8 === word ? change(address, low, high) : [low, high];
  };
}

/** More second-level tables than the streams of the board need. */
const STREAM_LEAVES = 8;
const S2R = 1 << 26;
const S2TG_64K = 1 << 14;
/** The root of every entry, once there is one. */
let firstRoot: number | undefined;

/** What an emitter might do wrong, and what must come of it. */
const BUGS: Readonly<Record<string, readonly [Bug, RegExp]>> = {
  'CFGI_STE is not given': [
    command(OPCODE.CFGI_STE, (_, _low, high) => [OPCODE.PREFETCH_CONFIG, high]),
    /reaches android where (nobody|vault)/,
  ],
  'CFGI_STE names another stream': [
    command(OPCODE.CFGI_STE, (_, low, high) => [low, high ^ 1]),
    /reaches android where (nobody|vault)/,
  ],
  'TLBI_S12_VMALL names another VM': [
    command(OPCODE.TLBI_S12_VMALL, (_, low, high) => [low, high ^ 3]),
    /engine reaches registers/,
  ],
  'an opcode is illegal': [
    command(OPCODE.TLBI_S12_VMALL, (_, low, high) => [low | 0x80, high]),
    /settle: .*CERROR_ILL at command 0xa8/,
  ],
  'all entries have one VMID': [
    entryWord(2, (_, low, high) => [low === 0 ? 0 : 1, high]),
    /reaches (android where vault|vault where android)/,
  ],
  'all entries have one root': [
    entryWord(3, (_, low, high) => {
      if (low !== 0) firstRoot ??= low;
      return [low === 0 ? 0 : firstRoot!, high];
    }),
    /reaches android where vault/,
  ],
  'a blocked stream passes': [
    entryWord(0, (_, low, high) => [low === 0 ? 9 : low, high]),
    /reaches android where nobody/,
  ],
  'a blocked stream is silent': [
    entryWord(0, (_, low, high) => [low === 0 ? 1 : low, high]),
    /blocked and not named/,
  ],
  'a stream is not blocked': [
    entryWord(0, (_, low, high) => (low === 0 ? undefined : [low, high])),
    /entry is valid, block it first|cannot be reset: .* is reached by/,
  ],
  'faults are not recorded': [
    entryWord(2, (_, low, high) => [low, high & ~S2R]),
    /a fault of its holder is not named/,
  ],
  'the granule is another': [
    entryWord(2, (_, low, high) => [low, high | S2TG_64K]),
    /reaches nobody where android must be/,
  ],
};

test(
  'remaps: no stream reaches memory of another VM at any moment, and blocked ones are named',
  async () => {
    const { wrong, counts } = await run(MOVES);
    console.log(`emitters: BATON_SEED=${SEED}`, counts);
    expect(wrong).toEqual([]);
  },
  LIMIT_MS,
);

describe('negative controls', () => {
  test.each([
    ['skip-unmap', /engine reaches registers/],
    ['skip-sync', /reaches android where nobody/],
    ['smmu-tlbi', /engine reaches registers/],
  ] as const)('%s is noticed', async (sabotage, sign) => {
    const { wrong } = await run(CONTROL_MOVES, { sabotages: [sabotage] });
    expect(wrong.join('\n')).toMatch(sign);
  });

  test.each(Object.keys(BUGS))('%s: noticed', async (name) => {
    const [bug, sign] = BUGS[name]!;
    const { wrong } = await run(CONTROL_MOVES, { bug });
    expect(wrong.join('\n')).toMatch(sign);
  });
});
