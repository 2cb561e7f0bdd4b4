/** Warnings about hooks that can be used and will perhaps not do what was meant, on a machine in memory. */

import { describe, expect, it } from 'vitest';
import type { ConfigFiles } from '../../src/config/follow.ts';
import { hookWarnings } from '../../src/config/warn-hooks.ts';
import type { DeviceHooksConfig } from '../../src/edges/hooks/hooks-config.ts';
import type { HookStep } from '../../src/edges/hooks/kinds.ts';

/** Files by path; `links` stand for folders. */
function machine(
  files: Record<string, string> = {},
  links: Record<string, string> = {},
  modes: Record<string, number> = {},
): ConfigFiles {
  const real = (path: string): string => {
    for (const [link, target] of Object.entries(links))
      if (path === link || path.startsWith(`${link}/`)) return target + path.slice(link.length);
    return path;
  };
  const below = (path: string) => Object.keys(files).filter((file) => file.startsWith(`${real(path)}/`));
  const unused = () => expect.unreachable();
  return {
    readText: (path) => files[real(path)] ?? expect.unreachable(),
    besideConfig: unused,
    look: (path) => {
      const isFile = real(path) in files;
      if (!isFile && below(path).length === 0) return undefined;
      return { isFile, mode: modes[real(path)] ?? 0o644, isExecutable: false };
    },
    list: (path) => {
      const prefix = path === '/' ? 1 : real(path).length + 1;
      const names = [
        ...(path === '/' ? Object.keys(files) : below(path)).map((file) => file.slice(prefix).split('/')[0]!),
        ...Object.keys(links).flatMap((link) =>
          link.startsWith(`${path}/`) ? [link.slice(path.length + 1)] : [],
        ),
      ];
      return [...new Set(names)];
    },
    hidden: () => undefined,
    realPath: real,
    readTree: unused,
  };
}

/** The warnings about one device, each with the place of its step. */
function of(hooks: DeviceHooksConfig, files: ConfigFiles = machine()): string[] {
  return hookWarnings({ panel: { touch: hooks } }, files).map(({ path, message }) => {
    expect(path.slice(0, 3)).toEqual(['hooks', 'panel', 'touch']);
    return `${path.slice(3).join('.')}: ${message}`;
  });
}

const COMMAND = { kind: 'command', command: ['stop'] } as const;
const TOUCH = '/sys/bus/i2c/devices/1-0038';

describe('a step that nothing undoes', () => {
  it.each([
    [
      { suspend: [COMMAND] },
      ['suspend.0.kind: command: never undone: expected "undo", or "resume" of the device'],
    ],
    [{ holdSupplies: [COMMAND] }, ['holdSupplies.0.kind: command: never undone: expected "undo"']],
    [
      { holdSupplies: [COMMAND], suspend: [COMMAND], resume: [COMMAND] },
      ['holdSupplies.0.kind: command: never undone: expected "undo"'],
    ],
    [{ suspend: [COMMAND], resume: [] }, ['resume: empty: nothing undoes what "suspend" does']],
  ] as [DeviceHooksConfig, string[]][])('%j', (hooks, warnings) => {
    expect(of(hooks)).toEqual(warnings);
  });

  it('is none when it has an undo, or the device has resume steps, or nothing is suspended', () => {
    expect(of({ suspend: [{ ...COMMAND, undo: ['start'] }] })).toEqual([]);
    expect(of({ suspend: [COMMAND], resume: [COMMAND] })).toEqual([]);
    expect(of({ resume: [] })).toEqual([]);
  });

  it('is one of a kind that undoes itself, when the resume steps leave it out', () => {
    const runtime = { kind: 'runtime-pm', device: TOUCH } as const;
    const files = machine({ [`${TOUCH}/power/runtime_status`]: 'active\n' });
    expect(of({ suspend: [runtime], resume: [COMMAND] }, files)).toEqual([
      'suspend.0.kind: runtime-pm: not undone: expected the same step in "resume", unless a program there does it',
    ]);
    expect(
      of({ suspend: [runtime], resume: [COMMAND, { ...runtime, name: 'on', limitMs: 9 }] }, files),
    ).toEqual([]);
  });

  it('is one that writes what cannot be read', () => {
    const path = '/sys/v/trigger';
    const step = { kind: 'sysfs', path, write: '1', expect: { path, value: '1' } } as const;
    const files = machine({ [path]: '' }, {}, { [path]: 0o200 });
    expect(of({ suspend: [step] }, files)).toEqual([
      `suspend.0.kind: sysfs: ${path} cannot be read, so its former value is not restored: expected ` +
        '"undo", or "resume" of the device',
    ]);
    expect(of({ suspend: [{ ...step, undo: '0' }] }, files)).toEqual([]);
  });
});

