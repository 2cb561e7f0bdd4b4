/** The simulated enforcer: shared syncs, refusals, read-back, failures, faults, restart of the service. */

import { describe, expect, it } from 'vitest';
import { type BundleDefinition, resourcesOf } from '../../../src/core/protocol/bundle.ts';
import { HardwareError } from '../../../src/edges/enforcer/bus.ts';
import { entryHalves } from '../../../src/edges/enforcer/smmuv3.ts';
import { cfgiSte, decodeEntry, stage2Entry } from '../../../src/edges/enforcer/smmuv3-layout.ts';
import { DRAIN_MAX, STORM_EVENTS } from '../../../src/edges/enforcer/tables.ts';
import type { EnforcerAnswer, EnforcerCall, EnforcerEvent } from '../../../src/ports/enforcer.ts';
import { ANDROID, KEYS_BUNDLE, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { KEYS } from '../../../targets/lab/machine/keys.ts';
import type { SimulatedMachine } from '../../../targets/lab/machine/machine.ts';
import { TOUCH } from '../../../targets/lab/machine/touch.ts';
import {
  fence,
  Guest,
  grant,
  machineOf,
  remap,
  run,
  seenAt,
  TOUCH_DEVICE,
  TOUCH_MMIO,
} from '../../simulation/support.ts';

/** Runs calls that may fail. */
function attempt(machine: SimulatedMachine, calls: readonly EnforcerCall[]): readonly EnforcerAnswer[] {
  let answers: readonly EnforcerAnswer[] = [];
  machine.enforcer().run(PANEL.id, calls, (given) => {
    answers = given;
  });
  return answers;
}

/** What a piece of work costs the hypervisor. */
function costOf(machine: SimulatedMachine, work: () => void) {
  const before = { ...machine.counts, syncs: machine.smmu.syncs };
  work();
  return { writes: machine.counts.writes - before.writes, syncs: machine.smmu.syncs - before.syncs };
}

describe('syncs', () => {
  it('a whole remap of three streams takes three: one to settle, two to grant', () => {
    const machine = machineOf(1);
    const enforcer = machine.enforcer();
    run(enforcer, [...fence(), ...grant(ANDROID)]);
    expect(costOf(machine, () => run(enforcer, fence())).syncs).toBe(1);
    expect(costOf(machine, () => run(enforcer, grant(VAULT))).syncs).toBe(2);
    const whole = costOf(machine, () => remap(enforcer, ANDROID));
    console.log('one remap of the panel bundle:', whole);
    expect(whole.syncs).toBe(3);
  });

  it('settle says how many completed', () => {
    const answers = run(machineOf(1).enforcer(), fence());
    expect(answers.at(-1)).toEqual({ ok: true, syncs: 1 });
  });

  it('grants handed over one by one take two syncs each', () => {
    const machine = machineOf(1);
    const enforcer = machine.enforcer();
    run(enforcer, fence());
    const cost = costOf(machine, () => {
      for (const call of grant(VAULT)) run(enforcer, [call]);
    });
    expect(cost.syncs).toBe(6);
  });
});

describe('evidence', () => {
  it('of a stream is words 0 to 3 of its entry, before and after', () => {
    const machine = machineOf(1);
    const enforcer = machine.enforcer();
    run(enforcer, fence());
    const calls = grant(VAULT);
    const answers = run(enforcer, calls);
    const answer =
      answers[calls.findIndex((call) => call.op === 'grant' && call.resource === 'display.stream1')]!;
    if (!answer.ok) throw new Error(answer.error);
    expect(answer.before).toEqual(new Uint8Array(32));
    expect(decodeEntry(entryHalves(answer.after!))).toMatchObject({
      valid: true,
      config: 6,
      vmid: 2,
      records: true,
    });
  });

  it('of every resource is there and fits a message', () => {
    const machine = machineOf(1);
    const enforcer = machine.enforcer();
    run(enforcer, fence());
    const calls = grant(VAULT).filter(({ op }) => op === 'grant');
    expect(calls).toHaveLength(resourcesOf(PANEL).length);
    for (const answer of run(enforcer, calls)) expect(answer.ok && answer.after!.length).toBeOneOf([8, 32]);
  });
});

describe('refusals', () => {
  it.each([
    [
      'unknown resource',
      [{ op: 'fence', resource: 'touch.mmio9' }],
      'unknown resource touch.mmio9 in bundle panel',
    ],
    ['unknown device', [{ op: 'reset', device: 'pen' }], 'unknown device pen in bundle panel'],
    [
      'VM that does not run',
      [{ op: 'grant', resource: 'touch.mmio0', vm: 'nosuch' }],
      'VM nosuch is not running',
    ],
  ])('%s', (_, calls, error) => {
    expect(attempt(machineOf(1), calls as unknown as EnforcerCall[])).toEqual([{ ok: false, error }]);
  });

  it('reset of a device that somebody reaches', () => {
    const machine = machineOf(1);
    remap(machine.enforcer(), VAULT);
    expect(attempt(machine, [{ op: 'reset', device: TOUCH_DEVICE }])).toEqual([
      { ok: false, error: 'touch cannot be reset: touch.mmio0 is reached by vault' },
    ]);
  });

  it('the grants before a refused one are carried out and answered', () => {
    const machine = machineOf(1);
    const calls = [
      { op: 'grant', resource: 'touch.mmio0', vm: VAULT },
      { op: 'grant', resource: 'nosuch', vm: VAULT },
      { op: 'grant', resource: 'touch.stream0', vm: VAULT },
      { op: 'settle' },
    ] as unknown as EnforcerCall[];
    const answers = attempt(machine, calls);
    expect(answers.map(({ ok }) => ok)).toEqual([true, false]);
    const inspect = [{ op: 'inspect', resource: TOUCH_MMIO } as const];
    expect(attempt(machine, inspect)).toEqual([{ ok: true, reach: VAULT }]);
  });

  it('a fenced resource that is not settled is unknown, and not granted', () => {
    const machine = machineOf(1);
    const enforcer = machine.enforcer();
    remap(enforcer, ANDROID);
    run(enforcer, [{ op: 'fence', resource: TOUCH_MMIO }]);
    expect(run(enforcer, [{ op: 'inspect', resource: TOUCH_MMIO }])).toEqual([
      { ok: true, reach: 'unknown' },
    ]);
    expect(() => run(enforcer, [{ op: 'grant', resource: TOUCH_MMIO, vm: VAULT }])).toThrow(
      'touch.mmio0 is fenced but not settled',
    );
  });
});

describe('restart of the service', () => {
  it('a new enforcer finds the holder, and may grant what is blocked', () => {
    const machine = machineOf(3);
    remap(machine.enforcer(), VAULT);
    const calls = resourcesOf(PANEL).map(({ id }) => ({ op: 'inspect', resource: id }) as const);
    for (const answer of attempt(machine, calls)) expect(answer).toEqual({ ok: true, reach: VAULT });
    run(machine.enforcer(), [{ op: 'fence', resource: TOUCH_MMIO }]);
    expect(attempt(machine, [{ op: 'inspect', resource: TOUCH_MMIO }])).toEqual([
      { ok: true, reach: 'blocked' },
    ]);
    run(machine.enforcer(), fence());
    run(machine.enforcer(), grant(ANDROID));
    expect(machine.checker.violations).toEqual([]);
  });

  it('VM starts and ends that nobody acknowledged are told again', () => {
    const machine = machineOf(3);
    machine.enforcer().onEvent(() => {});
    machine.exitVm(VAULT);
    machine.startVm('other' as typeof VAULT);
    const events: EnforcerEvent[] = [];
    const enforcer = machine.enforcer();
    enforcer.onEvent((event) => events.push(event));
    expect(events).toEqual([
      { kind: 'vmExited', vm: VAULT },
      { kind: 'vmStarting', vm: 'other' },
    ]);
    expect(enforcer.running()).toEqual([ANDROID]);
    enforcer.acknowledgeStart('other' as typeof VAULT);
    enforcer.acknowledgeExit(VAULT);
    expect(enforcer.running()).toEqual([ANDROID, 'other']);
    enforcer.close();
  });

  it('a VM that is about to start can be granted a bundle before its first instruction', () => {
    const machine = machineOf(3);
    const enforcer = machine.enforcer();
    enforcer.onEvent(() => {});
    machine.startVm('other' as typeof VAULT);
    const context = machine.context('other' as typeof VAULT);
    expect(context.mmioRead(0x0a90_0000)).toEqual({ ok: false, error: 'stopped' });
    remap(enforcer, 'other' as typeof VAULT);
    enforcer.acknowledgeStart('other' as typeof VAULT);
    expect(context.mmioRead(0x0a90_0000)).toEqual({ ok: true, value: 0 });
  });
});

describe('faults', () => {
  it('of processor and DMA are told once and attributed', () => {
    const machine = machineOf(6);
    const enforcer = machine.enforcer();
    const events: EnforcerEvent[] = [];
    enforcer.onEvent((event) => events.push(event));
    remap(enforcer, ANDROID);
    const android = new Guest(machine, ANDROID);
    android.run(android.display.resume());
    run(enforcer, fence());
    android.run(android.touch.poke());
    machine.tick(60);
    expect(events).toEqual([{ kind: 'faultsPending' }]);
    const records = enforcer.faults();
    expect(records).toContainEqual({
      by: 'cpu',
      vm: ANDROID,
      bundle: 'panel',
      resource: 'touch.mmio0',
      address: seenAt(ANDROID, 'touch.mmio0') + 0xc,
      write: false,
      event: 'stage-2 abort',
      count: 1,
      lost: false,
    });
    const dma = records.find(({ stream }) => stream === 0x880)!;
    expect(dma).toMatchObject({ bundle: 'panel', stream: 0x880, event: 'C_BAD_STE', address: 0 });
    expect(dma.vm).toBeUndefined();
    expect(enforcer.faults()).toEqual([]);
  });

  it('that come while calls are carried out are told after them', () => {
    const machine = machineOf(6);
    const enforcer = machine.enforcer();
    remap(enforcer, ANDROID);
    const android = new Guest(machine, ANDROID);
    let isRunning = false;
    let told = 0;
    enforcer.onEvent(() => {
      told++;
      expect(isRunning).toBe(false);
    });
    machine.background = () => android.run(android.touch.poke());
    isRunning = true;
    enforcer.run(PANEL.id, fence(), () => {
      isRunning = false;
    });
    expect(told).toBe(1);
  });

  it('alike ones are merged, and the overflow of the event queue is said', () => {
    const machine = machineOf(6);
    const enforcer = machine.enforcer();
    const context = machine.context(VAULT);
    for (let n = 0; n < 1000; n++) context.mmioWrite(0x0ae0_0000, n);
    expect(enforcer.faults()).toMatchObject([
      { vm: VAULT, resource: 'display.mmio0', count: 1000, lost: false },
    ]);
    for (let n = 0; n < DRAIN_MAX; n++) context.mmioWrite(0x0ae0_0000 + n * 4, n);
    expect(enforcer.faults()).toHaveLength(128);
    context.mmioWrite(0x0ae0_0000, 0);
    expect(enforcer.faults()).toMatchObject([{ lost: true }]);
  });

  it('M10: faults can be read although the SMMU hangs while a stream is silenced, which follows', () => {
    const machine = machineOf(6);
    const enforcer = machine.enforcer();
    remap(enforcer, ANDROID);
    const android = new Guest(machine, ANDROID);
    android.run(android.touch.resume());
    run(enforcer, fence());
    const { smmu } = machine;
    const sync = smmu.sync.bind(smmu);
    let attempts = 0;
    smmu.sync = () => {
      attempts += 1;
      throw new HardwareError('SMMU: no CMD_SYNC within 100000 polls');
    };
    const flood = () => {
      let events = 0;
      for (let n = 0; n < 2 * STORM_EVENTS; n++) {
        for (let m = 0; m < 8; m++) machine.touch(n, m, true);
        machine.tick(150);
        for (const record of enforcer.faults()) events += record.count;
      }
      return events;
    };
    expect(flood()).toBeGreaterThanOrEqual(STORM_EVENTS);
    expect(attempts).toBeGreaterThan(1);
    smmu.sync = sync;
    flood();
    expect(flood()).toBe(0);
  });

  it('M10: a blocked stream that floods the queue is silenced, and can be granted again', () => {
    const machine = machineOf(6);
    const enforcer = machine.enforcer();
    remap(enforcer, ANDROID);
    const android = new Guest(machine, ANDROID);
    android.run(android.touch.resume());
    run(enforcer, fence());
    let events = 0;
    for (let n = 0; n < 40; n++) {
      for (let m = 0; m < 8; m++) machine.touch(n, m, true);
      machine.tick(150);
      for (const record of enforcer.faults()) events += record.count;
    }
    expect(events).toBeGreaterThanOrEqual(STORM_EVENTS);
    expect(events).toBeLessThan(STORM_EVENTS + 32);
    expect(run(enforcer, [{ op: 'inspect', resource: 'touch.stream0' as never }])).toEqual([
      { ok: true, reach: 'blocked' },
    ]);
    machine.touch(0, 0, false);
    // Its silent entry is valid: the grant makes it invalid first.
    run(enforcer, grant(VAULT));
    expect(machine.checker.violations).toEqual([]);
    remap(enforcer, VAULT);
    const vault = new Guest(machine, VAULT);
    vault.run(vault.touch.resume());
    machine.touch(5, 6, true);
    machine.tick(200);
    expect(vault.run(vault.touch.poll())).toEqual([{ x: 5, y: 6, down: true }]);
    expect(machine.checker.violations).toEqual([]);
  });
});

describe('clean', () => {
  it('one reset is enough, whatever was under way: what ended after it is cleared, too', () => {
    console.log('clean: seeds 0 to 39');
    for (let seed = 0; seed < 40; seed++) {
      const machine = machineOf(seed);
      const enforcer = machine.enforcer();
      remap(enforcer, ANDROID);
      const android = new Guest(machine, ANDROID);
      android.run(android.touch.resume());
      for (let n = 0; n < 8; n++) machine.touch(n, n, true);
      machine.tick(9);
      run(enforcer, fence());
      run(enforcer, [{ op: 'reset', device: TOUCH_DEVICE }]);
      const idle = run(enforcer, [{ op: 'drained', device: TOUCH_DEVICE }]);
      expect(idle, `seed ${seed}`).toEqual([{ ok: true, idle: true }]);
      const vault = machine.context(VAULT);
      run(enforcer, grant(VAULT));
      const fifo = vault.mmioRead(seenAt(VAULT, 'touch.mmio0') + TOUCH.FIFO);
      expect(fifo, `seed ${seed}`).toEqual({ ok: true, value: 0 });
      expect(machine.checker.violations, `seed ${seed}`).toEqual([]);
    }
  });

  it('a device whose interrupt is pending is not idle', () => {
    const machine = machineOf(1);
    const enforcer = machine.enforcer();
    remap(enforcer, VAULT, KEYS_BUNDLE);
    machine.context(VAULT).mmioWrite(0x0a98_0000 + KEYS.CTRL, 1);
    run(enforcer, fence(KEYS_BUNDLE), KEYS_BUNDLE);
    const idle = () => run(enforcer, [{ op: 'drained', device: 'keys' as never }], KEYS_BUNDLE);
    expect(idle()).toEqual([{ ok: true, idle: true }]);
    machine.press(4);
    expect(idle()).toEqual([{ ok: true, idle: false }]);
    run(enforcer, [{ op: 'reset', device: 'keys' as never }], KEYS_BUNDLE);
    expect(idle()).toEqual([{ ok: true, idle: true }]);
  });
});

describe('fence', () => {
  /** As a bundle file has it that puts vault's view of the touch controller elsewhere. */
  const ELSEWHERE: BundleDefinition = {
    ...PANEL,
    devices: PANEL.devices.map((device) => ({
      ...device,
      resources: device.resources
        .filter(({ id }) => id === TOUCH_MMIO)
        .map((resource) => ({ ...resource, views: { [VAULT]: 0x0bf0_0000 } })),
    })),
  };

  it('takes registers out of every table that maps them', () => {
    const machine = machineOf(1);
    const enforcer = machine.enforcer();
    remap(enforcer, VAULT);
    const blind = machine.enforcer([ELSEWHERE]);
    run(blind, [{ op: 'grant', resource: TOUCH_MMIO, vm: ANDROID }], ELSEWHERE);
    expect(machine.checker.reaching(PANEL.id, TOUCH_MMIO).map(({ vm }) => vm)).toEqual([VAULT, ANDROID]);
    run(enforcer, fence());
    expect(machine.checker.reaching(PANEL.id, TOUCH_MMIO)).toEqual([]);
  });
});

describe('what is read back', () => {
  /** The display's registers as another bundle file has them: eight pages of the sixteen. */
  const SHORTER: BundleDefinition = {
    ...PANEL,
    devices: PANEL.devices.map((device) => ({
      ...device,
      resources: device.resources.map((resource) =>
        resource.kind === 'mmio' && resource.bytes === 0x1_0000 ? { ...resource, bytes: 0x8000 } : resource,
      ),
    })),
  };
  const inspect = (machine: SimulatedMachine, resource: string) =>
    attempt(machine, [{ op: 'inspect', resource: resource as never }]);

  it('registers of which a part is mapped are not the holder’s', () => {
    const machine = machineOf(1);
    const enforcer = machine.enforcer([SHORTER]);
    run(enforcer, fence(SHORTER), SHORTER);
    run(enforcer, grant(VAULT, SHORTER), SHORTER);
    expect(inspect(machine, 'touch.mmio0')).toEqual([{ ok: true, reach: VAULT }]);
    expect(inspect(machine, 'display.mmio0')).toEqual([{ ok: true, reach: 'unknown' }]);
  });

  it.each([
    ['its tables and its VMID', 2, VAULT],
    ['its tables under another VMID', 1, 'unknown'],
  ])('a stream is a VM’s by %s', (_, vmid, reach) => {
    const machine = machineOf(1);
    const enforcer = machine.enforcer();
    remap(enforcer, VAULT);
    const { root } = decodeEntry(entryHalves(machine.smmu.readEntry(0x880)));
    run(enforcer, fence());
    const entry = stage2Entry(vmid, root);
    machine.smmu.prepare(0x880, entry);
    machine.smmu.sync();
    machine.smmu.enable(0x880, entry);
    machine.smmu.sync();
    expect(inspect(machine, 'display.stream0')).toEqual([{ ok: true, reach }]);
  });

  it('the event queue is empty after a settle: what came before belongs to the old holder', () => {
    const machine = machineOf(6);
    const enforcer = machine.enforcer();
    remap(enforcer, ANDROID);
    const android = new Guest(machine, ANDROID);
    android.run(android.display.resume());
    const calls = fence();
    run(enforcer, calls.slice(0, -1));
    for (const id of [0x880, 0xc80]) machine.smmu.push(cfgiSte(id));
    machine.smmu.sync();
    machine.tick(60);
    run(enforcer, calls.slice(-1));
    expect(machine.smmu.drainEvents(DRAIN_MAX)).toEqual({ events: [], lost: false });
    expect(enforcer.faults().find(({ stream }) => stream === 0x880)).toMatchObject({ event: 'C_BAD_STE' });
  });
});
