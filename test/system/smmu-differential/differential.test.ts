/**
 * Our SMMU model against QEMU's SMMUv3: random programs on both, every step compared (machines.ts says what and how).
 * BATON_STEPS: how many steps, 10,000 unless told otherwise; BATON_SEED: another program.
 */

import { expect, test } from 'vitest';
import { REGISTER } from '../../../src/edges/enforcer/smmuv3-layout.ts';
import { LAZY, Rig } from '../../edges/enforcer/rig.ts';
import { paced } from '../../support/pace.ts';
import { Machines } from './machines.ts';
import { Program, STREAMS } from './program.ts';
import { qemuProgram } from './qemu-program.ts';
import { SMMU } from './qtest.ts';

const STEPS = Number(process.env['BATON_STEPS'] ?? 10_000);
const SEED = Number(process.env['BATON_SEED'] ?? Date.now() % 1_000_000);
/** Steps between two looks at the whole memory of devices. */
const ROUND = 1_000;
/** A step takes half a millisecond; four times as long on a busy machine, before it is stretched by its pace. */
const LIMIT_MS = paced(30_000 + STEPS * 2);
/** Fields of IDR0 and IDR5 about stage 1 (ASID16, TERM_MODEL) and about granules that our model lacks. */
const IDR0_STAGE1 = (1 << 12) | (1 << 26);
const IDR5_GRANULES = 3 << 5;

/** What 10,000 steps must have seen, else the programs have lost their point. */
const KINDS = [
  'passes',
  'is refused silently',
  'leaves C_BAD_STREAMID',
  'leaves C_BAD_STE',
  'leaves F_TRANSLATION',
  'leaves F_ADDR_SIZE',
  'leaves F_ACCESS',
  'leaves F_PERMISSION',
  'record finds the queue full',
  'command queue is halted',
] as const;
/** What the programs have seen so far. */
const seen: string[] = [];

test.each([
  ['linear', false],
  ['two-level', true],
])(
  'random programs, %s stream table',
  async (name, twoLevel) => {
    console.log(`smmu-differential, ${name}: BATON_SEED=${SEED}`);
    const machines = new Machines(qemuProgram(), STREAMS, LIMIT_MS / 1000);
    let step = 0;
    const startMs = performance.now();
    try {
      const program = new Program(machines, SEED, twoLevel);
      for (; step < STEPS / 2; step++) {
        program.step();
        if (step % ROUND === 0) machines.compareMemory();
      }
      machines.compareMemory();
    } catch (cause) {
      const { message } = cause as Error;
      throw new Error(`seed ${SEED}, step ${step}: ${message}\n${machines.log.join('\n')}`, { cause });
    } finally {
      machines.qemu.end();
    }
    const perSecond = Math.round((step * 1000) / (performance.now() - startMs));
    console.log(`${step} steps, ${perSecond} a second`, Object.fromEntries([...machines.seen].sort()));
    seen.push(...machines.seen.keys());
  },
  LIMIT_MS,
);

test.runIf(STEPS >= 10_000)('the programs have seen everything', () => {
  for (const kind of KINDS) expect(seen.join()).toContain(kind);
});

test('the model says of itself what QEMU says, as far as it goes', () => {
  const machines = new Machines(qemuProgram(), [STREAMS[0]], LIMIT_MS / 1000);
  const model = new Rig(LAZY).smmu;
  try {
    const differ = (register: number) => machines.qemu.read32(SMMU + register) ^ model.read(register);
    expect(differ(REGISTER.IDR0)).toBe(IDR0_STAGE1);
    expect(differ(REGISTER.IDR1)).toBe(0);
    expect(differ(REGISTER.IDR5)).toBe(IDR5_GRANULES);
  } finally {
    machines.qemu.end();
  }
});
