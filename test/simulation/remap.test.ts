/**
 * Whole remaps between two VMs whose drivers never stop, at many seeds. Judge: the checker over our own machine
 * model. Negative control: with any one safeguard switched off, the same runs must break an invariant.
 */

import { describe, expect, it } from 'vitest';
import { SABOTAGES, type Sabotage } from '../../src/edges/enforcer/tables.ts';
import { ANDROID, PANEL, VAULT } from '../../targets/lab/machine/board.ts';
import type { Violation } from '../../targets/lab/machine/checker.ts';
import { seededRandom } from '../../targets/lab/machine/random.ts';
import { announce, fence, grant, letLoose, machineOf, remap, run } from './support.ts';

const SEEDS = 200;
/** Seeds with a safeguard switched off. */
const SABOTAGE_SEEDS = 40;

interface Outcome {
  readonly violations: readonly Violation[];
  /** Why the enforcer itself gave up: a coordinator quarantines then. */
  readonly refused: string | undefined;
  /** Refused accesses: the guests really tried. */
  readonly faults: number;
}

function movesThereAndBack(seed: number, sabotages: readonly Sabotage[] = []): Outcome {
  const machine = machineOf(seed, { sabotages });
  const enforcer = machine.enforcer();
  letLoose(machine, seed);
  const random = seededRandom(seed);
  const settleDown = () => {
    for (let n = 10 + random(20); n > 0; n--) {
      machine.tick();
      machine.background?.();
    }
  };
  let refused: string | undefined;
  try {
    for (const vm of [ANDROID, VAULT, ANDROID]) {
      remap(enforcer, vm);
      settleDown();
    }
  } catch (error) {
    refused = String(error);
  }
  let faults = 0;
  for (const { count } of enforcer.faults()) faults += count;
  return { violations: machine.checker.violations, refused, faults };
}

describe('remap between android and vault with free-running drivers', () => {
  it(`breaks no invariant at ${SEEDS} seeds`, () => {
    announce('remap', 0, SEEDS);
    let withFaults = 0;
    for (let seed = 0; seed < SEEDS; seed++) {
      const { violations, refused, faults } = movesThereAndBack(seed);
      expect([violations, refused], `seed ${seed}`).toEqual([[], undefined]);
      withFaults += Number(faults > 0);
    }
    // Guards against an empty test: in nearly every run somebody was kept out.
    expect(withFaults).toBeGreaterThan(SEEDS / 2);
  });

  it.each(SABOTAGES)('is caught with %s', (sabotage) => {
    announce(`remap ${sabotage}`, 0, SABOTAGE_SEEDS);
    let caught = 0;
    let refused = 0;
    for (let seed = 0; seed < SABOTAGE_SEEDS; seed++) {
      const outcome = movesThereAndBack(seed, [sabotage]);
      caught += Number(outcome.violations.length > 0);
      refused += Number(outcome.violations.length === 0 && outcome.refused !== undefined);
    }
    console.log(
      `${sabotage}: ${caught} of ${SABOTAGE_SEEDS} seeds break an invariant, ${refused} more are refused`,
    );
    // A device that was not reset may be idle at some seeds; the enforcer refuses others itself.
    expect(caught).toBeGreaterThan(SABOTAGE_SEEDS / 3);
    expect(caught + refused).toBeGreaterThan((SABOTAGE_SEEDS * 3) / 4);
  });
});

describe('the checker', () => {
  it('calls half a bundle moved a breach of S3', () => {
    const machine = machineOf(1);
    const enforcer = machine.enforcer();
    remap(enforcer, ANDROID);
    const touch = PANEL.devices[0]!.resources.map(({ id }) => id);
    run(
      enforcer,
      touch.map((resource) => ({ op: 'fence', resource })),
    );
    run(enforcer, [
      { op: 'settle' },
      ...touch.map((resource) => ({ op: 'grant', resource, vm: VAULT }) as const),
    ]);
    const [first] = machine.checker.violations;
    expect(first).toMatchObject({ invariant: 'S3', vms: ['android#1', 'vault#2'] });
    expect(first!.step).toBeGreaterThan(0);
  });

  it('names resource, path and both VMs', () => {
    const machine = machineOf(1, { sabotages: ['skip-unmap'] });
    const enforcer = machine.enforcer();
    for (const vm of [ANDROID, VAULT]) run(enforcer, [...fence(), ...grant(vm)]);
    const double = machine.checker.violations.find(({ invariant }) => invariant === 'S1');
    expect(double?.text).toMatch(
      /^touch.mmio0: descriptor at 0x[0-9a-f]+: reached by two android#1, vault#2$/,
    );
  });
});
