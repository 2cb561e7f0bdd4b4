/** Names below /sys whose numbers change: found anew each time, by what stays, and exactly one. */

import { describe, expect, it } from 'vitest';
import type { HookStep } from '../../../src/edges/hooks/kinds.ts';
import { fitsPattern, numberedPart, unnumbered } from '../../../src/edges/hooks/names.ts';
import type { FakeWorld } from './fake-world.ts';
import { Rig } from './support.ts';

const CLIENT = '/sys/bus/i2c/devices/1-0038';
const rigOf = (...suspend: HookStep[]) => new Rig({ touch: { suspend } });
const OK = { ok: true };
const errorOf = async (rig: Rig) => {
  const result = await rig.run('suspend');
  return result.ok ? 'done' : result.error;
};

/** Binds a HID touch screen with other numbers than before. Returns where it is inhibited. */
function bindHid(world: FakeWorld, number: number, client = CLIENT): string {
  for (const path of [...world.files.keys()]) if (path.startsWith(`${client}/`)) world.files.delete(path);
  const hid = `${client}/0018:1234:5678.000${number}`;
  world.files.set(`${hid}/input/input${number + 4}/inhibited`, '0');
  world.files.set(`${hid}/power/control`, 'auto');
  world.files.set(`${client}/name`, 'hid-over-i2c');
  return `${hid}/input/input${number + 4}/inhibited`;
}

describe('input-inhibit', () => {
  it.each([
    ['the bus client', CLIENT],
    ['the bus client, by a pattern', '/sys/bus/i2c/devices/*-0038'],
    ['the HID device, by a pattern', `${CLIENT}/0018:1234:5678.*`],
  ])('by %s: before a re-bind, while it is lent, and after', async (_, input) => {
    const rig = rigOf({ kind: 'input-inhibit', input });
    const first = bindHid(rig.world, 1);
    expect(await rig.run('suspend')).toEqual(OK);
    expect(rig.world.files.get(first)).toBe('1');
    const second = bindHid(rig.world, 2);
    expect(await rig.run('resume')).toEqual(OK);
    expect(rig.world.files.get(second)).toBe('0');
    expect(await rig.run('suspend')).toEqual(OK);
    expect(rig.world.files.get(second)).toBe('1');
    expect(await rig.run('resume')).toEqual(OK);
    expect(rig.world.files.get(second)).toBe('0');
  });

  it('by the bus client: every input device, those of a USB interface as well', async () => {
    const usb = '/sys/bus/usb/devices/1-2';
    const rig = rigOf({ kind: 'input-inhibit', input: usb });
    const at = (place: string) => `${usb}/${place}/inhibited`;
    const all = [
      at('1-2:1.0/0003:0001:0002.0007/input/input8'),
      at('1-2:1.0/0003:0001:0002.0007/input/input9'),
      at('1-2:1.1/input/input10'),
    ];
    for (const path of all) rig.world.files.set(path, '0');
    expect(await rig.run('suspend')).toEqual(OK);
    expect(all.map((path) => rig.world.files.get(path))).toEqual(['1', '1', '1']);
  });

  it('below a device with more folders than any has is refused, in bounded time', async () => {
    const rig = rigOf({ kind: 'input-inhibit', input: CLIENT });
    for (let n = 0; n < 1_000; n++) rig.world.files.set(`${CLIENT}/part${n}/name`, 'x');
    expect(await errorOf(rig)).toContain('more than 512 folders below it');
  });

  it('follows no link out of the device', async () => {
    const rig = rigOf({ kind: 'input-inhibit', input: CLIENT });
    bindHid(rig.world, 1);
    rig.world.reals.set(`${CLIENT}/subsystem`, '/sys/bus/i2c');
    rig.world.files.set('/sys/bus/i2c/other/input/input99/inhibited', '0');
    expect(await rig.run('suspend')).toEqual(OK);
    expect(rig.world.files.get('/sys/bus/i2c/other/input/input99/inhibited')).toBe('0');
  });

  describe('by what it says of itself', () => {
    const input = (world: FakeWorld, number: number, traits: Record<string, string>) => {
      const place = `/sys/class/input/input${number}`;
      for (const [name, text] of Object.entries({ inhibited: '0', name: '', phys: '', uniq: '', ...traits }))
        world.files.set(`${place}/${name}`, text);
      return `${place}/inhibited`;
    };

    it.each([
      [{ name: 'Goodix*' }],
      [{ phys: 'i2c-*/input0' }],
      [{ uniq: 'SN 42' }],
      [{ name: 'Goodix Capacitive*', uniq: '*42' }],
    ])('%j', async (find) => {
      const rig = rigOf({ kind: 'input-inhibit', find });
      const other = input(rig.world, 3, { name: 'gpio-keys', phys: 'gpio-keys/input0' });
      const ours = input(rig.world, 12, {
        name: 'Goodix Capacitive TouchScreen',
        phys: 'i2c-1-0038/input0',
        uniq: 'SN 42',
      });
      expect(await rig.run('suspend')).toEqual(OK);
      expect([rig.world.files.get(ours), rig.world.files.get(other)]).toEqual(['1', '0']);
      expect(await rig.inspect()).toBe('suspended');
      expect(await rig.run('resume')).toEqual(OK);
      expect(rig.world.files.get(ours)).toBe('0');
    });

    it('must mean exactly one', async () => {
      const rig = rigOf({ kind: 'input-inhibit', find: { name: 'Goodix*' } });
      expect(await errorOf(rig)).toBe(
        'touch/input-inhibit: an input device with name "Goodix*": nothing fits: expected exactly ' +
          'one; is the driver bound?',
      );
      input(rig.world, 3, { name: 'Goodix A' });
      input(rig.world, 4, { name: 'Goodix B' });
      expect(await errorOf(rig)).toBe(
        'touch/input-inhibit: an input device with name "Goodix*": 2 fit (/sys/class/input/input3, ' +
          '/sys/class/input/input4): expected exactly one',
      );
      expect(rig.world.events).toEqual([]);
    });

    it('no device without a serial number has one that is looked for', async () => {
      const rig = rigOf({ kind: 'input-inhibit', find: { uniq: '4*' } });
      input(rig.world, 3, {});
      expect(await errorOf(rig)).toContain('nothing fits');
    });
  });
});

