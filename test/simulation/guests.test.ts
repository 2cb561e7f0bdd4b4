/** VM contexts and guest drivers: views, fault styles, interrupts, and one driver run three ways. */

import { describe, expect, it } from 'vitest';
import { ANDROID, PANEL, VAULT, VAULT_TOUCH_IPA } from '../../targets/lab/machine/board.ts';
import {
  accessContext,
  GuestFault,
  type RemoteContext,
  runProgram,
  runRemotely,
} from '../../targets/lab/machine/drivers.ts';
import { SimulatedMachine } from '../../targets/lab/machine/machine.ts';
import { Guest, machineOf, remap } from './support.ts';

const ALL_ONES = 0xffff_ffff;

describe('contexts', () => {
  it('each VM sees the touch controller at its own address only', () => {
    const machine = machineOf(1);
    remap(machine.enforcer(), VAULT);
    const vault = machine.context(VAULT);
    expect(vault.mmioRead(VAULT_TOUCH_IPA)).toEqual({ ok: true, value: 0 });
    expect(vault.mmioRead(0x0a90_0000)).toEqual({ ok: true, value: ALL_ONES });
    expect(machine.context(ANDROID).mmioRead(0x0a90_0000)).toEqual({ ok: true, value: ALL_ONES });
  });

  it.each([
    ['absent', { ok: true, value: ALL_ONES }],
    ['abort', { ok: false, error: 'abort' }],
  ] as const)('a refused access ends by style: %s', (faultStyle, want) => {
    const machine = machineOf(1, { faultStyle });
    const context = machine.context(ANDROID);
    expect(context.mmioRead(0x0a90_0000)).toEqual(want);
    expect(context.mmioWrite(0x0a90_0000, 1).ok).toBe(want.ok);
    expect(machine.enforcer().faults()).toHaveLength(2);
  });

  it('the same IPA is other memory in each VM', () => {
    const machine = machineOf(1);
    machine.context(ANDROID).ramWrite(0x4000_0100, 1);
    machine.context(VAULT).ramWrite(0x4000_0100, 2);
    expect(machine.context(ANDROID).ramRead(0x4000_0100)).toEqual({ ok: true, value: 1 });
  });

  it('memory is zero for the next VM', () => {
    const machine = machineOf(1);
    machine.context(VAULT).ramWrite(0x4000_0100, 2);
    machine.exitVm(VAULT);
    machine.startVm('other' as typeof VAULT);
    expect(machine.context('other' as typeof VAULT).ramRead(0x4000_0100)).toEqual({ ok: true, value: 0 });
  });

  it('VMs that do not exist, exist twice or find no slot are refused by name', () => {
    const machine = machineOf(1);
    expect(() => machine.context('nosuch' as typeof VAULT)).toThrow('VM nosuch does not exist');
    expect(() => machine.startVm(VAULT)).toThrow('VM vault exists already');
    expect(() => machine.exitVm('nosuch' as typeof VAULT)).toThrow('VM nosuch does not run');
    for (let n = 2; n < 8; n++) machine.startVm(`vm${n}` as typeof VAULT);
    expect(() => machine.startVm('one-more' as typeof VAULT)).toThrow('all 8 processors are taken');
  });

  it('a seed replays a run exactly', () => {
    const trace = () => {
      const machine = new SimulatedMachine({ vms: [ANDROID, VAULT], bundles: [PANEL], seed: 11 });
      const enforcer = machine.enforcer();
      remap(enforcer, ANDROID);
      const android = new Guest(machine, ANDROID);
      android.run(android.display.resume());
      machine.tick(77);
      remap(enforcer, VAULT);
      return [machine.counts, machine.checker.step];
    };
    expect(trace()).toEqual(trace());
  });
});

describe('drivers', () => {
  it('touch: reports arrive by DMA and interrupt, in order', () => {
    const machine = machineOf(3);
    remap(machine.enforcer(), VAULT);
    const vault = new Guest(machine, VAULT);
    vault.run(vault.touch.resume());
    const reports = [];
    for (let n = 1; n <= 20; n++) {
      machine.touch(n, n + 1, true);
      machine.tick(250);
      reports.push(...vault.run(vault.touch.poll()));
    }
    expect(reports).toEqual(Array.from({ length: 20 }, (_, n) => ({ x: n + 1, y: n + 2, down: true })));
  });

  it('touch: after suspend nothing arrives, after resume it does again', () => {
    const machine = machineOf(3);
    remap(machine.enforcer(), VAULT);
    const vault = new Guest(machine, VAULT);
    vault.run(vault.touch.resume());
    vault.run(vault.touch.suspend());
    machine.touch(1, 1, true);
    machine.touch(1, 1, false);
    machine.tick(300);
    vault.run(vault.touch.resume());
    machine.touch(2, 2, true);
    machine.tick(300);
    expect(vault.run(vault.touch.poll())).toEqual([{ x: 2, y: 2, down: true }]);
  });

  it('display: the screen shows the holder’s picture, then nothing of it', () => {
    const machine = machineOf(3);
    const enforcer = machine.enforcer();
    remap(enforcer, VAULT);
    const vault = new Guest(machine, VAULT);
    vault.run(vault.display.show(0x00ff_00ff));
    vault.run(vault.display.resume());
    machine.tick(300);
    expect(machine.screen()).toMatchObject({
      vm: VAULT,
      lines: [{ words: new Array(4).fill(0x00ff_00ff) }, {}, {}, {}],
    });
    remap(enforcer, ANDROID);
    expect(machine.screen().vm).toBe(null);
  });

  it('run remotely as in this process', async () => {
    const machine = machineOf(3);
    remap(machine.enforcer(), VAULT);
    const vault = new Guest(machine, VAULT);
    const remote: RemoteContext = { access: async (access) => accessContext(vault.context, access) };
    await runRemotely(remote, vault.touch.resume());
    machine.touch(8, 9, true);
    machine.tick(300);
    expect(await runRemotely(remote, vault.touch.poll())).toEqual([{ x: 8, y: 9, down: true }]);
  });

  it('oops where the platform aborts', () => {
    const machine = machineOf(3, { faultStyle: 'abort' });
    const android = new Guest(machine, ANDROID);
    expect(() => runProgram(android.context, android.touch.resume())).toThrow(GuestFault);
  });
});
