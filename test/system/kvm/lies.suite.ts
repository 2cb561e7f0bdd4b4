/** Negative controls: with a safeguard of `baton-kvm` switched off, the judges of the other suites find it. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ANDROID, ENGINE, type KvmMachine, VAULT } from '../../../targets/native/bed/kvm-machine.ts';
import { faultOfDma, faultOfMove, leftOver } from './judge.ts';
import { clean, fence, grant, KvmWorld, MOVE_MS, openKvm, runCalls } from './world.ts';

/** Needs VMs that run, with ENGINE their owner's. */
export function liesSuite(machine: KvmMachine): void {
  let told: string | undefined;
  const lie = async (name: string) => {
    await machine.lie(name, true);
    told = name;
  };
  /** The truth again. What the lie left is cleared by the next moves. */
  afterEach(async () => {
    if (told) await machine.lie(told, false);
    told = undefined;
  });

  describe('under host and agents', () => {
    let world: KvmWorld;
    beforeAll(async () => {
      world = await KvmWorld.start(machine);
    });
    afterAll(() => world?.stop());

    it('skip-reset: what the old holder left reaches the next', async () => {
      await lie('skip-reset');
      expect(await leftOver(machine, world, ANDROID, VAULT)).toMatch(/landed in vault|has what android left/);
      await world.moveTo(ANDROID);
    });

    it('skip-domain: the new holder’s DMA goes to the old holder’s memory', async () => {
      await lie('skip-domain');
      await world.moveTo(VAULT);
      expect(await faultOfDma(machine, VAULT, 0x5eed)).toMatch(/landed in (android|vault)$/);
      await machine.lie('skip-domain', false);
      await world.moveTo(ANDROID);
      expect(await faultOfDma(machine, ANDROID, 0x5eed)).toBeUndefined();
    });
  });

  it('skip-drain: a signal of before comes to the next holder', async () => {
    const enforcer = await openKvm(machine);
    await lie('skip-drain');
    await runCalls(enforcer, ENGINE, [...fence(ENGINE), ...clean(ENGINE)]);
    const { orphans } = await machine.peek(VAULT);
    await machine.raiseForNobody(999);
    const answers = await runCalls(enforcer, ENGINE, [...clean(ENGINE), ...grant(ENGINE, VAULT)]);
    expect(answers.filter(({ ok }) => !ok)).toEqual([]);
    await machine.until('vault gets what was not meant for it', MOVE_MS, async () => {
      return (await machine.peek(VAULT)).orphans > orphans;
    });
    enforcer.close();
  });

  // The last: its lie stays in a VM's slots.
  it('skip-unmap: the old holder still reaches the device', async () => {
    const world = await KvmWorld.start(machine);
    await lie('skip-unmap');
    await world.moveTo(VAULT);
    expect(await faultOfMove(machine, ANDROID, VAULT)).toMatch(
      /^the device answered android \d+ times after it was moved to vault$/,
    );
    await world.stop();
  });
}
