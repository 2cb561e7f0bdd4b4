/**
 * The note of what hooks have changed: missing, damaged, not to be written, and of an agent that was killed in the
 * middle.
 */

import { describe, expect, it } from 'vitest';
import { INHIBIT, INHIBITED, MODE, machine, OK, on, owner, SYSFS, stateOf } from './machine.ts';
import { step, VAULT } from './support.ts';

describe('the note', () => {
  it('that is missing, of an agent that was killed: nothing is touched', async () => {
    const world = machine();
    await owner(world, INHIBIT).lend();
    world.kept.clear();
    const next = owner(world, INHIBIT);
    expect(await next.run('resume')).toEqual(OK);
    expect(world.events).toEqual([]);
  });

  it.each([
    '',
    '{',
    'null',
    '[]',
    '{"boot":"boot-1"}',
    '{"boot":"boot-1","devices":[1]}',
    '{"boot":"boot-1","devices":[{"device":"touch","taken":"lent","steps":[{"key":"k","changes":[{}]}]}]}',
    '\u0000'.repeat(64),
  ])('that is damaged (%j) is told, and nothing of it is put back', async (text) => {
    const world = machine();
    world.kept.set('panel', text);
    const rig = owner(world, INHIBIT);
    expect(await rig.run('resume')).toEqual(OK);
    expect(world.events).toEqual([]);
    expect(rig.logs.join()).toContain('the record of hook changes is damaged');
    // It serves again.
    expect(await rig.run('suspend')).toEqual(OK);
    expect(await owner(world, INHIBIT).run('resume')).toEqual(OK);
    expect(world.files.get(INHIBITED)).toBe('0');
  });

  it('of another boot of the machine says nothing', async () => {
    const world = machine();
    await owner(world, INHIBIT, step('idle')).lend();
    world.kept.set('panel', world.kept.get('panel')!.replace('boot-1', 'boot-0'));
    const rig = owner(world, INHIBIT, step('idle'));
    await rig.run('resume');
    expect(world.events).toEqual([]);
  });

  it('that cannot be written keeps the device from being lent, untouched', async () => {
    const world = machine();
    world.noteFault = 'ENOSPC: no space left';
    const rig = owner(world, INHIBIT, step('idle'));
    expect(await rig.run('suspend')).toEqual({
      ok: false,
      outcome: 'failed',
      error: 'panel: the change cannot be recorded, so nothing is changed: ENOSPC: no space left',
    });
    expect(await rig.run('resume')).toEqual(OK);
    expect(world.events).toEqual([]);
  });

  it('that cannot be written any more in the middle undoes what was done', async () => {
    const world = machine();
    const rig = owner(world, INHIBIT, step('idle'));
    world.onWrite.set(INHIBITED, () => {
      world.noteFault = 'ENOSPC';
    });
    expect(await rig.run('suspend')).toMatchObject({
      outcome: 'failed',
      error: 'touch/idle: the change cannot be recorded, so nothing is changed: ENOSPC',
    });
    expect(world.events).toEqual([`${INHIBITED}=1`, `${INHIBITED}=0`]);
  });

  it('that cannot be written keeps nobody from suspending what is not his, nor from resuming', async () => {
    const world = machine();
    world.noteFault = 'ENOSPC';
    const rig = on(world, { suspend: [INHIBIT] }, VAULT);
    expect(await rig.run('suspend')).toEqual(OK);
    expect(world.files.get(INHIBITED)).toBe('1');
    expect(await rig.run('resume')).toEqual(OK);
    expect(world.files.get(INHIBITED)).toBe('0');
  });

  it('is written before each change', async () => {
    const world = machine();
    const rig = owner(world, INHIBIT, step('idle'));
    const kept: string[] = [];
    world.onWrite.set(INHIBITED, () => void kept.push(world.kept.get('panel')!));
    world.scripts.set('idle', {
      get stdout() {
        kept.push(world.kept.get('panel')!);
        return '';
      },
    });
    await rig.run('suspend');
    expect(kept[0]).toContain('"found":"0","wrote":"1"');
    expect(kept[1]).toContain('idle');
  });

  it('does not grow, and keeps what was found first', async () => {
    const world = machine();
    await owner(world, SYSFS).lend();
    for (let life = 0; life < 5; life++) {
      world.files.set(MODE, `turbo${life}`);
      expect(await owner(world, SYSFS).run('quiesce')).toEqual(OK);
    }
    expect(world.kept.get('panel')!.match(/"path"/g)).toHaveLength(1);
    expect(await owner(world, SYSFS).run('resume')).toEqual(OK);
    expect(world.files.get(MODE)).toBe('high');
  });

  it('keeps a program that was begun, when it is run again and fails', async () => {
    const world = machine();
    await owner(world, step('idle')).lend();
    world.scripts.set('idle', { how: { status: 1 } });
    const next = owner(world, step('idle'));
    expect(await next.run('quiesce')).toMatchObject({ ok: false });
    expect(await next.run('resume')).toEqual(OK);
    expect(world.events.at(-1)).toBe('resume: undo idle');
  });

  it('is empty after the return', async () => {
    const world = machine();
    const rig = owner(world, INHIBIT, SYSFS, step('idle'));
    await rig.lend();
    await rig.run('resume');
    expect(JSON.parse(world.kept.get('panel')!)).toEqual({ boot: 'boot-1', devices: [] });
  });

  it('of an agent that was killed between the note and the change undoes nothing', async () => {
    const world = machine();
    const rig = owner(world, INHIBIT);
    world.onWrite.set(INHIBITED, () => new Promise(() => {}));
    void rig.start('suspend');
    for (let turns = 0; turns < 20; turns++) await new Promise((done) => setImmediate(done));
    expect(world.kept.get('panel')).toContain('"wrote":"1"');
    world.onWrite.clear();
    world.isLocked = false;
    world.events.length = 0;
    expect(await owner(world, INHIBIT).run('resume')).toEqual(OK);
    expect(world.events).toEqual([]);
  });
});

