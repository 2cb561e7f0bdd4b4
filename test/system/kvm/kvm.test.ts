/**
 * A real hypervisor moves a real device model: KVM, VFIO and the SMMU driver of Debian's kernel in an emulated
 * aarch64 machine that boots once. Two bare guests read the device in a loop all the time, whoever holds it.
 */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { VAULT } from '../../../targets/lab/testbed/hardware.ts';
import { KvmMachine, missingPrograms } from '../../../targets/lab/testbed/kvm-machine.ts';
import { deathsSuite } from './deaths.suite.ts';
import { edgeSuite } from './edge.suite.ts';
import { movesSuite } from './moves.suite.ts';
import { portSuite } from './port.suite.ts';
import { sabotageSuite } from './sabotage.suite.ts';
import { ROOT } from './world.ts';

const missing = missingPrograms();
if (missing !== undefined) console.warn(`test:kvm ${missing}`);

const machine = new KvmMachine(ROOT);
describe.skipIf(missing !== undefined).sequential(`KVM${missing ? `: ${missing}` : ''}`, () => {
  beforeAll(() => machine.start([VAULT]));
  afterAll(() => machine.stop());
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') machine.keep();
  });

  describe('an interrupt that is a message', () => edgeSuite(machine));
  describe('baton-kvm', () => portSuite(machine));
  describe('moves', () => movesSuite(machine));
  describe('deaths', () => deathsSuite(machine));
  describe('sabotages', () => sabotageSuite(machine));

  it('a device that nobody can reset is refused by name', () => {
    expect(machine.console()).toMatch(
      /l1: refused: .*engine: nobody here knows how to reset PCI device 0000:00:01\.0 \(1af4:1009\)/,
    );
  });

  it('as it is shipped, baton-kvm has no option for benches and sabotage', () => {
    for (const option of ['--bench', '--sabotage'])
      expect(machine.console()).toContain(`l1: shipped: ${option}: baton-kvm: unknown option; see --help`);
  });

  it('the kernel of the machine has nothing to complain about', () => {
    expect(machine.console()).not.toMatch(/Oops|BUG|panic|Call trace/);
  });
});
