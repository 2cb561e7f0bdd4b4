/** `baton-kvm` by itself: what it says over the enforcer socket, and what it refuses. Starts both VMs, which run on. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { VmId } from '../../../src/core/protocol/ids.ts';
import type { Enforcer, EnforcerEvent } from '../../../src/ports/enforcer.ts';
import { ANDROID, ENGINE, SPARE, VAULT } from '../../../targets/lab/testbed/hardware.ts';
import { faultOfInterrupt } from '../../../targets/lab/testbed/judge.ts';
import type { KvmMachine } from '../../../targets/lab/testbed/kvm-machine.ts';
import { enforcerTest } from '../../../targets/node/cli/verbs/enforcer-test.ts';
import type { FileWorld } from '../../../targets/node/cli/world.ts';
import { clean, fence, grant, inspect, MOVE_MS, openKvm, runCalls } from './world.ts';

const FENCE = fence(ENGINE);
const CLEAN = clean(ENGINE);
const INSPECT = inspect(ENGINE);

export function portSuite(machine: KvmMachine): void {
  let enforcer: Enforcer;
  const events: EnforcerEvent[] = [];
  const told = (kind: EnforcerEvent['kind'], vm: VmId) =>
    machine.until(`${kind} of ${vm}`, MOVE_MS, () => {
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
    await machine.until(`${vm} runs`, MOVE_MS, async () => (await machine.peek(vm)).refused > 0);
    expect((await machine.peek(vm)).answered).toBe(0);
  });

  it('refuses what was never reset', async () => {
    expect((await runCalls(enforcer, ENGINE, grant(ENGINE, VAULT)))[0]).toMatchObject({
      ok: false,
      error: expect.stringContaining('not reset'),
    });
  });

  it('drops what the device signalled while nobody held it', async () => {
    await runCalls(enforcer, ENGINE, [...FENCE, ...CLEAN]);
    await machine.raiseForNobody(999);
    expect(await runCalls(enforcer, ENGINE, [CLEAN[1]!])).toEqual([{ ok: true, idle: false }]);
    expect((await runCalls(enforcer, ENGINE, grant(ENGINE, VAULT)))[0]).toMatchObject({
      ok: false,
      error: expect.stringContaining('not idle'),
    });
    const answers = await runCalls(enforcer, ENGINE, [...CLEAN, ...grant(ENGINE, VAULT), ...INSPECT]);
    expect(answers.slice(-3)).toEqual(INSPECT.map(() => ({ ok: true, reach: VAULT })));
    // The line works, and the first that comes is the new holder's own.
    expect(await faultOfInterrupt(machine, VAULT, 5)).toBeUndefined();
    expect(await machine.peek(VAULT)).toMatchObject({ interrupts: 1, orphans: 0 });
  });

  it('refuses a device of which another VM still holds a part', async () => {
    const mmio = FENCE[0]!;
    await runCalls(enforcer, ENGINE, [mmio, { op: 'settle' }]);
    expect(await runCalls(enforcer, ENGINE, [grant(ENGINE, ANDROID)[0]!])).toMatchObject([
      { ok: false, error: expect.stringContaining('not reset') },
    ]);
    expect(await runCalls(enforcer, ENGINE, grant(ENGINE, VAULT))).toMatchObject([
      { ok: true },
      { ok: true },
      { ok: true },
    ]);
  });

  it('a stream whose device lost its leave to be a bus master reads back as unknown', async () => {
    const stream = INSPECT.filter(({ resource }) => resource === 'engine.stream0');
    const device = { bundle: ENGINE.id, device: ENGINE.devices[0]!.id };
    await machine.ask({ do: 'master', ...device, on: 0 });
    expect(await runCalls(enforcer, ENGINE, stream)).toEqual([{ ok: true, reach: 'unknown' }]);
    await machine.ask({ do: 'master', ...device, on: 1 });
    expect(await runCalls(enforcer, ENGINE, stream)).toEqual([{ ok: true, reach: VAULT }]);
  });

  it('a level line that rises while the device goes back to who had it is not lost', async () => {
    await runCalls(enforcer, ENGINE, FENCE);
    const { interrupts } = await machine.peek(VAULT);
    await machine.raiseForNobody(9);
    const order = ['stream', 'mmio', 'interrupt'].flatMap((kind) =>
      grant(ENGINE, VAULT).filter(({ resource }) => resource.includes(kind)),
    );
    expect((await runCalls(enforcer, ENGINE, order)).filter(({ ok }) => !ok)).toEqual([]);
    await machine.until('vault gets it', MOVE_MS, async () => {
      return (await machine.peek(VAULT)).interrupts > interrupts;
    });
    expect(await faultOfInterrupt(machine, VAULT, 3)).toBeUndefined();
  });

  it('frees nothing of a VM that ended before that is acknowledged', async () => {
    await machine.ask({ do: 'killVm', vm: VAULT });
    await told('vmExited', VAULT);
    expect(await runCalls(enforcer, ENGINE, INSPECT)).toEqual(
      INSPECT.map(() => ({ ok: true, reach: VAULT })),
    );
    expect((await machine.peek(VAULT)).refused).toBeGreaterThan(0);
    await expect(machine.ask({ do: 'startVm', vm: VAULT })).rejects.toThrow('last incarnation has not ended');
    // Acknowledged too early: the device still reaches its memory. It is freed when that is over.
    enforcer.acknowledgeExit(VAULT);
    await runCalls(enforcer, ENGINE, []);
    expect((await machine.peek(VAULT)).refused).toBeGreaterThan(0);
    expect((await runCalls(enforcer, ENGINE, [...FENCE, ...INSPECT])).slice(-3)).toEqual(
      INSPECT.map(() => ({ ok: true, reach: 'blocked' })),
    );
    await runCalls(enforcer, ENGINE, []);
    await expect(machine.peek(VAULT)).rejects.toThrow('no RAM');
    await machine.ask({ do: 'startVm', vm: VAULT });
    await told('vmStarting', VAULT);
    enforcer.acknowledgeStart(VAULT);
    await machine.until('vault runs', MOVE_MS, async () => (await machine.peek(VAULT)).refused > 0);
    // Its last life used the device: this one gets it only after a reset.
    expect((await runCalls(enforcer, ENGINE, grant(ENGINE, VAULT)))[0]).toMatchObject({
      ok: false,
      error: expect.stringContaining('not reset'),
    });
    enforcer.close();
  });

  it.each([ENGINE.id, SPARE.id])('passes baton enforcer-test on the bundle %s', async (bundle) => {
    const config = join(machine.folder, 'host.json');
    const rest = { transport: { kind: 'stream', listen: {} }, keys: '-', control: '-' };
    const enforcer = { kind: 'kvm', address: `unix:${machine.enforcer}` };
    writeFileSync(
      config,
      JSON.stringify({ ...rest, enforcer, state: `state-${bundle}`, bundles: 'share/bundles.json' }),
    );
    const lines: string[] = [];
    const world = { out: (line: string) => lines.push(line) } as unknown as FileWorld;
    const words = [config, '--owner', ANDROID, '--other', VAULT, '--bundle', bundle];
    const status = await enforcerTest(world, words);
    expect(lines.filter((line) => line.startsWith('fail'))).toEqual([]);
    expect(lines.at(-1)).toMatch(/^kvm: 16 passed, 0 failed, 3 not claimed$/);
    expect(status).toBe(0);
  });
}
