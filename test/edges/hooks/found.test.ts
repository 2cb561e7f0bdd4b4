/** Undoing puts back what was found, and nothing else: of every kind, and also when another agent undoes. */

import { describe, expect, it } from 'vitest';
import type { HookStep } from '../../../src/edges/hooks/kinds.ts';
import {
  BLANK,
  DEVICE,
  INHIBIT,
  INHIBITED,
  MODE,
  machine,
  OK,
  on,
  owner,
  POWER,
  RUNTIME_PM,
  SYSFS,
  stateOf,
  UNBIND,
} from './machine.ts';
import { Rig, step, VAULT } from './support.ts';

const CASES: readonly (readonly [what: string, step: HookStep, found: Record<string, string>])[] = [
  ['runtime-pm, idle', RUNTIME_PM, {}],
  [
    'runtime-pm, forbidden',
    RUNTIME_PM,
    { [`${POWER}/control`]: 'on', [`${POWER}/runtime_status`]: 'active' },
  ],
  ['runtime-pm, never by itself', RUNTIME_PM, { [`${POWER}/autosuspend_delay_ms`]: '-1' }],
  ['input-inhibit', INHIBIT, {}],
  ['input-inhibit, inhibited by somebody else', INHIBIT, { [INHIBITED]: '1' }],
  ['fb-blank', { kind: 'fb-blank', fb: 'fb0' }, {}],
  ['fb-blank, off already', { kind: 'fb-blank', fb: 'fb0' }, { [BLANK]: '4' }],
  ['fb-blank, blanked in another way', { kind: 'fb-blank', fb: 'fb0' }, { [BLANK]: '1' }],
  ['unbind', UNBIND, {}],
  ['sysfs', SYSFS, {}],
  ['sysfs whose undo is another value', { ...SYSFS, undo: 'medium' }, {}],
  ['sysfs, as it is to be already', { ...SYSFS, undo: 'medium' }, { [MODE]: 'low' }],
];

describe.each(CASES)('%s', (_, step, found) => {
  it('is after a loan as it was before', async () => {
    const world = machine(found);
    const before = stateOf(world);
    const rig = owner(world, step);
    expect(await rig.run('suspend')).toEqual(OK);
    expect(await rig.run('resume')).toEqual(OK);
    expect(stateOf(world)).toEqual(before);
  });

  it('is after a loan that failed as it was before', async () => {
    const world = machine(found);
    const before = stateOf(world);
    const rig = owner(world, step, { kind: 'command', command: ['no'] });
    world.scripts.set('no', { how: { status: 1 } });
    expect(await rig.run('suspend')).toMatchObject({ ok: false, outcome: 'failed' });
    // As the agent does then.
    expect(await rig.run('resume')).toEqual(OK);
    expect(stateOf(world)).toEqual(before);
  });

  it('is put back by the next agent when this one is killed', async () => {
    const world = machine(found);
    const before = stateOf(world);
    await owner(world, step).lend();
    const next = owner(world, step);
    await next.inspect();
    expect(await next.run('resume')).toEqual(OK);
    expect(stateOf(world)).toEqual(before);
  });

  it('is put back when it was suspended twice, by two agents', async () => {
    const world = machine(found);
    const before = stateOf(world);
    await owner(world, step).lend();
    const next = owner(world, step);
    expect(await next.run('quiesce')).toEqual(OK);
    expect(await next.run('resume')).toEqual(OK);
    expect(stateOf(world)).toEqual(before);
  });

  it('is not touched by an agent that starts, with or without resume steps', async () => {
    const { undo: _, ...own } = step as { undo?: string } & HookStep;
    for (const hooks of [{ suspend: [step] }, { suspend: [own], resume: [own] }]) {
      const world = machine(found);
      const rig = on(world, hooks);
      await rig.inspect();
      expect(await rig.run('resume')).toEqual(OK);
      expect(world.events).toEqual([]);
    }
  });

  it('is put back by the same step in a list of resume steps, unless that writes a value', async () => {
    const world = machine(found);
    const before = stateOf(world);
    // An undo of its own would never be used here, and is refused.
    const { undo: _, ...rest } = { undo: undefined, ...step };
    const plain = rest as HookStep;
    const rig = on(world, { suspend: [plain], resume: [plain] });
    expect(await rig.run('suspend')).toEqual(OK);
    const suspended = stateOf(world);
    expect(await rig.run('resume')).toEqual(OK);
    // Those of sysfs write what they say, there as here.
    expect(stateOf(world)).toEqual(step.kind === 'sysfs' ? suspended : before);
  });
});

