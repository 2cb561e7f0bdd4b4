import { describe, expect, it } from 'vitest';
import type { FakeWorld } from './fake-world.ts';
import { Rig, step, VAULT } from './support.ts';

const INHIBITED = '/sys/class/input/input3/inhibited';
const POWER = '/sys/devices/touch/power';
const DEVICE = '/sys/bus/platform/devices/b0.touch';
const DRIVERS = '/sys/bus/platform/drivers/faketouch';

const INHIBIT = { kind: 'input-inhibit', input: 'input3' } as const;
const RUNTIME_PM = { kind: 'runtime-pm', device: '/sys/devices/touch', limitMs: 200 } as const;
const BLANK = { kind: 'fb-blank', fb: 'fb0' } as const;
const UNBIND = {
  kind: 'unbind',
  bus: 'platform',
  driver: 'faketouch',
  device: 'b0.touch',
  limitMs: 100,
} as const;

/** A device whose runtime status follows `power/control` some milliseconds later. */
function powered(world: FakeWorld, suspendMs: number): void {
  world.files.set(`${POWER}/control`, 'on');
  world.files.set(`${POWER}/runtime_status`, 'active');
  world.files.set(`${POWER}/autosuspend_delay_ms`, '2000');
  world.onWrite.set(`${POWER}/control`, (text) => {
    const status = text === 'auto' ? 'suspended' : 'active';
    world.clock.after(suspendMs, () => world.files.set(`${POWER}/runtime_status`, status));
  });
}

/** A platform device bound to its driver; binding works unless `probes` is false. */
function bound(world: FakeWorld, probes = true): void {
  world.folders.add(DEVICE);
  world.links.set(`${DEVICE}/driver`, 'faketouch');
  world.files.set(`${DRIVERS}/unbind`, '');
  world.files.set(`${DRIVERS}/bind`, '');
  world.onWrite.set(`${DRIVERS}/unbind`, () => void world.links.delete(`${DEVICE}/driver`));
  world.onWrite.set(
    `${DRIVERS}/bind`,
    () => void (probes && world.links.set(`${DEVICE}/driver`, 'faketouch')),
  );
}

describe('sysfs', () => {
  const STEP = {
    kind: 'sysfs',
    path: '/sys/v/enable',
    write: '0',
    undo: '1',
    expect: { path: '/sys/v/state', value: 'off', undone: 'on' },
    limitMs: 100,
  } as const;

  it('writes, then waits until the other attribute reads as expected', async () => {
    const rig = new Rig({ touch: { suspend: [STEP] } });
    rig.world.files.set('/sys/v/enable', '1').set('/sys/v/state', 'on');
    rig.world.onWrite.set('/sys/v/enable', (text) => {
      rig.world.clock.after(50, () => rig.world.files.set('/sys/v/state', text === '0' ? 'off' : 'on'));
    });
    expect(await rig.run('suspend')).toEqual({ ok: true });
    expect(await rig.inspect()).toBe('suspended');
    expect(await rig.run('resume')).toEqual({ ok: true });
    expect(await rig.inspect()).toBe('active');
  });

  it('reports the last value when that does not come about, and undoes the write', async () => {
    const rig = new Rig({ touch: { suspend: [STEP] } });
    rig.world.files.set('/sys/v/enable', '1').set('/sys/v/state', 'on');
    expect(await rig.run('suspend')).toEqual({
      ok: false,
      outcome: 'failed',
      error: 'touch/sysfs: /sys/v/state still reads "on" after 100 ms, not "off"',
    });
    expect(rig.world.events).toEqual(['/sys/v/enable=0', '/sys/v/enable=1']);
  });

  it('fails on an attribute that is not there, with nothing to undo', async () => {
    const rig = new Rig({ touch: { suspend: [STEP] } });
    expect(await rig.run('suspend')).toEqual({
      ok: false,
      outcome: 'failed',
      error: 'touch/sysfs: ENOENT: /sys/v/enable',
    });
    expect(rig.world.events).toEqual([]);
  });

  it('without a value that it is undone by puts back what was found', async () => {
    const { undo: _, expect: __, ...once } = STEP;
    const rig = new Rig({ touch: { suspend: [once] } });
    rig.world.files.set('/sys/v/enable', '3');
    await rig.run('suspend');
    expect(await rig.run('resume')).toEqual({ ok: true });
    expect(rig.world.events).toEqual(['/sys/v/enable=0', '/sys/v/enable=3']);
  });
});

