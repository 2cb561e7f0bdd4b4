/** Negative controls: with a safeguard of `baton-kvm` switched off, the judges of moves.test.ts find it. */

import { afterEach, describe, expect, it } from 'vitest';
import { faultOfMove, leftOver } from './judge.ts';
import { ANDROID, KvmMachine, missingPrograms, VAULT } from './machine.ts';
import { KvmWorld } from './world.ts';

const missing = missingPrograms();
let stop: () => Promise<void>;

/** Boots a machine whose `baton-kvm` tells a lie; the owner holds the bundle. */
async function lying(lie: string): Promise<{ machine: KvmMachine; world: KvmWorld }> {
  const machine = new KvmMachine();
  stop = () => machine.stop();
  await machine.start({ lies: [lie] });
  for (const vm of [ANDROID, VAULT]) await machine.ask({ do: 'startVm', vm });
  const world = await KvmWorld.start(machine);
  stop = () => {
    world.stop();
    return machine.stop();
  };
  return { machine, world };
}

describe.skipIf(missing !== undefined)(`lies of baton-kvm${missing ? `: ${missing}` : ''}`, () => {
  afterEach(() => stop());

  it('skip-unmap: the old holder still reaches the device', async () => {
    const { machine, world } = await lying('skip-unmap');
    await world.moveTo(VAULT);
    const fault = await faultOfMove(machine, world, ANDROID, VAULT);
    expect(fault).toMatch(/^the device answered android \d+ times after it was moved to vault$/);
  });

  it('skip-reset: what the old holder left reaches the next', async () => {
    const { machine, world } = await lying('skip-reset');
    expect(await leftOver(machine, world, ANDROID, VAULT)).toBeDefined();
  });
});
