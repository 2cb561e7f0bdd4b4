/** Moves under host and agents, judged by KVM's exits and by what the guests wrote down in their own RAM. */

import { afterAll, beforeAll, expect, it } from 'vitest';
import { ANDROID, VAULT } from '../../../targets/lab/testbed/hardware.ts';
import {
  dma,
  faultOfDma,
  faultOfInterrupt,
  faultOfMove,
  leftOver,
} from '../../../targets/lab/testbed/judge.ts';
import type { KvmMachine } from '../../../targets/lab/testbed/kvm-machine.ts';
import { KvmWorld, MOVE_MS } from './world.ts';

const MOVES = Number(process.env['BATON_MOVES'] ?? 200);
/** Every so many moves its interrupt and its DMA are tried, too: a DMA takes the device 100 ms. */
const TRIED_EVERY = 40;

export function movesSuite(machine: KvmMachine): void {
  let world: KvmWorld;
  beforeAll(async () => {
    world = await KvmWorld.start(machine);
  });
  afterAll(() => world?.stop());

  it(`after each of ${MOVES} moves only the holder reaches the device, its interrupt and its DMA`, async () => {
    const stream = 0x28;
    let repointed = machine.repointed(stream);
    for (let move = 1; move <= MOVES; move++) {
      const [from, to] = move % 2 === 1 ? [ANDROID, VAULT] : [VAULT, ANDROID];
      await world.moveTo(to);
      expect(await faultOfMove(machine, from, to)).toBeUndefined();
      // Outside the emulated machine: QEMU's SMMU was told that the stream's entry changed.
      const told = machine.repointed(stream);
      expect(told).toBeGreaterThan(repointed);
      repointed = told;
      if (move % TRIED_EVERY > 1) continue;
      expect(await faultOfInterrupt(machine, to, move)).toBeUndefined();
      expect(await faultOfDma(machine, to, 0xd00d_0000 + move)).toBeUndefined();
    }
    const medians = (['fence', 'reset', 'grant'] as const).map((op) => {
      const times = world.tap.tookMs.filter((run) => run.op === op).map(({ ms }) => ms);
      return `${op} ${times.sort((a, b) => a - b)[times.length >> 1]!.toFixed(1)} ms`;
    });
    console.log(`${MOVES} moves under emulation, medians: ${medians.join(', ')}`);
  }, 120_000);

  it('what the old holder had under way lands nowhere, and its buffer is empty for the next', async () => {
    expect(await leftOver(machine, (vm) => world.moveTo(vm), ANDROID, VAULT)).toBeUndefined();
    expect(await leftOver(machine, (vm) => world.moveTo(vm), VAULT, ANDROID)).toBeUndefined();
  });

  it('a refused access reads all ones, or is an abort in a VM that is to get one', async () => {
    expect((await machine.peek(ANDROID)).aborts).toBe(0);
    const { aborts, refused } = await machine.peek(VAULT);
    expect(refused).toBeGreaterThan(0);
    expect(aborts).toBeGreaterThan(0);
  });

  it('the host names VM, resource and epoch of a refused access', async () => {
    await world.moveTo(VAULT);
    const sinceMs = performance.now();
    const { epoch } = await world.testbed.view();
    // One of the epoch before may still be on its way.
    const fault = () =>
      world.testbed
        .since(sinceMs, 'host', 'fault')
        .find((each) => each['vm'] === ANDROID && each['epoch'] === epoch);
    await machine.until('the host reports android', MOVE_MS, () => fault() !== undefined);
    expect(fault()).toMatchObject({
      by: 'cpu',
      resource: 'engine.mmio0',
      address: 0x0a00_0000,
      write: false,
      epoch,
    });
    await world.moveTo(ANDROID);
  });

  it('DMA out of the window is refused, booked on its holder, and seen by the SMMU', async () => {
    const outside = 0x5000_0000;
    const sinceMs = performance.now();
    await dma(machine, ANDROID, 3, outside);
    const refused = () => world.testbed.since(sinceMs, 'host', 'fault').filter(({ by }) => by === 'dma');
    await machine.until('the refused DMA is reported', MOVE_MS, () => refused().length > 0);
    const { epoch } = await world.testbed.view();
    expect(refused()[0]).toMatchObject({
      vm: ANDROID,
      stream: 0x28,
      resource: 'engine.stream0',
      address: outside,
      write: true,
      epoch,
    });
    expect(machine.refusedStreams().join('\n')).toMatch(/F_TRANSLATION sid=0x28/);
  });
}