describe('input-inhibit', () => {
  it('inhibits and uninhibits, and may be repeated', async () => {
    const rig = new Rig({ touch: { suspend: [INHIBIT] } });
    rig.world.files.set(INHIBITED, '0');
    expect(await rig.run('suspend')).toEqual({ ok: true });
    expect(await rig.run('suspend')).toEqual({ ok: true });
    expect(await rig.inspect()).toBe('suspended');
    expect(await rig.run('resume')).toEqual({ ok: true });
    expect(await rig.run('resume')).toEqual({ ok: true });
    expect(await rig.inspect()).toBe('active');
  });

  it('reports the driver that cannot be opened again', async () => {
    const rig = new Rig({ touch: { suspend: [INHIBIT] } });
    rig.world.files.set(INHIBITED, '0');
    await rig.lend();
    rig.world.onWrite.set(INHIBITED, () => {
      throw new Error('EIO');
    });
    expect(await rig.run('resume')).toEqual({
      ok: false,
      outcome: 'failed',
      error: 'touch/input-inhibit: EIO',
    });
  });

  describe('by the folder of its parent', () => {
    const all = { kind: 'input-inhibit', input: '/sys/devices/touch' } as const;
    const at = (input: string) => `/sys/devices/touch/input/${input}/inhibited`;

    it('means every input device in it, whatever its number', async () => {
      const rig = new Rig({ touch: { suspend: [all] } });
      rig.world.files
        .set(at('input7'), '0')
        .set(at('input12'), '0')
        .set('/sys/devices/touch/input/power', '0');
      expect(await rig.run('suspend')).toEqual({ ok: true });
      expect(rig.world.events.sort()).toEqual([`${at('input12')}=1`, `${at('input7')}=1`]);
      expect(await rig.inspect()).toBe('suspended');
      // Bound anew.
      rig.world.files.delete(at('input7'));
      rig.world.files.set(at('input13'), '0');
      expect(await rig.run('resume')).toEqual({ ok: true });
      expect(await rig.inspect()).toBe('active');
    });

    it('finds one that came after the others were inhibited, and the owner keeps its bundle', async () => {
      const other = { kind: 'sysfs', path: '/sys/v/enable', write: '0', undo: '1' } as const;
      const rig = new Rig({ touch: { suspend: [all, other] } });
      rig.world.files.set(at('input7'), '0').set('/sys/v/enable', '1');
      rig.world.onWrite.set('/sys/v/enable', (text) => {
        if (text === '0') rig.world.files.set(at('input8'), '0');
      });
      expect(await rig.run('suspend')).toEqual({
        ok: false,
        outcome: 'failed',
        error: `touch/input-inhibit: ${at('input8')} reads "0", not "1"`,
      });
      expect(await rig.inspect()).not.toBe('suspended');
      for (const input of ['input7', 'input8']) expect(rig.world.files.get(at(input))).toBe('0');
    });

    it('cannot tell when they differ, or when there is none', async () => {
      const rig = new Rig({ touch: { suspend: [all] } });
      expect(await rig.inspect()).toBe('unknown');
      rig.world.files.set(at('input7'), '0').set(at('input8'), '1');
      expect(await rig.inspect()).toBe('unknown');
    });

    it('fails without one, and says what may be the reason', async () => {
      const rig = new Rig({ touch: { suspend: [all] } });
      rig.world.files.set('/sys/devices/touch/input/power', '0');
      expect(await rig.run('suspend')).toEqual({
        ok: false,
        outcome: 'failed',
        error: 'touch/input-inhibit: /sys/devices/touch: no input device below it: is the driver bound?',
      });
    });

    it('undoes the first when the second is refused', async () => {
      const rig = new Rig({ touch: { suspend: [all] } });
      rig.world.files.set(at('input7'), '0').set(at('input8'), '0');
      rig.world.onWrite.set(at('input8'), (text) => {
        if (text === '1') throw new Error('EIO');
      });
      expect(await rig.run('suspend')).toEqual({
        ok: false,
        outcome: 'failed',
        error: 'touch/input-inhibit: EIO',
      });
      expect(rig.world.files.get(at('input7'))).toBe('0');
    });
  });

  it('means the other direction in a list of resume steps', async () => {
    const rig = new Rig({ touch: { suspend: [INHIBIT], resume: [INHIBIT] } });
    rig.world.files.set(INHIBITED, '0');
    await rig.lend();
    await rig.run('resume');
    expect(rig.world.events).toEqual([`${INHIBITED}=0`]);
  });
});