describe('an agent that starts', () => {
  it('runs no program that undoes what was never done, nor asks one', async () => {
    const world = machine();
    const rig = on(world, {
      holdSupplies: [step('rail')],
      suspend: [step('idle'), { kind: 'socket', path: '/run/touch.sock' }],
    });
    expect(await rig.inspect()).toBe('unknown');
    expect(await rig.run('resume')).toEqual(OK);
    expect(world.events).toEqual([]);
  });

  it('tells what it finds suspended, and leaves it', async () => {
    const rig = owner(machine({ [INHIBITED]: '1' }), INHIBIT);
    expect(await rig.inspect()).toBe('unknown');
    await rig.run('resume');
    expect(rig.logs.join()).toContain('info found suspended, and not by this agent');
    expect(rig.world.events).toEqual([]);
  });

  it('asks the program of each device, whatever the others do', async () => {
    const world = machine();
    world.scripts.set('look', { stdout: 'suspended' });
    const rig = new Rig(
      {
        touch: { suspend: [step('one')] },
        display: { suspend: [step('two')], inspect: { kind: 'command', command: ['look'] } },
      },
      undefined,
      world,
    );
    expect(await rig.inspect()).toBe('unknown');
    await rig.run('resume');
    expect(world.events).toEqual(['inspect: look', 'resume: undo two']);
  });

  it('does not call a device active of which something is to be put back', async () => {
    const found = { [`${POWER}/control`]: 'on', [`${POWER}/runtime_status`]: 'active' };
    const world = machine(found);
    await owner(world, RUNTIME_PM).lend();
    // Somebody uses it, and the agent is killed.
    world.files.set(`${POWER}/runtime_status`, 'active');
    const next = owner(world, RUNTIME_PM);
    expect(await next.inspect()).toBe('unknown');
    expect(await next.run('resume')).toEqual(OK);
    expect(world.files.get(`${POWER}/control`)).toBe('on');
    expect(await next.inspect()).toBe('active');
  });

  it('resumes a device of which the program that inspects says that it is suspended', async () => {
    const world = machine();
    world.scripts.set('look', { stdout: 'suspended' });
    const rig = on(world, { suspend: [step('idle')], inspect: { kind: 'command', command: ['look'] } });
    expect(await rig.inspect()).toBe('suspended');
    await rig.run('resume');
    expect(world.events).toEqual(['inspect: look', 'resume: undo idle']);
  });

  it('binds a driver that could not come up while somebody else had the device', async () => {
    const world = machine();
    world.links.clear();
    const rig = owner(world, UNBIND);
    // So the agent quiesces it as one that may be in the way.
    expect(await rig.inspect()).toBe('unknown');
    expect(await rig.run('quiesce')).toEqual(OK);
    expect(await rig.run('resume')).toEqual(OK);
    expect(world.links.get(`${DEVICE}/driver`)).toBe('faketouch');
  });

  it('leaves one that was unbound while it was ours', async () => {
    const world = machine();
    const rig = owner(world, UNBIND);
    world.links.clear();
    await rig.run('suspend');
    await rig.run('resume');
    expect(world.events).toEqual([]);
  });
});

