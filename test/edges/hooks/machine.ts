/** A machine with one device of each kind, for tests of what hooks find, change and put back. */

import type { DeviceHooksConfig } from '../../../src/edges/hooks/hooks-config.ts';
import type { HookStep } from '../../../src/edges/hooks/kinds.ts';
import { FakeWorld } from './fake-world.ts';
import { ANDROID, Rig } from './support.ts';

export const TOUCH = '/sys/devices/touch';
export const POWER = `${TOUCH}/power`;
export const INHIBITED = '/sys/class/input/input3/inhibited';
export const BLANK = '/sys/class/graphics/fb0/blank';
export const DEVICE = '/sys/bus/platform/devices/b0.touch';
export const DRIVERS = '/sys/bus/platform/drivers/faketouch';
export const MODE = '/sys/v/mode';

export const INHIBIT = { kind: 'input-inhibit', input: 'input3' } as const;
export const RUNTIME_PM = { kind: 'runtime-pm', device: TOUCH } as const;
export const UNBIND = { kind: 'unbind', bus: 'platform', driver: 'faketouch', device: 'b0.touch' } as const;
export const SYSFS = { kind: 'sysfs', path: MODE, write: 'low' } as const;

/** A machine on which each step meets what it would on a real one. `files`: what is found. */
export function machine(files: Readonly<Record<string, string>> = {}): FakeWorld {
  const world = new FakeWorld();
  const all = {
    [INHIBITED]: '0',
    [BLANK]: '0',
    [MODE]: 'high',
    [`${POWER}/control`]: 'auto',
    [`${POWER}/runtime_status`]: 'suspended',
    [`${POWER}/autosuspend_delay_ms`]: '500',
    [`${DRIVERS}/bind`]: '',
    [`${DRIVERS}/unbind`]: '',
    ...files,
  };
  for (const [path, text] of Object.entries(all)) world.files.set(path, text);
  world.folders.add(DEVICE);
  world.links.set(`${DEVICE}/driver`, 'faketouch');
  world.onWrite.set(`${POWER}/control`, (text) => {
    world.files.set(`${POWER}/runtime_status`, text === 'auto' ? 'suspended' : 'active');
  });
  world.onWrite.set(`${DRIVERS}/unbind`, () => void world.links.delete(`${DEVICE}/driver`));
  world.onWrite.set(`${DRIVERS}/bind`, () => void world.links.set(`${DEVICE}/driver`, 'faketouch'));
  return world;
}

export const on = (world: FakeWorld, hooks: DeviceHooksConfig, self = ANDROID) =>
  new Rig({ touch: hooks }, self, world);
export const owner = (world: FakeWorld, ...suspend: HookStep[]) => on(world, { suspend });
export const OK = { ok: true };

/** Attributes and links, without those that only take orders. */
export function stateOf({ files, links }: FakeWorld): object {
  const orders = [`${DRIVERS}/bind`, `${DRIVERS}/unbind`];
  return { files: [...files].filter(([path]) => !orders.includes(path)), links: [...links] };
}