describe('an agent that was killed in the middle', () => {
  it('of suspending: the next undoes what was begun, last first, and no more', async () => {
    const world = machine();
    const steps = [INHIBIT, step('idle'), step('never'), SYSFS] as const;
    const rig = owner(world, ...steps);
    world.scripts.set('idle', 'unkillable');
    void rig.start('suspend');
    for (let turns = 0; turns < 50; turns++) await new Promise((done) => setImmediate(done));
    expect(world.events.at(-1)).toBe('suspend: idle');
    world.isLocked = false;
    world.events.length = 0;
    expect(await owner(world, ...steps).run('resume')).toEqual(OK);
    expect(world.events).toEqual(['resume: undo idle', `${INHIBITED}=0`]);
  });

  it('of resuming: what was put back stays, what was not is put back', async () => {
    const world = machine();
    const rig = owner(world, INHIBIT, SYSFS);
    await rig.lend();
    world.onWrite.set(INHIBITED, () => {
      throw new Error('EIO');
    });
    expect(await rig.run('resume')).toMatchObject({ ok: false });
    world.onWrite.clear();
    // Somebody sets meanwhile what was put back already.
    world.files.set(MODE, 'low');
    expect(await owner(world, INHIBIT, SYSFS).run('resume')).toEqual(OK);
    expect([world.files.get(INHIBITED), world.files.get(MODE)]).toEqual(['0', 'low']);
  });

  it('while the configuration changes: what a step changed that is gone is put back all the same', async () => {
    const world = machine();
    await owner(world, INHIBIT, SYSFS, step('idle')).lend();
    const rig = owner(world, SYSFS);
    expect(await rig.run('resume')).toEqual(OK);
    expect([world.files.get(INHIBITED), world.files.get(MODE)]).toEqual(['0', 'high']);
    expect(rig.logs.join()).toContain('a step that is no longer configured was begun, and nothing undoes it');
  });

  it('while the list of steps is put in another order: each finds its own', async () => {
    const world = machine();
    const before = stateOf(world);
    await owner(world, INHIBIT, SYSFS, step('idle')).lend();
    const others = [{ ...step('idle'), name: 'still', limitMs: 50 }, SYSFS, INHIBIT] as const;
    expect(await owner(world, ...others).run('resume')).toEqual(OK);
    expect(stateOf(world)).toEqual(before);
    expect(world.events).toContain('resume: undo idle');
  });
});