describe('a pattern', () => {
  const AUTO = '/sys/bus/platform/devices/display-backlight.*.auto';
  const place = (number: number) => `/sys/bus/platform/devices/display-backlight.${number}.auto`;

  it('names a device with an automatic number: runtime-pm', async () => {
    const rig = rigOf({ kind: 'runtime-pm', device: AUTO });
    const { files } = rig.world;
    const put = (number: number, control: string) => {
      files.set(`${place(number)}/power/control`, control);
      files.set(`${place(number)}/power/runtime_status`, 'suspended');
    };
    put(3, 'on');
    expect(await rig.run('suspend')).toEqual(OK);
    expect(files.get(`${place(3)}/power/control`)).toBe('auto');
    // Registered anew while it is lent; another device has its number now.
    for (const path of [...files.keys()]) files.delete(path);
    put(5, 'auto');
    files.set('/sys/bus/platform/devices/other.3.auto/power/control', 'auto');
    rig.world.events.length = 0;
    expect(await rig.run('resume')).toEqual(OK);
    expect(rig.world.events).toEqual([]);
  });

  it('names an attribute: sysfs, with what is waited for', async () => {
    const rig = rigOf({
      kind: 'sysfs',
      ...{ path: '/sys/class/backlight/*/bl_power', write: '4' },
      expect: { path: '/sys/class/drm/card*-DSI-1/dpms', value: 'Off' },
    });
    rig.world.files.set('/sys/class/backlight/backlight7/bl_power', '0');
    rig.world.files
      .set('/sys/class/drm/card2-DSI-1/dpms', 'Off')
      .set('/sys/class/drm/card2-HDMI-A-1/dpms', 'On');
    expect(await rig.run('suspend')).toEqual(OK);
    expect(await rig.run('resume')).toEqual(OK);
    expect(rig.world.events).toEqual([
      '/sys/class/backlight/backlight7/bl_power=4',
      '/sys/class/backlight/backlight7/bl_power=0',
    ]);
  });

  it('names a LED whose folder has the number of an input device', async () => {
    const rig = rigOf({ kind: 'sysfs', path: '/sys/class/leds/*::capslock/brightness', write: '0' });
    rig.world.files.set('/sys/class/leds/input3::capslock/brightness', '1');
    rig.world.files.set('/sys/class/leds/input3::numlock/brightness', '1');
    expect(await rig.run('suspend')).toEqual(OK);
    expect(rig.world.events).toEqual(['/sys/class/leds/input3::capslock/brightness=0']);
  });

  it('names a framebuffer by its device', async () => {
    const rig = rigOf({ kind: 'fb-blank', fb: '/sys/bus/platform/devices/*.display' });
    const device = '/sys/bus/platform/devices/ae00000.display';
    rig.world.files.set(`${device}/graphics/fb1/blank`, '0');
    expect(await rig.run('suspend')).toEqual(OK);
    rig.world.files.delete(`${device}/graphics/fb1/blank`);
    rig.world.files.set(`${device}/graphics/fb0/blank`, '0');
    rig.world.events.length = 0;
    expect(await rig.run('resume')).toEqual(OK);
    expect(rig.world.events).toEqual([]);
  });

  it.each(['0018:1234:5678.*', '/sys/bus/i2c/devices/1-0038/0018:1234:5678.*'])(
    'names what is unbound: %s',
    async (device) => {
      const rig = rigOf({ kind: 'unbind', bus: 'hid', driver: 'hid-multitouch', device });
      const { world } = rig;
      const bus = '/sys/bus/hid/devices/0018:1234:5678.0003';
      world.folders.add('/sys/devices/hid3').add(`${CLIENT}/0018:1234:5678.0003`);
      world.reals.set(bus, `${CLIENT}/0018:1234:5678.0003`);
      world.links.set(`${bus}/driver`, 'hid-multitouch');
      const drivers = '/sys/bus/hid/drivers/hid-multitouch';
      world.files.set(`${drivers}/bind`, '').set(`${drivers}/unbind`, '');
      world.onWrite.set(`${drivers}/unbind`, () => void world.links.delete(`${bus}/driver`));
      world.onWrite.set(`${drivers}/bind`, () => void world.links.set(`${bus}/driver`, 'hid-multitouch'));
      expect(await rig.run('suspend')).toEqual(OK);
      expect(await rig.run('resume')).toEqual(OK);
      expect(world.events).toEqual([
        `${drivers}/unbind=0018:1234:5678.0003`,
        `${drivers}/bind=0018:1234:5678.0003`,
      ]);
    },
  );

  it('counts two paths of one device once', async () => {
    const rig = rigOf({ kind: 'runtime-pm', device: '/sys/class/drm/card*' });
    rig.world.files.set('/sys/class/drm/card0/power/control', 'auto');
    rig.world.files.set('/sys/class/drm/card0/power/runtime_status', 'suspended');
    rig.world.reals.set('/sys/class/drm/card0-copy', '/sys/class/drm/card0');
    expect(await rig.run('suspend')).toEqual(OK);
    rig.world.files.set('/sys/class/drm/card1/power/control', 'auto');
    expect(await errorOf(rig)).toBe(
      'touch/runtime-pm: /sys/class/drm/card*: 2 fit (/sys/class/drm/card0, /sys/class/drm/card1): ' +
        'expected exactly one',
    );
  });

  it('that means nothing fails, and says so', async () => {
    const rig = rigOf({ kind: 'trusted-touch', device: '/sys/bus/i2c/devices/*-0062' });
    expect(await rig.inspect()).toBe('unknown');
    expect(await errorOf(rig)).toBe(
      'touch/trusted-touch: /sys/bus/i2c/devices/*-0062: nothing fits: expected exactly one; is the driver bound?',
    );
  });

  it('that means everything is refused, in bounded time', async () => {
    const rig = rigOf({ kind: 'runtime-pm', device: '/sys/*/*/*/*' });
    for (let i = 0; i < 600; i++) rig.world.files.set(`/sys/a/b/c/d${i}/power/control`, 'auto');
    expect(await errorOf(rig)).toContain('more than 512 fit: expected exactly one');
  });

  it('of a device that is gone when it is resumed fails until it is back', async () => {
    const rig = rigOf({ kind: 'input-inhibit', input: '/sys/bus/i2c/devices/*-0038' });
    bindHid(rig.world, 1);
    await rig.run('suspend');
    rig.world.files.clear();
    expect(await rig.run('resume')).toMatchObject({
      ok: false,
      error: expect.stringContaining('nothing fits'),
    });
    bindHid(rig.world, 2, '/sys/bus/i2c/devices/4-0038');
    expect(await rig.run('resume')).toEqual(OK);
  });
});

