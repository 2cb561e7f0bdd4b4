/** Negative controls: with a safeguard of `baton-kvm` switched off, the judges of moves.test.ts find it. */

import { afterEach, describe, expect, it } from 'vitest';
import { faultOfMove, leftOver } from './judge.ts';
import { ANDROID, KvmMachine, missingPrograms, VAULT } from './machine.ts';
import { CLEAN, FENCE, grant, KvmWorld, openKvm, runCalls } from './world.ts';

const missing = missingPrograms();
let stops: (() => void | Promise<void>)[] = [];
let keep = (): void => {};

/** Boots a machine whose `baton-kvm` tells a lie. Its VMs wait for their first instruction. */
async function lying(lie: string): Promise<KvmMachine> {
  const machine = new KvmMachine();
  stops.push(() => machine.stop());
  keep = () => machine.keep();
  await machine.start({ lies: [lie] });
  for (const vm of [ANDROID, VAULT]) await machine.ask({ do: 'startVm', vm });
  return machine;
}

/** Host and agents on it; the owner holds the bundle. */
async function worldOn(machine: KvmMachine): Promise<KvmWorld> {
  const world = await KvmWorld.start(machine);
  stops.unshift(() => world.stop());
  return world;
}

describe.skipIf(missing !== undefined)(`lies of baton-kvm${missing ? `: ${missing}` : ''}`, () => {
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') keep();
    for (const stop of stops) await stop();
    stops = [];
  });

  it('skip-unmap: the old holder still reaches the device', async () => {
    const machine = await lying('skip-unmap');
    const world = await worldOn(machine);
    await world.moveTo(VAULT);
    const fault = await faultOfMove(machine, world, ANDROID, VAULT);
    expect(fault).toMatch(/^the device answered android \d+ times after it was moved to vault$/);
  });

  it('skip-reset: what the old holder left reaches the next', async () => {
    const machine = await lying('skip-reset');
    const world = await worldOn(machine);
    expect(await leftOver(machine, world, ANDROID, VAULT)).toMatch(/landed in vault|has what android left/);
  });

  it('skip-drain: a signal of before comes to the next holder', async () => {
    const machine = await lying('skip-drain');
    const enforcer = await openKvm(machine);
    stops.unshift(() => enforcer.close());
    for (const vm of [ANDROID, VAULT]) enforcer.acknowledgeStart(vm);
    await runCalls(enforcer, [...FENCE, ...CLEAN]);
    await machine.raiseForNobody(999);
    const answers = await runCalls(enforcer, [...CLEAN, ...grant(VAULT)]);
    expect(answers.every(({ ok }) => ok)).toBe(true);
    await machine.until('vault gets what was not meant for it', 10_000, async () => {
      return (await machine.peek(VAULT)).orphans > 0;
    });
  });
});
