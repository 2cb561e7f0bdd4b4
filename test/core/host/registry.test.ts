/** Lives of VMs over restarts of the host and of the machine: no two lives have one number. */

import { expect, it } from 'vitest';
import { VmRegistry } from '../../../src/core/host/vm-registry.ts';
import { ANDROID, VAULT } from '../../../targets/lab/machine/board.ts';

/** What is written down of a machine on which android is in its first life and vault in its second. */
function record() {
  const registry = new VmRegistry(undefined, 'one', [ANDROID]);
  registry.begin(VAULT);
  registry.end(VAULT);
  registry.begin(VAULT);
  return registry.record();
}

it('counts from 1, and never again the same', () => {
  expect(record()).toEqual({
    machineBoot: 'one',
    lives: { [ANDROID]: 1, [VAULT]: 2 },
    running: [ANDROID, VAULT],
  });
});

it('a VM that ran before and runs now is in the same life, as long as the machine was not rebooted', () => {
  const registry = new VmRegistry(record(), 'one', [ANDROID, VAULT]);
  expect(registry.running()).toEqual({ [ANDROID]: 1, [VAULT]: 2 });
});

it('a VM that runs after a reboot is in a new life, and lives go on from where they were', () => {
  const registry = new VmRegistry(record(), 'two', [ANDROID, VAULT]);
  expect(registry.running()).toEqual({ [ANDROID]: 2, [VAULT]: 3 });
  expect(registry.record().machineBoot).toBe('two');
});

it('a VM that started while no host ran is in a new life; one that ended has none', () => {
  const before = new VmRegistry(record(), 'one', [ANDROID]).record();
  expect(before.running).toEqual([ANDROID]);
  const registry = new VmRegistry(before, 'one', [ANDROID, VAULT]);
  expect(registry.incarnationOf(VAULT)).toBe(3);
  registry.end(VAULT);
  expect(registry.incarnationOf(VAULT)).toBe(0);
  expect(registry.running()).toEqual({ [ANDROID]: 1 });
});
