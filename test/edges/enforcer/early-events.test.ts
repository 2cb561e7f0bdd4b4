/** What an enforcer tells a host at the moment that it listens: ends of VMs that no host has acknowledged. */

import { expect, it } from 'vitest';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { SimulatedMachine } from '../../../targets/lab/machine/machine.ts';
import { UnisolatedWorld } from '../../support/unisolated-world.ts';

it('a VM that ended while no host listened is let go of by the next', () => {
  const machine = new SimulatedMachine({ vms: [ANDROID, VAULT], bundles: [PANEL], seed: 1 });
  const world = new UnisolatedWorld([ANDROID, VAULT], [PANEL], () => machine.enforcer());
  world.startHost().stop();
  // The platform waits for a host.
  machine.enforcer().onEvent(() => {});
  machine.exitVm(VAULT);
  expect(() => machine.startVm(VAULT)).toThrow('exists already');
  world.startHost();
  world.clock.advance(1_000);
  machine.startVm(VAULT);
  world.clock.advance(1_000);
  expect(machine.context(VAULT).ramRead(0x4000_0000)).toEqual({ ok: true, value: 0 });
});
