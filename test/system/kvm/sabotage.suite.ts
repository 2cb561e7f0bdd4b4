/** Negative controls: with a safeguard of `baton-kvm` switched off, the judges of the other suites find it. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ANDROID, ENGINE, VAULT } from '../../../targets/lab/testbed/hardware.ts';
import { faultOfDma, faultOfMove, leftOver } from '../../../targets/lab/testbed/judge.ts';
import type { KvmMachine } from '../../../targets/lab/testbed/kvm-machine.ts';
import { clean, fence, grant, KvmWorld, MOVE_MS, openKvm, runCalls } from './world.ts';

/** Needs VMs that run, with ENGINE their owner's. */
export function sabotageSuite(machine: KvmMachine): void {
  let told: string | undefined;
  const sabotage = async (name: string) => {
    await machine.sabotage(name, true);
    told = name;
  };
  /** The truth again. What the sabotage left is cleared by the next moves. */
  afterEach(async () => {
    if (told) await machine.sabotage(told, false);
    told = undefined;
  });

  describe('under host and agents', () => {
    let world: KvmWorld;
    beforeAll(async () => {
      world = await KvmWorld.start(machine);
    });
    afterAll(() => world?.stop());

    it('skip-reset: what the old holder left reaches the next', async () => {
      await sabotage('skip-reset');
      expect(await leftOver(machine, (vm) => world.moveTo(vm), ANDROID, VAULT)).toMatch(
        /landed in vault|has what android left|still has/,
      );
      await world.moveTo(ANDROID);
    });

    it('skip-domain: the new holder’s DMA goes to the old holder’s memory', async () => {
      await sabotage('skip-domain');
      const repointed = machine.repointed(0x28);
      await world.moveTo(VAULT);
      expect(machine.repointed(0x28)).toBe(repointed);
      expect(await faultOfDma(machine, VAULT, 0x5eed)).toMatch(/landed in (android|vault)$/);
      await machine.sabotage('skip-domain', false);
      await world.moveTo(ANDROID);
      expect(await faultOfDma(machine, ANDROID, 0x5eed)).toBeUndefined();
    });
  });

  it('skip-drain: a signal of before comes to the next holder', async () => {
    const enforcer = await openKvm(machine);
    await sabotage('skip-drain');
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

  it('skip-unmap alone: the read-back of settle refuses to call it fenced', async () => {
    const enforcer = await openKvm(machine);
    await runCalls(enforcer, ENGINE, [...fence(ENGINE), ...clean(ENGINE), ...grant(ENGINE, ANDROID)]);
    await sabotage('skip-unmap');
    expect((await runCalls(enforcer, ENGINE, fence(ENGINE))).at(-1)).toMatchObject({
      ok: false,
      error: expect.stringContaining('reads back as'),
    });
    // What is still mapped goes with its VM.
    let hasEnded = false;
    enforcer.onEvent((event) => {
      hasEnded ||= event.kind === 'vmExited';
    });
    await machine.ask({ do: 'killVm', vm: ANDROID });
    await machine.until('android has ended', MOVE_MS, () => hasEnded);
    enforcer.acknowledgeExit(ANDROID);
    await runCalls(enforcer, ENGINE, []);
    expect((await runCalls(enforcer, ENGINE, fence(ENGINE))).filter(({ ok }) => !ok)).toEqual([]);
    enforcer.close();
  });

  // The last: its sabotage stays in a VM's slots.
  it('skip-unmap: the old holder still reaches the device', async () => {
    const world = await KvmWorld.start(machine);
    await sabotage('skip-unmap');
    await machine.sabotage('skip-readback', true);
    await world.moveTo(VAULT);
    expect(await faultOfMove(machine, ANDROID, VAULT)).toMatch(
      /^the device answered android \d+ times after it was moved to vault$/,
    );
    await world.stop();
  });
}