describe('a number that another device has now', () => {
  it('is not taken for ours', async () => {
    const rig = rigOf({ kind: 'fb-blank', fb: 'fb0' });
    const { world } = rig;
    const [ours, other] = ['/sys/devices/display/graphics/fb0', '/sys/devices/gpu/graphics/fb0'];
    world.reals.set('/sys/class/graphics/fb0', ours);
    world.files.set(`${ours}/blank`, '0').set(`${other}/blank`, '4');
    expect(await rig.run('suspend')).toEqual(OK);
    world.reals.set('/sys/class/graphics/fb0', other);
    world.events.length = 0;
    expect(await rig.run('resume')).toEqual(OK);
    expect(world.events).toEqual([]);
  });
});

describe('names', () => {
  it.each([
    ['input3', 'input3', true],
    ['input*', 'input', true],
    ['*-0038', '1-0038', true],
    ['*-0038', '1-00380', false],
    ['a*b*c', 'aXbXbc', true],
    ['a*b*c', 'aXc', false],
    ['*', '', true],
    ['', 'a', false],
    ['a.c', 'abc', false],
    ['[ab]', 'a', false],
  ])('%s and %s: %s', (pattern, text, fits) => {
    expect(fitsPattern(pattern, text)).toBe(fits);
  });

  it('are compared in bounded time', () => {
    const startMs = performance.now();
    expect(fitsPattern(`${'*a'.repeat(200)}b`, 'a'.repeat(5_000))).toBe(false);
    expect(performance.now() - startMs).toBeLessThan(1_000);
  });

  it.each([
    ['/sys/class/input/input3', 'input3', 'input*'],
    ['/sys/class/input/event3/device', 'event3', 'event*'],
    ['/sys/bus/i2c/devices/1-0038/0018:1234:5678.0001', '0018:1234:5678.0001', '0018:1234:5678.*'],
    ['/sys/devices/pci0000:00/0000:00:04.0/virtio3', 'virtio3', 'virtio*'],
    ['/sys/class/drm/card0-DSI-1/dpms', 'card0-DSI-1', 'card*-DSI-1'],
    ['/sys/class/leds/input3::capslock/brightness', 'input3::capslock', 'input*::capslock'],
    ['/sys/bus/platform/devices/touch.2.auto', 'touch.2.auto', 'touch.*.auto'],
    ['/sys/class/graphics/fb0', 'fb0', 'fb*'],
    ['/sys/class/hidraw/hidraw1', 'hidraw1', 'hidraw*'],
    ['/sys/class/backlight/backlight1/bl_power', 'backlight1', 'backlight*'],
  ])('%s has a number that changes', (path, part, pattern) => {
    expect(numberedPart(path)).toBe(part);
    expect(unnumbered(part)).toBe(pattern);
    expect(fitsPattern(pattern, part)).toBe(true);
  });

  it.each([
    '/sys/bus/i2c/devices/1-0038',
    '/sys/devices/platform/a900000.touch',
    '/sys/class/drm/card*-DSI-1/dpms',
    '/sys/class/backlight/panel',
    '/sys/devices/pci0000:00/0000:00:04.0',
  ])('%s has none', (path) => {
    expect(numberedPart(path)).toBeUndefined();
  });
});
