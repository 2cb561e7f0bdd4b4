/** Incarnations of VMs over restarts of the host and of the machine: no two have one number. */

import { expect, it } from 'vitest';
import {
  beganIn,
  type RegistryRecord,
  registryAtStart,
  runningIn,
} from '../../../src/core/host/vm-registry.ts';
import type { VmId } from '../../../src/core/protocol/ids.ts';
import { ANDROID, VAULT } from '../../../targets/lab/machine/board.ts';

const ended = (registry: RegistryRecord, vm: VmId): RegistryRecord => ({
  ...registry,
  running: registry.running.filter((other) => other !== vm),
});

/** What is written down of a machine on which android is in its first incarnation and vault in its second. */
const record = () =>
  beganIn(ended(beganIn(registryAtStart(undefined, 'one', [ANDROID], 0), VAULT), VAULT), VAULT);

it('counts from 1, and never again the same', () => {
  expect(record()).toEqual({
    machineBoot: 'one',
    incarnations: { [ANDROID]: 1, [VAULT]: 2 },
    running: [ANDROID, VAULT],
    floor: 0,
  });
});

it('a VM that ran before and runs now is in the same incarnation, as long as the machine was not rebooted', () => {
  expect(runningIn(registryAtStart(record(), 'one', [ANDROID, VAULT], 0))).toEqual({
    [ANDROID]: 1,
    [VAULT]: 2,
  });
});

it('a VM that runs after a reboot is in a new one, and numbers go on from where they were', () => {
  const registry = registryAtStart(record(), 'two', [ANDROID, VAULT], 0);
  expect(runningIn(registry)).toEqual({ [ANDROID]: 2, [VAULT]: 3 });
  expect(registry.machineBoot).toBe('two');
});

it('a VM that started while no host ran is in a new one; one that ended has none', () => {
  const before = registryAtStart(record(), 'one', [ANDROID], 0);
  expect(before.running).toEqual([ANDROID]);
  const registry = registryAtStart(before, 'one', [ANDROID, VAULT], 0);
  expect(runningIn(registry)).toEqual({ [ANDROID]: 1, [VAULT]: 3 });
  expect(runningIn(ended(registry, VAULT))).toEqual({ [ANDROID]: 1 });
});

it('after a lost record, numbers go on above all that may have been counted, of VMs that start later, too', () => {
  const lost = registryAtStart(undefined, 'two', [ANDROID], 1_024);
  expect(runningIn(lost)).toEqual({ [ANDROID]: 1_025 });
  expect(beganIn(lost, VAULT).incarnations[VAULT]).toBe(1_025);
  // Nor does a later start forget it.
  expect(beganIn(registryAtStart(lost, 'two', [ANDROID], 0), VAULT).incarnations[VAULT]).toBe(1_025);
});
