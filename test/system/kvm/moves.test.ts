/**
 * A real hypervisor moves a real device model: KVM, VFIO and the SMMU driver of Debian's kernel in an emulated aarch64 machine. Two
 * bare guests read the device in a loop all the time, whoever holds it.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { CliWorld } from '../../../src/cli/world.ts';
import type { Enforcer, EnforcerEvent } from '../../../src/enforcer/port.ts';
import type { VmId } from '../../../src/protocol/ids.ts';
import { backendTest } from '../../../targets/node/backend-test.ts';
import { dma, faultOfDma, faultOfInterrupt, faultOfMove, leftOver } from './judge.ts';
import { ANDROID, ENGINE, KvmMachine, missingPrograms, VAULT } from './machine.ts';
import { CLEAN, FENCE, grant, INSPECT, KvmWorld, LONG_TERMS, openKvm, runCalls } from './world.ts';

const missing = missingPrograms();
if (missing !== undefined) console.warn(`test:kvm ${missing}`);

const MOVES = Number(process.env['BATON_MOVES'] ?? 20);
const WAIT_MS = 10_000;
const machine = new KvmMachine();
describe.skipIf(missing !== undefined).sequential(`KVM${missing ? `: ${missing}` : ''}`, () => {
  beforeAll(() => machine.start({ aborting: [VAULT] }));
  afterAll(() => machine.stop());
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') machine.keep();
  });

  describe.sequential('baton-kvm', () => {
    let enforcer: Enforcer;
    const events: EnforcerEvent[] = [];
    const told = (kind: EnforcerEvent['kind'], vm: VmId) =>
      machine.until(`${kind} of ${vm}`, WAIT_MS, () => {
        const index = events.findIndex((event) => event.kind === kind && 'vm' in event && event.vm === vm);
        if (index >= 0) events.splice(index, 1);
        return index >= 0;
      });

    beforeAll(async () => {
      enforcer = await openKvm(machine);
      enforcer.onEvent((event) => events.push(event));
    });
    afterAll(() => enforcer.close());

    it('says what it is', () => {
      expect(enforcer.describe()).toMatchObject({ name: 'kvm', kind: 'central', evidence: 'observed' });
      expect(enforcer.running()).toEqual([]);
    });

    it.each([ANDROID, VAULT])('%s executes nothing before its start is acknowledged', async (vm) => {
      await machine.ask({ do: 'startVm', vm });
      await told('vmStarting', vm);
      expect(await machine.peek(vm)).toMatchObject({ answered: 0, refused: 0 });
      enforcer.acknowledgeStart(vm);
      await machine.until(`${vm} runs`, WAIT_MS, async () => (await machine.peek(vm)).refused > 0);
      expect((await machine.peek(vm)).answered).toBe(0);
    });

    it('refuses what was never reset', async () => {
      expect((await runCalls(enforcer, grant(VAULT)))[0]).toMatchObject({
        ok: false,
        error: expect.stringContaining('not reset'),
      });
    });

    it('drops what the device signalled while nobody held it', async () => {
      await runCalls(enforcer, [...FENCE, ...CLEAN]);
      await machine.raiseForNobody(999);
      expect(await runCalls(enforcer, [CLEAN[1]!])).toEqual([{ ok: true, idle: false }]);
      expect((await runCalls(enforcer, grant(VAULT)))[0]).toMatchObject({
        ok: false,
        error: expect.stringContaining('not idle'),
      });
      const answers = await runCalls(enforcer, [...CLEAN, ...grant(VAULT), ...INSPECT]);
      expect(answers.slice(-3)).toEqual(INSPECT.map(() => ({ ok: true, reach: VAULT })));
      // The line works, and the first that comes is the new holder's own.
      expect(await faultOfInterrupt(machine, VAULT, 5)).toBeUndefined();
      expect(await machine.peek(VAULT)).toMatchObject({ interrupts: 1, orphans: 0 });
    });

    it('frees nothing of a VM that ended before that is acknowledged', async () => {
      await machine.ask({ do: 'killVm', vm: VAULT });
      await told('vmExited', VAULT);
      expect(await runCalls(enforcer, INSPECT)).toEqual(INSPECT.map(() => ({ ok: true, reach: VAULT })));
      expect((await machine.peek(VAULT)).refused).toBeGreaterThan(0);
      await expect(machine.ask({ do: 'startVm', vm: VAULT })).rejects.toThrow('last life is not over');
      expect((await runCalls(enforcer, [...FENCE, ...INSPECT])).slice(-3)).toEqual(
        INSPECT.map(() => ({ ok: true, reach: 'blocked' })),
      );
      enforcer.acknowledgeExit(VAULT);
      await runCalls(enforcer, []);
      await expect(machine.peek(VAULT)).rejects.toThrow('no RAM');
      await machine.ask({ do: 'startVm', vm: VAULT });
      await told('vmStarting', VAULT);
      enforcer.acknowledgeStart(VAULT);
      await machine.until('vault runs', WAIT_MS, async () => (await machine.peek(VAULT)).refused > 0);
    });
  });

  it('passes baton backend-test', async () => {
    const config = join(machine.folder, 'host.json');
    const rest = { transport: { kind: 'stream', listen: {} }, keys: '-', state: '-', control: '-' };
    const enforcer = { kind: 'kvm', address: `unix:${machine.enforcer}` };
    writeFileSync(config, JSON.stringify({ ...rest, enforcer, bundles: 'share/bundles.json' }));
    const lines: string[] = [];
    const world = { out: (line: string) => lines.push(line) } as unknown as CliWorld;
    const status = await backendTest(world, [config, '--owner', ANDROID, '--other', VAULT]);
    expect(lines.filter((line) => line.startsWith('fail'))).toEqual([]);
    expect(lines.at(-1)).toMatch(/^kvm: 16 passed, 0 failed, 3 not claimed$/);
    expect(status).toBe(0);
  });

  describe.sequential('under host and agents', () => {
    let world: KvmWorld;
    beforeAll(async () => {
      world = await KvmWorld.start(machine);
    });
    afterAll(() => world?.stop());

    it(`after each of ${MOVES} moves only the holder reaches the device, its interrupt and its DMA`, async () => {
      for (let move = 1; move <= MOVES; move++) {
        const [from, to] = move % 2 === 1 ? [ANDROID, VAULT] : [VAULT, ANDROID];
        await world.moveTo(to);
        expect(await faultOfMove(machine, world, from, to)).toBeUndefined();
        expect(await faultOfInterrupt(machine, to, move)).toBeUndefined();
        if (move % 5 === 0) expect(await faultOfDma(machine, to, 0xd00d_0000 + move)).toBeUndefined();
      }
      const medians = (['fence', 'settle', 'reset', 'grant'] as const).map((op) => {
        const times = world.phases.filter((phase) => phase.op === op).map(({ ms }) => ms);
        return `${op} ${times.sort((a, b) => a - b)[times.length >> 1]!.toFixed(1)} ms`;
      });
      console.log(`${MOVES} moves under emulation, medians: ${medians.join(', ')}`);
      expect(world.holder).toBe(ANDROID);
    });

    it('what the old holder had under way lands nowhere, and its buffer is empty for the next', async () => {
      expect(await leftOver(machine, world, ANDROID, VAULT)).toBeUndefined();
      expect(await leftOver(machine, world, VAULT, ANDROID)).toBeUndefined();
    });

    it('a refused access reads all ones, or is an abort in a VM that is to get one', async () => {
      expect((await machine.peek(ANDROID)).aborts).toBe(0);
      const { aborts, refused } = await machine.peek(VAULT);
      expect(refused).toBeGreaterThan(0);
      expect(aborts).toBeGreaterThan(0);
    });

    it('DMA out of the window is refused, reported with its stream, and seen by the SMMU', async () => {
      const outside = 0x5000_0000;
      const resource = 'engine.stream0';
      await dma(machine, ANDROID, 3, outside);
      await machine.until('the refused DMA is reported', WAIT_MS, () =>
        world.faults.some(({ by }) => by === 'dma'),
      );
      expect(world.faults.filter(({ by }) => by === 'dma')).toContainEqual(
        expect.objectContaining({ stream: 0x28, resource, address: outside, write: true }),
      );
      expect(machine.refusedStreams().join('\n')).toMatch(/F_TRANSLATION sid=0x28/);
    });

    it('an owner that restarts while its bundle is lent reaches nothing of it, and gets it back', async () => {
      await world.moveTo(VAULT);
      await world.restart(ANDROID);
      expect(world.holder).toBe(VAULT);
      expect((await machine.peek(ANDROID)).answered).toBe(0);
      await world.moveTo(ANDROID);
      expect(await faultOfMove(machine, world, VAULT, ANDROID)).toBeUndefined();
    });

    it('a borrower that is killed: the bundle is its owner’s again, and nothing of it its next life’s', async () => {
      await world.moveTo(VAULT);
      await world.restart(VAULT);
      await world.untilHeldBy(ANDROID);
      expect(await faultOfMove(machine, world, VAULT, ANDROID)).toBeUndefined();
      expect((await machine.peek(VAULT)).answered).toBe(0);
    });

    it.each(['fence', 'reset', 'grant'] as const)(
      'a host that dies in %s: its next life ends the move',
      async (op) => {
        const restarted = world.restartHostIn(op);
        world.bench.agents.get(VAULT)!.borrow(ENGINE.id, LONG_TERMS);
        await restarted;
        await machine.until('host and agents agree on a holder', WAIT_MS, () => world.isAtRest);
        const to = world.holder === VAULT ? VAULT : ANDROID;
        const from = to === VAULT ? ANDROID : VAULT;
        expect(await faultOfMove(machine, world, from, to)).toBeUndefined();
        if (to === VAULT) await world.moveTo(ANDROID);
      },
    );

    it('the kernel of the machine has nothing to complain about', () => {
      expect(machine.console()).not.toMatch(/Oops|BUG|panic|Call trace/);
    });
  });
});