describe('runtime-pm', () => {
  it('allows, waits for the suspend, forbids again, and puts the delay back', async () => {
    const rig = new Rig({ touch: { suspend: [RUNTIME_PM] } });
    powered(rig.world, 30);
    expect(await rig.run('suspend')).toEqual({ ok: true });
    expect(rig.world.files.get(`${POWER}/autosuspend_delay_ms`)).toBe('0');
    expect(await rig.inspect()).toBe('suspended');
    expect(await rig.run('resume')).toEqual({ ok: true });
    expect(rig.world.files.get(`${POWER}/autosuspend_delay_ms`)).toBe('2000');
    expect(await rig.inspect()).toBe('active');
  });

  it('does without a delay where the driver uses none', async () => {
    const rig = new Rig({ touch: { suspend: [RUNTIME_PM] } });
    powered(rig.world, 1);
    rig.world.files.delete(`${POWER}/autosuspend_delay_ms`);
    expect(await rig.run('suspend')).toEqual({ ok: true });
  });

  it('refuses at once where there is no runtime PM, having written nothing', async () => {
    const rig = new Rig({ touch: { suspend: [RUNTIME_PM] } });
    powered(rig.world, 1);
    rig.world.files.set(`${POWER}/runtime_status`, 'unsupported');
    expect(await rig.run('suspend')).toMatchObject({
      outcome: 'failed',
      error: expect.stringContaining('reads unsupported'),
    });
    expect(rig.world.events).toEqual([]);
  });

  it('forbids again when the device stays in use: user space cannot force it', async () => {
    const rig = new Rig({ touch: { suspend: [RUNTIME_PM] } });
    powered(rig.world, 1);
    rig.world.onWrite.delete(`${POWER}/control`);
    expect(await rig.run('suspend')).toEqual({
      ok: false,
      outcome: 'failed',
      error: `touch/runtime-pm: ${POWER}/runtime_status still reads "active" after 200 ms, not "suspended"`,
    });
    expect(rig.world.files.get(`${POWER}/control`)).toBe('on');
  });

  it('fails at once when the driver’s suspend failed', async () => {
    const rig = new Rig({ touch: { suspend: [RUNTIME_PM] } });
    powered(rig.world, 1);
    rig.world.onWrite.set(`${POWER}/control`, (text) => {
      rig.world.files.set(`${POWER}/runtime_status`, text === 'on' ? 'active' : 'error');
    });
    const result = await rig.run('suspend');
    expect(result).toMatchObject({ outcome: 'failed', error: expect.stringContaining('reads error') });
    expect(rig.world.clock.nowMs()).toBeLessThan(10);
  });

  it('is looked at again at the end: whoever opens the device wakes it', async () => {
    const rig = new Rig({ touch: { suspend: [RUNTIME_PM] }, display: { suspend: [BLANK] } });
    powered(rig.world, 0);
    rig.world.files.set('/sys/class/graphics/fb0/blank', '');
    rig.world.onWrite.set('/sys/class/graphics/fb0/blank', () => {
      rig.world.files.set(`${POWER}/runtime_status`, 'resuming');
    });
    expect(await rig.run('suspend')).toMatchObject({
      outcome: 'failed',
      error: expect.stringContaining('reads "resuming", not "suspended"'),
    });
    expect(rig.world.files.get('/sys/class/graphics/fb0/blank')).toBe('0');
  });
});

