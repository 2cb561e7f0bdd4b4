import { describe, expect, it } from 'vitest';
import { AGENT_EXAMPLE, AGENT_SCHEMA } from '../../../src/config/agent-config.ts';
import { ConfigError, readConfig } from '../../../src/config/read.ts';
import { createHooks } from '../../../src/edges/hooks/hooks.ts';
import { HOOKS_SCHEMA, type HooksConfig, hookComplaints } from '../../../src/edges/hooks/hooks-config.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { FakeWorld } from './fake-world.ts';
import { step } from './support.ts';

const read = (value: unknown) => readConfig(HOOKS_SCHEMA, 'agent.json', JSON.stringify(value));

describe('the configuration of hooks', () => {
  it('has a form that the hooks take as it is', () => {
    const { hooks = {} } = readConfig(AGENT_SCHEMA, 'agent.json', AGENT_EXAMPLE);
    const world = new FakeWorld();
    const made = createHooks({ self: ANDROID, bundles: [PANEL], config: hooks, world, log: () => {} });
    expect(made).toHaveProperty('run');
  });

  it('takes every kind', () => {
    const sysfs = { kind: 'sysfs', path: '/sys/a', write: '1' };
    const suspend = [
      step('a'),
      { kind: 'socket', path: '/run/a.sock' },
      { ...sysfs, undo: '0', expect: { path: '/sys/b', value: 'x', undone: 'y' } },
      { kind: 'input-inhibit', input: 'input3' },
      { kind: 'input-inhibit', find: { name: 'Goodix*', phys: 'i2c-*', uniq: '42' } },
      { kind: 'runtime-pm', device: '/sys/devices/a', limitMs: 5 },
      { kind: 'fb-blank', fb: 'fb0' },
      { kind: 'unbind', bus: 'platform', driver: 'a', device: 'b' },
    ];
    const touch = { suspend, prepare: [sysfs], holdSupplies: [{ ...sysfs, undo: '0' }] };
    expect(() => read({ panel: { touch } })).not.toThrow();
  });

  it('has no undo where nothing is ever undone', () => {
    expect(() => read({ panel: { touch: { prepare: [step('a')] } } })).toThrow(/undo/);
  });

  it('has no way out of /sys in the names of unbind', () => {
    const unbind = { kind: 'unbind', bus: 'platform', driver: '..', device: 'b' };
    expect(() => read({ panel: { touch: { suspend: [unbind] } } })).toThrow(ConfigError);
  });

  it('complains of what would never run', () => {
    const config: HooksConfig = {
      panel: {
        touch: { prepare: [], suspend: [step('a')], resume: [] },
        lamp: {},
      },
      pannel: {},
    };
    expect(hookComplaints(config, [PANEL], ANDROID).map(({ path }) => path.join('.'))).toEqual([
      'panel.touch.prepare',
      'panel.touch.suspend.0.undo',
      'panel.lamp',
      'pannel',
    ]);
    expect(hookComplaints({ panel: { touch: { holdSupplies: [] } } }, [PANEL], VAULT)).toHaveLength(1);
  });

  it.each([
    [{}, 'no input device is named: expected "input", or "find" with "name", "phys" or "uniq"'],
    [{ find: {} }, 'no input device is named: expected "input", or "find" with "name", "phys" or "uniq"'],
    [{ input: 'input3', find: { name: 'a' } }, 'both "input" and "find": expected one of them'],
  ])('names an input device in one way: %j', (how, message) => {
    for (const list of ['suspend', 'resume'] as const) {
      const config = read({ panel: { touch: { [list]: [{ kind: 'input-inhibit', ...how }] } } });
      expect(hookComplaints(config, [PANEL], ANDROID)).toEqual([
        { path: ['panel', 'touch', list, 0, 'kind'], message },
      ]);
    }
  });

  it('of which there are complaints makes no hooks', () => {
    const parts = { self: ANDROID, bundles: [PANEL], world: new FakeWorld(), log: () => {} };
    expect(() => createHooks({ ...parts, config: { pannel: {} } })).toThrow(
      'hooks.pannel: no bundle of this name',
    );
  });
});