describe('success that means little', () => {
  const input = (folder: string): Record<string, string> => ({
    [`${folder}/input/input5/inhibited`]: '0\n',
    [`${folder}/input/input5/name`]: 'QEMU Virtio Tablet\n',
  });
  const VIRTIO = '/sys/devices/pci0000:00/0000:00:04.0/virtio3';
  const virtio = machine(input(VIRTIO), { '/sys/class/input/input5': `${VIRTIO}/input/input5` });
  const words =
    'input-inhibit: events stop, but the driver of a virtio device keeps using it: "unbind" stops it';

  it.each([
    { kind: 'input-inhibit', input: VIRTIO.replace('virtio3', 'virtio*') },
    { kind: 'input-inhibit', input: '/sys/devices/pci0000:00/0000:00:04.0' },
    { kind: 'input-inhibit', find: { name: 'QEMU*' } },
  ] as HookStep[])('of inhibiting a device of virtio: %j', (step) => {
    expect(of({ suspend: [step] }, virtio)).toEqual([`suspend.0.kind: ${words}`]);
  });

  it('is enough beside a step that makes the driver let go', () => {
    const step = { kind: 'input-inhibit', find: { name: 'QEMU*' } } as const;
    const unbind = { kind: 'unbind', bus: 'virtio', driver: 'virtio_input', device: `${VIRTIO}/x` } as const;
    expect(of({ suspend: [step, unbind] }, virtio).join()).not.toContain('events stop');
  });

  it('of inhibiting a device whose driver has no runtime PM', () => {
    const status = `${TOUCH}/power/runtime_status`;
    const step = { kind: 'input-inhibit', input: TOUCH } as const;
    expect(of({ suspend: [step] }, machine({ ...input(TOUCH), [status]: 'unsupported\n' }))).toEqual([
      `suspend.0.kind: input-inhibit: events stop, but the driver has no runtime PM (${status}) and ` +
        'may use the device on',
    ]);
    expect(of({ suspend: [step] }, machine({ ...input(TOUCH), [status]: 'active\n' }))).toEqual([]);
  });

  it('of runtime PM where there is none', () => {
    const status = `${TOUCH}/power/runtime_status`;
    expect(
      of(
        { suspend: [{ kind: 'runtime-pm', device: '/sys/bus/i2c/devices/*-0038' }] },
        machine({ [status]: 'unsupported\n' }),
      ),
    ).toEqual([
      `suspend.0.kind: runtime-pm: ${status} reads unsupported: the driver has no runtime PM, so the step fails`,
    ]);
  });

  it('of blanking, with a DRM master or without connectors', () => {
    const device = '/sys/bus/platform/devices/display';
    const step = { kind: 'fb-blank', fb: device } as const;
    const drm = machine({
      [`${device}/graphics/fb0/blank`]: '',
      [`${device}/drm/card0/card0-DSI-1/dpms`]: 'On',
    });
    expect(of({ suspend: [step] }, drm)).toEqual([
      'suspend.0.kind: fb-blank: fails while a DRM master has the display: an earlier step must make ' +
        'a compositor release it',
    ]);
    expect(of({ suspend: [step] }, machine({ [`${device}/graphics/fb0/blank`]: '' }))).toEqual([
      'suspend.0.kind: fb-blank: the device has no DRM connectors, so whether the display goes dark is unknown',
    ]);
  });

  it('of a write that nothing is expected of', () => {
    const path = '/sys/v/enable';
    expect(of({ suspend: [{ kind: 'sysfs', path, write: '0' }] }, machine({ [path]: '1' }))).toEqual([
      'suspend.0.kind: sysfs: without "expect" a write that does nothing counts as success',
    ]);
  });
});

describe('a pattern', () => {
  it.each([
    [{}, ['suspend.0.device: /sys/bus/i2c/devices/*-0038: nothing fits on this machine now']],
    [{ [`${TOUCH}/power/control`]: 'auto' }, []],
    [
      { [`${TOUCH}/power/control`]: 'auto', '/sys/bus/i2c/devices/2-0038/power/control': 'auto' },
      ['suspend.0.device: /sys/bus/i2c/devices/*-0038: 2 fit on this machine now: expected exactly one'],
    ],
  ])('has to mean one thing: %j', (files, warnings) => {
    expect(
      of(
        { suspend: [{ kind: 'runtime-pm', device: '/sys/bus/i2c/devices/*-0038' }] },
        machine(files as never),
      ),
    ).toEqual(warnings);
  });

  it('stands for a number that changes, which is warned of', () => {
    const hid = `${TOUCH}/0018:1234:5678.0001`;
    expect(
      of(
        { suspend: [{ kind: 'trusted-touch', device: hid }] },
        machine({ [`${hid}/trusted_touch_enable`]: '0' }),
      ),
    ).toEqual([
      'suspend.0.device: "0018:1234:5678.0001" has another number next time: name the device above ' +
        'it, or write "0018:1234:5678.*"',
    ]);
  });
});