describe('unbind', () => {
  it('unbinds and binds, and may be repeated', async () => {
    const rig = new Rig({ touch: { suspend: [UNBIND] } });
    bound(rig.world);
    expect(await rig.run('suspend')).toEqual({ ok: true });
    expect(await rig.run('suspend')).toEqual({ ok: true });
    expect(await rig.inspect()).toBe('suspended');
    expect(await rig.run('resume')).toEqual({ ok: true });
    expect(await rig.run('resume')).toEqual({ ok: true });
    expect(await rig.inspect()).toBe('active');
    expect(rig.world.events).toEqual([`${DRIVERS}/unbind=b0.touch`, `${DRIVERS}/bind=b0.touch`]);
  });

  it('is not deceived by a bind that succeeds and binds nothing', async () => {
    const rig = new Rig({ touch: { suspend: [UNBIND] } });
    bound(rig.world, false);
    await rig.run('suspend');
    expect(await rig.run('resume')).toEqual({
      ok: false,
      outcome: 'unknown',
      error: `touch/unbind: ${DEVICE}/driver does not point to faketouch 100 ms after bind`,
    });
  });

  it('refuses to unbind another driver', async () => {
    const rig = new Rig({ touch: { suspend: [UNBIND] } });
    bound(rig.world);
    rig.world.links.set(`${DEVICE}/driver`, 'vfio-platform');
    expect(await rig.run('suspend')).toEqual({
      ok: false,
      outcome: 'failed',
      error: `touch/unbind: ${DEVICE}/driver points to vfio-platform, not to faketouch`,
    });
    expect(rig.world.events).toEqual([]);
  });

  it('does not take a device that is not there for one without a driver', async () => {
    const rig = new Rig({ touch: { suspend: [UNBIND] } });
    expect(await rig.run('suspend')).toMatchObject({
      outcome: 'failed',
      error: expect.stringContaining('no such device'),
    });
    expect(await rig.inspect()).toBe('unknown');
  });
});

describe('inspect', () => {
  it('knows what all steps of all devices agree on', async () => {
    const rig = new Rig({ touch: { suspend: [INHIBIT, UNBIND] }, display: { suspend: [RUNTIME_PM] } });
    bound(rig.world);
    powered(rig.world, 0);
    rig.world.files.set(INHIBITED, '0');
    expect(await rig.inspect()).toBe('active');
  });

  it('is unknown when they do not: a run was interrupted', async () => {
    const rig = new Rig({ touch: { suspend: [INHIBIT, UNBIND] } });
    bound(rig.world);
    rig.world.files.set(INHIBITED, '1');
    expect(await rig.inspect()).toBe('unknown');
  });

  it('is unknown when one step cannot tell', async () => {
    const rig = new Rig({ touch: { suspend: [INHIBIT, step('idle')] } });
    rig.world.files.set(INHIBITED, '1');
    expect(await rig.inspect()).toBe('unknown');
  });

  it('asks the configured program instead, which prints what it found', async () => {
    const inspect = { kind: 'command', command: ['look'] } as const;
    const rig = new Rig({ touch: { suspend: [step('idle')], inspect } }, VAULT);
    rig.world.scripts.set('look', { stdout: 'suspended\n' });
    expect(await rig.inspect()).toBe('suspended');
    expect(rig.world.orders[0]!.environment).not.toHaveProperty('BATON_EPOCH');
  });

  it('is unknown when that program fails', async () => {
    const inspect = { kind: 'command', command: ['look'] } as const;
    const rig = new Rig({ touch: { inspect } });
    rig.world.scripts.set('look', { stdout: 'suspended\n', how: { status: 1 } });
    expect(await rig.inspect()).toBe('unknown');
    expect(rig.logs.at(-1)).toContain('look: status 1');
  });
});
