/** What a service that takes over finds: interrupts that the one before masked, and did not live to settle. */

import { expect, it } from 'vitest';
import type { ResourceId } from '../../src/core/protocol/ids.ts';
import { ANDROID } from '../../targets/lab/machine/board.ts';
import { Guest, machineOf, remap, run } from './support.ts';

/** Seeds: whether an interrupt is with a virtual processor at that moment is up to the machine. */
const SEEDS = 20;

it('an interrupt that was masked is with no virtual processor any more', () => {
  let pending = 0;
  for (let seed = 0; seed < SEEDS; seed++) {
    const machine = machineOf(seed);
    const enforcer = machine.enforcer();
    remap(enforcer, ANDROID);
    const android = new Guest(machine, ANDROID);
    android.run(android.touch.resume());
    // Nobody ends what is delivered.
    android.context.onInterrupt(null);
    machine.touch(1, 1, true);
    machine.tick(200);
    run(
      enforcer,
      ['touch.interrupt0', 'display.interrupt0'].map(
        (id) => ({ op: 'fence', resource: id as ResourceId }) as const,
      ),
    );
    pending += Number(machine.checker.reachedBy(ANDROID).includes('touch.interrupt0'));
    const next = machine.enforcer();
    run(next, [{ op: 'inspect', resource: 'touch.interrupt0' as ResourceId }]);
    expect(machine.checker.violations, `seed ${seed}`).toEqual([]);
  }
  expect(pending).toBeGreaterThan(0);
});
