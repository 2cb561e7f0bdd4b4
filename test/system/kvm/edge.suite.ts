/** The device with message-signalled interrupts: an edge in place of a level. */

import { expect, it } from 'vitest';
import { ANDROID, type KvmMachine, SPARE, VAULT } from '../../../targets/native/bed/kvm-machine.ts';
import { faultOfInterrupt } from './judge.ts';
import { clean, fence, grant, MOVE_MS, openKvm, runCalls } from './world.ts';

/** Needs a machine whose VMs do not run, and leaves it so. */
export function edgeSuite(machine: KvmMachine): void {
  it('comes to the holder alone, and to nobody what was signalled in between', async () => {
    const enforcer = await openKvm(machine);
    const ended: string[] = [];
    enforcer.onEvent((event) => {
      if (event.kind === 'vmExited') ended.push(event.vm);
    });
    const device = { bundle: SPARE.id, device: SPARE.devices[0]!.id };
    for (const vm of [ANDROID, VAULT]) {
      await machine.ask({ do: 'startVm', vm, ...device });
      enforcer.acknowledgeStart(vm);
    }
    for (const vm of [VAULT, ANDROID, VAULT]) {
      await runCalls(enforcer, SPARE, fence(SPARE));
      // Its message is DMA, too, and dropped: the device may not be a master of the bus now.
      await machine.ask({ do: 'raise', ...device, value: 999 });
      const answers = await runCalls(enforcer, SPARE, [...clean(SPARE), ...grant(SPARE, vm)]);
      expect(answers.filter(({ ok }) => !ok)).toEqual([]);
      for (const value of [1, 2, 4])
        expect(await faultOfInterrupt(machine, vm, value, SPARE)).toBeUndefined();
    }
    expect(await machine.peek(ANDROID)).toMatchObject({ interrupts: 3, orphans: 0 });
    expect(await machine.peek(VAULT)).toMatchObject({ interrupts: 6, orphans: 0 });
    for (const vm of [ANDROID, VAULT]) await machine.ask({ do: 'killVm', vm });
    await machine.until('both have ended', MOVE_MS, () => ended.length === 2);
    await runCalls(enforcer, SPARE, fence(SPARE));
    for (const vm of [ANDROID, VAULT]) enforcer.acknowledgeExit(vm);
    await runCalls(enforcer, SPARE, []);
    enforcer.close();
  });
}