describe('a write that succeeds and does nothing', () => {
  it('is no success of inhibiting', async () => {
    const world = machine();
    world.onWrite.set(INHIBITED, () => '0');
    const error = `touch/input-inhibit: ${INHIBITED} reads "0", not "1"`;
    const rig = owner(world, INHIBIT);
    expect(await rig.run('suspend')).toEqual({ ok: false, outcome: 'failed', error });
    expect(await rig.run('quiesce')).toEqual({ ok: false, outcome: 'unknown', error });
  });

  it('is no success of putting back', async () => {
    const world = machine();
    const rig = owner(world, INHIBIT);
    await rig.lend();
    world.onWrite.set(INHIBITED, () => '1');
    expect(await rig.run('resume')).toMatchObject({
      ok: false,
      error: expect.stringContaining(`${INHIBITED} still reads "1" after 1000 ms, not "0"`),
    });
    // It is not forgotten.
    world.onWrite.clear();
    expect(await rig.run('resume')).toEqual(OK);
    expect(world.files.get(INHIBITED)).toBe('0');
  });

  it('is told by what was seen last, also when the limit ends within a look', async () => {
    const world = machine({ [`${POWER}/control`]: 'on', [`${POWER}/runtime_status`]: 'active' });
    world.onWrite.clear();
    const { read } = world.attributes;
    const slow = (path: string) =>
      new Promise<string>((done) =>
        world.clock.after(path.endsWith('status') ? 40 : 0, () => done(read(path))),
      );
    Object.assign(world.attributes, { read: slow });
    expect(await owner(world, { ...RUNTIME_PM, limitMs: 100 }).run('suspend')).toMatchObject({
      error: expect.stringContaining(`${POWER}/runtime_status still reads "active" after 100 ms`),
    });
  });

  it('nor is an unbind whose driver somebody binds again', async () => {
    const world = machine();
    world.scripts.set('late', {
      get stdout() {
        world.links.set(`${DEVICE}/driver`, 'faketouch');
        return '';
      },
    });
    expect(await owner(world, UNBIND, step('late')).run('suspend')).toMatchObject({
      outcome: 'failed',
      error: expect.stringContaining('another program has bound it'),
    });
  });
});

describe('what somebody else changes meanwhile', () => {
  it.each([
    [
      'runtime-pm',
      RUNTIME_PM,
      `${POWER}/autosuspend_delay_ms`,
      '0',
      '2000',
      { [`${POWER}/control`]: 'on', [`${POWER}/runtime_status`]: 'active' },
    ],
    ['sysfs', SYSFS, MODE, 'low', 'turbo', {}],
    ['fb-blank', { kind: 'fb-blank', fb: 'fb0' }, BLANK, '4', '2', {}],
  ] as const)('stays, and is told: %s', async (_, step, path, wrote, theirs, found) => {
    const world = machine(found);
    const rig = owner(world, step);
    world.onWrite.set(`${POWER}/control`, (text) => {
      // Suspends only once its delay is over.
      if (text === 'on') world.files.set(`${POWER}/runtime_status`, 'active');
    });
    world.onWrite.set(`${POWER}/autosuspend_delay_ms`, () => {
      world.files.set(`${POWER}/runtime_status`, 'suspended');
    });
    await rig.lend();
    expect(world.files.get(path)).toBe(wrote);
    world.files.set(path, theirs);
    expect(await rig.run('resume')).toEqual(OK);
    expect(world.files.get(path)).toBe(theirs);
    expect(
      rig.logs.some((line) => line.startsWith(`warn ${path} reads`) && line.includes('left as it is')),
    ).toBe(true);
  });

  it('back to what was found needs no write', async () => {
    const world = machine();
    const rig = owner(world, INHIBIT);
    await rig.lend();
    world.files.set(INHIBITED, '0');
    await rig.run('resume');
    expect(world.events).toEqual([]);
  });
});

