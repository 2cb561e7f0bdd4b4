/**
 * Whole remaps between two VMs whose drivers never stop, at many seeds. Judge: the checker over our own machine
 * model. Negative control: with any one safeguard switched off, the same runs must break an invariant.
 */

import { describe, expect, it } from 'vitest';
import { LIES, type Lie } from '../../src/enforcer/tables.ts';
import { ANDROID, VAULT } from '../../src/simulation/machine/board.ts';
import type { Violation } from '../../src/simulation/machine/checker.ts';
import { seededRandom } from '../../src/simulation/machine/random.ts';
import { announce, letLoose, machineOf, remap } from './support.ts';

const SEEDS = 200;
/** Seeds with a safeguard switched off. */
const LIE_SEEDS = 40;

interface Outcome {
  readonly violations: readonly Violation[];
  /** Why the enforcer itself gave up: a coordinator quarantines then. */
  readonly refused: string | undefined;
}

function movesThereAndBack(seed: number, lies: readonly Lie[] = []): Outcome {
  const machine = machineOf(seed, { lies });
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
  return { violations: machine.checker.violations, refused };
}

describe('remap between android and vault with free-running drivers', () => {
  it(`breaks no invariant at ${SEEDS} seeds`, () => {
    announce('remap', 0, SEEDS);
    for (let seed = 0; seed < SEEDS; seed++) {
      expect(movesThereAndBack(seed), `seed ${seed}`).toEqual({ violations: [], refused: undefined });
    }
  });

  it.each(LIES)('is caught with %s', (lie) => {
    announce(`remap ${lie}`, 0, LIE_SEEDS);
    let caught = 0;
    let refused = 0;
    for (let seed = 0; seed < LIE_SEEDS; seed++) {
      const outcome = movesThereAndBack(seed, [lie]);
      caught += Number(outcome.violations.length > 0);
      refused += Number(outcome.violations.length === 0 && outcome.refused !== undefined);
    }
    console.log(`${lie}: ${caught} of ${LIE_SEEDS} seeds break an invariant, ${refused} more are refused`);
    expect(caught).toBeGreaterThan(0);
  });
});
