/** The device with message-signalled interrupts: an edge in place of a level. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { faultOfInterrupt } from './judge.ts';
import { ANDROID, ENGINE, KvmMachine, missingPrograms, VAULT } from './machine.ts';
import { CLEAN, FENCE, grant, openKvm, runCalls } from './world.ts';

const missing = missingPrograms();
const machine = new KvmMachine();

describe.skipIf(missing !== undefined)(`MSI${missing ? `: ${missing}` : ''}`, () => {
  beforeAll(() => machine.start({ trigger: 'edge' }));
  afterAll(() => machine.stop());
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') machine.keep();
  });

  it('comes to the holder alone, and to nobody what was signalled in between', async () => {
    const enforcer = await openKvm(machine);
    for (const vm of [ANDROID, VAULT]) {
      await machine.ask({ do: 'startVm', vm });
      enforcer.acknowledgeStart(vm);
    }
    for (const vm of [VAULT, ANDROID, VAULT]) {
      await runCalls(enforcer, FENCE);
      // Its message is DMA, too, and dropped: the device may not be a master of the bus now.
      await machine.ask({ do: 'raise', bundle: ENGINE.id, device: 'engine', value: 999 });
      const answers = await runCalls(enforcer, [...CLEAN, ...grant(vm)]);
      expect(answers.filter(({ ok }) => !ok)).toEqual([]);
      for (const value of [1, 2, 4]) expect(await faultOfInterrupt(machine, vm, value)).toBeUndefined();
    }
    expect(await machine.peek(ANDROID)).toMatchObject({ interrupts: 3, orphans: 0 });
    expect(await machine.peek(VAULT)).toMatchObject({ interrupts: 6, orphans: 0 });
    enforcer.close();
  });
});
