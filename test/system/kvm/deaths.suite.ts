/** Whoever dies in a move, and whenever: afterwards one VM reaches the device, and the other does not. */

import { afterAll, beforeAll, expect, it } from 'vitest';
import { ANDROID, VAULT } from '../../../targets/lab/testbed/hardware.ts';
import { faultOfMove } from '../../../targets/lab/testbed/judge.ts';
import type { KvmMachine } from '../../../targets/lab/testbed/kvm-machine.ts';
import { KvmWorld, MOVE_MS } from './world.ts';

export function deathsSuite(machine: KvmMachine): void {
  let world: KvmWorld;
  beforeAll(async () => {
    world = await KvmWorld.start(machine);
  });
  afterAll(() => world?.stop());

  it('an owner that restarts while its bundle is lent reaches nothing of it, and gets it back', async () => {
    await world.moveTo(VAULT);
    await world.testbed.killVm(ANDROID);
    await world.testbed.startVm(ANDROID);
    expect(await world.holder()).toBe(VAULT);
    await machine.until('android runs again', MOVE_MS, async () => (await machine.exits(ANDROID)).reads > 50);
    expect((await machine.peek(ANDROID)).answered).toBe(0);
    await world.moveTo(ANDROID);
    expect(await faultOfMove(machine, VAULT, ANDROID)).toBeUndefined();
  });

  it.each(['fence', 'reset', 'grant', 'held'] as const)(
    'a borrower that is killed in %s: the bundle is its owner’s again, and nothing of it its next run’s',
    async (when) => {
      if (when === 'held') await world.moveTo(VAULT);
      else await world.borrowUntil(when);
      await world.testbed.killVm(VAULT);
      await world.untilHeldBy(ANDROID);
      await world.testbed.startVm(VAULT);
      await machine.until('vault runs again', MOVE_MS, async () => (await machine.exits(VAULT)).reads > 50);
      expect(await faultOfMove(machine, VAULT, ANDROID)).toBeUndefined();
      expect((await machine.peek(VAULT)).answered).toBe(0);
    },
  );

  it('a borrower whose agent hangs loses the bundle by force', async () => {
    await world.borrow({ leaseMs: 400, noticeMs: 100 });
    await world.testbed.endAgent(VAULT, 'SIGSTOP');
    await world.untilHeldBy(ANDROID);
    expect(await faultOfMove(machine, VAULT, ANDROID)).toBeUndefined();
    await world.testbed.endAgent(VAULT, 'SIGCONT');
    expect(await world.atRest()).toBe(ANDROID);
  });

  it.each(['fence', 'reset', 'grant'] as const)(
    'a host that is killed in %s: its next run ends the move',
    async (op) => {
      const { answer } = await world.borrowUntil(op);
      await world.testbed.killHost();
      await world.testbed.startHost([]);
      await answer;
      const to = await world.atRest();
      expect(await faultOfMove(machine, to === VAULT ? ANDROID : VAULT, to)).toBeUndefined();
      if (to === VAULT) await world.moveTo(ANDROID);
    },
  );

  it('when baton-kvm is killed its VMs are gone: all is parked, and goes to their next lives', async () => {
    await world.moveTo(VAULT);
    await machine.crash();
    expect(await world.testbed.hostEnded()).toBe(75);
    for (const vm of [ANDROID, VAULT]) await world.testbed.endAgent(vm, 'SIGKILL');
    await world.testbed.startHost([]);
    await machine.until('the bundle is parked', MOVE_MS, async () => {
      return (await world.testbed.view())['state'] === 'parked';
    });
    expect(await world.testbed.runningVms()).toEqual({});
    for (const vm of [VAULT, ANDROID]) await world.testbed.startVm(vm);
    await world.untilHeldBy(ANDROID);
    expect(await faultOfMove(machine, VAULT, ANDROID)).toBeUndefined();
    await world.moveTo(VAULT);
    expect(await faultOfMove(machine, ANDROID, VAULT)).toBeUndefined();
    await world.moveTo(ANDROID);
  });
}
