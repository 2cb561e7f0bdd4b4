/** The device with message-signalled interrupts, an edge in place of a level; and in a VM with much RAM. */

import { expect, it } from 'vitest';
import type { VmId } from '../../../src/core/protocol/ids.ts';
import { ANDROID, SPARE, VAULT } from '../../../targets/lab/testbed/hardware.ts';
import { faultOfDma, faultOfInterrupt } from '../../../targets/lab/testbed/judge.ts';
import type { KvmMachine } from '../../../targets/lab/testbed/kvm-machine.ts';
import { clean, fence, grant, MOVE_MS, openKvm, runCalls } from './world.ts';

const LITTLE_RAM = 2 << 20;
const MUCH_RAM = 64 << 20;
const RAM_BASE = 0x4000_0000;

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
      await machine.ask({ do: 'startVm', vm, ...device, ram: vm === VAULT ? MUCH_RAM : LITTLE_RAM });
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
    // The whole of a large window is there from its first use.
    expect(await faultOfDma(machine, VAULT, 0x1a57, RAM_BASE + MUCH_RAM - 4_096)).toBeUndefined();
    const moves = 5;
    const medianOf = async (vm: VmId) => {
      const times: number[] = [];
      for (let move = 0; move < moves; move++) {
        await runCalls(enforcer, SPARE, [...fence(SPARE), ...clean(SPARE)]);
        const startMs = performance.now();
        await runCalls(enforcer, SPARE, grant(SPARE, vm));
        times.push(performance.now() - startMs);
      }
      return times.sort((a, b) => a - b)[moves >> 1]!.toFixed(1);
    };
    const [little, much] = [await medianOf(ANDROID), await medianOf(VAULT)];
    console.log(`grant, medians of ${moves}: window of 2 MiB ${little} ms, of 64 MiB ${much} ms`);
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