describe('an attribute', () => {
  it('that cannot be read is undone by what the configuration says', async () => {
    const world = machine();
    const rig = owner(world, { kind: 'sysfs', path: '/sys/v/trigger', write: 'off', undo: 'on' });
    world.files.set('/sys/v/trigger', 'x');
    const { read } = world.attributes;
    Object.assign(world.attributes, {
      read: (path: string) => (path.endsWith('trigger') ? Promise.reject(new Error('EACCES')) : read(path)),
    });
    await rig.run('suspend');
    await rig.run('resume');
    expect(world.events).toEqual(['/sys/v/trigger=off', '/sys/v/trigger=on']);
  });

  it('that must be read and cannot be is not written', async () => {
    const world = machine();
    Object.assign(world.attributes, { read: () => Promise.reject(new Error('EIO')) });
    expect(await owner(world, INHIBIT).run('suspend')).toMatchObject({ outcome: 'failed' });
    expect(await owner(world, RUNTIME_PM).run('suspend')).toMatchObject({ outcome: 'failed' });
    expect(world.events).toEqual([]);
  });

  it('that reads a list of choices is put back to the one that was chosen', async () => {
    const path = '/sys/block/mmc/queue/scheduler';
    const world = machine({ [path]: 'none [bfq] kyber' });
    world.onWrite.set(path, (text) => 'none bfq kyber'.replace(new RegExp(`\\b${text}\\b`), `[${text}]`));
    const rig = owner(world, { kind: 'sysfs', path, write: 'none' });
    expect(await rig.run('suspend')).toEqual(OK);
    expect(world.files.get(path)).toBe('[none] bfq kyber');
    expect(await rig.run('resume')).toEqual(OK);
    expect(world.files.get(path)).toBe('none [bfq] kyber');
  });

  it('that reads otherwise than it is written is undone by what the configuration says', async () => {
    const path = '/sys/v/enable';
    const world = machine({ [path]: 'enabled' });
    world.onWrite.set(path, (text) => (text === '0' ? 'disabled' : 'enabled'));
    const rig = owner(world, { kind: 'sysfs', path, write: '0', undo: '1' });
    await rig.run('suspend');
    await rig.run('resume');
    expect(world.events).toEqual([`${path}=0`, `${path}=1`]);
    // Found so, it stays so.
    world.files.set(path, 'disabled');
    await rig.run('suspend');
    await rig.run('resume');
    expect(world.files.get(path)).toBe('disabled');
  });

  it('whose value was put back is waited for in `expect` only where it is what undoes the step', async () => {
    const control = `${POWER}/control`;
    const step = {
      kind: 'sysfs',
      ...{ path: control, write: 'auto', undo: 'on' },
      expect: { path: `${POWER}/runtime_status`, value: 'suspended', undone: 'active' },
    } as const;
    const idle = owner(machine(), step);
    expect(await idle.run('suspend')).toEqual(OK);
    expect(await idle.run('resume')).toEqual(OK);
    expect(idle.world.files.get(control)).toBe('auto');
    const busy = owner(machine({ [control]: 'on', [`${POWER}/runtime_status`]: 'active' }), step);
    expect(await busy.run('suspend')).toEqual(OK);
    expect(await busy.run('resume')).toEqual(OK);
    expect(busy.world.files.get(`${POWER}/runtime_status`)).toBe('active');
  });
});

describe('a borrower', () => {
  it('has a driver that works when it resumes, whatever was found, and suspends it whatever it did', async () => {
    const world = machine({ [INHIBITED]: '1' });
    world.links.clear();
    const rig = on(world, { suspend: [INHIBIT, UNBIND, step('idle')] }, VAULT);
    expect(await rig.run('resume')).toEqual(OK);
    expect([world.files.get(INHIBITED), world.links.size]).toEqual(['0', 1]);
    expect(await rig.run('suspend')).toEqual(OK);
    expect([world.files.get(INHIBITED), world.links.size]).toEqual(['1', 0]);
    expect(await on(world, { suspend: [INHIBIT, UNBIND] }, VAULT).run('resume')).toEqual(OK);
    expect([world.files.get(INHIBITED), world.links.size]).toEqual(['0', 1]);
  });

  it('leaves runtime power management as it was found, too', async () => {
    const world = machine();
    const rig = on(world, { suspend: [RUNTIME_PM] }, VAULT);
    expect(await rig.inspect()).toBe('suspended');
    for (const hook of ['resume', 'suspend', 'resume', 'suspend'] as const)
      expect(await rig.run(hook)).toEqual(OK);
    expect(world.events).toEqual([]);
  });
});
