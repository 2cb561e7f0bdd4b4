import { describe, expect, it } from 'vitest';
import { ANDROID, EPOCH, Rig, step, VAULT } from './support.ts';

const TWO_DEVICES = {
  display: { holdSupplies: [step('clock')], suspend: [step('blank'), step('off')] },
  touch: { holdSupplies: [step('rail')], suspend: [step('inhibit'), step('idle')] },
};
const exits = (status: number, stderr = '') => ({ how: { status }, stderr });

describe('an owner suspends', () => {
  it('holding all supplies first, then device by device in the order of the bundle', async () => {
    const rig = new Rig(TWO_DEVICES);
    expect(await rig.run('suspend')).toEqual({ ok: true });
    expect(rig.world.events).toEqual([
      'hold-supplies: rail',
      'hold-supplies: clock',
      'suspend: inhibit',
      'suspend: idle',
      'suspend: blank',
      'suspend: off',
    ]);
  });

  it('and undoes what was done, last first, when a step fails', async () => {
    const rig = new Rig(TWO_DEVICES);
    rig.world.scripts.set('blank', exits(1, 'no\nsuch mode\n'));
    expect(await rig.run('suspend')).toEqual({
      ok: false,
      outcome: 'failed',
      error: 'display/blank: blank: status 1: no / such mode',
    });
    expect(rig.world.events.slice(5)).toEqual([
      'resume: undo idle',
      'resume: undo inhibit',
      'release-supplies: undo clock',
      'release-supplies: undo rail',
    ]);
  });

  it('keeping the first error, with failures of the undoing beside it', async () => {
    const rig = new Rig(TWO_DEVICES);
    rig.world.scripts.set('blank', exits(1));
    rig.world.scripts.set('undo idle', exits(2));
    expect(await rig.run('suspend')).toEqual({
      ok: false,
      outcome: 'unknown',
      error: 'display/blank: blank: status 1; undoing failed: touch/idle: undo: status 2',
    });
    expect(rig.world.events.at(-1)).toBe('release-supplies: undo rail');
  });

  it('and says how long each step took, and the whole', async () => {
    const rig = new Rig({ touch: { suspend: [{ kind: 'sysfs', path: '/sys/v/enable', write: '0' }] } });
    const path = '/sys/v/enable';
    rig.world.files.set(path, '1');
    rig.world.onWrite.set(path, () => new Promise((done) => rig.world.clock.after(12, done)));
    await rig.run('suspend');
    expect(rig.logs).toEqual([
      'debug hook suspend: done {"bundle":"panel","ms":12,"steps":["suspend touch/sysfs: 12"]}',
    ]);
  });

  it('undoing no step that was not done', async () => {
    const rig = new Rig(TWO_DEVICES);
    rig.world.scripts.set('clock', exits(1));
    await rig.run('suspend');
    expect(rig.world.events).toEqual([
      'hold-supplies: rail',
      'hold-supplies: clock',
      'release-supplies: undo rail',
    ]);
  });

  it('undoing a device by its own resume steps, once, where it has some', async () => {
    const rig = new Rig({
      touch: {
        suspend: [
          { kind: 'command', command: ['a'] },
          { kind: 'command', command: ['b'] },
        ],
        resume: [{ kind: 'command', command: ['wake'] }],
      },
      display: { suspend: [step('blank')] },
    });
    rig.world.scripts.set('blank', exits(1));
    expect(await rig.run('suspend')).toMatchObject({ outcome: 'failed' });
    expect(rig.world.events).toEqual(['suspend: a', 'suspend: b', 'suspend: blank', 'resume: wake']);
  });

  it('once more, when suspended already', async () => {
    const rig = new Rig(TWO_DEVICES);
    await rig.run('suspend');
    expect(await rig.run('suspend')).toEqual({ ok: true });
  });
});

describe('a step that exceeds its limit', () => {
  it('is terminated, then killed, undone with the others, and leaves the outcome unknown', async () => {
    const rig = new Rig({ touch: { suspend: [step('inhibit'), { ...step('idle'), limitMs: 300 }] } });
    rig.world.scripts.set('idle', 'hang');
    expect(await rig.run('suspend')).toEqual({
      ok: false,
      outcome: 'unknown',
      error: 'touch/idle: idle: no end within 300 ms; killed',
    });
    expect(rig.world.events.slice(2)).toEqual([
      'terminate idle',
      'kill idle',
      'resume: undo idle',
      'resume: undo inhibit',
    ]);
    expect(rig.world.clock.nowMs()).toBe(500);
  });

  it('has a second when it names no limit of its own', async () => {
    const rig = new Rig({ touch: { suspend: [{ kind: 'command', command: ['idle'] }] } });
    rig.world.scripts.set('idle', 'unkillable');
    expect(await rig.run('suspend')).toMatchObject({
      outcome: 'unknown',
      error: 'touch/command: idle: no end within 1000 ms; not even SIGKILL ended it',
    });
  });
});

describe('a borrower suspends', () => {
  it('as much as goes, undoing nothing: the bundle leaves it in any case', async () => {
    const rig = new Rig(
      { touch: { suspend: [step('inhibit'), step('idle')] }, display: { suspend: [step('blank')] } },
      VAULT,
    );
    rig.world.scripts.set('inhibit', exits(1));
    rig.world.scripts.set('blank', exits(3));
    expect(await rig.run('suspend')).toEqual({
      ok: false,
      outcome: 'unknown',
      error: 'touch/inhibit: inhibit: status 1; also display/blank: blank: status 3',
    });
    expect(rig.world.events).toEqual(['suspend: inhibit', 'suspend: idle', 'suspend: blank']);
  });
});

describe('resume', () => {
  it('undoes the suspend steps, suppliers first, then lets the supplies go', async () => {
    const rig = new Rig(TWO_DEVICES);
    await rig.lend();
    expect(await rig.run('resume')).toEqual({ ok: true });
    expect(rig.world.events).toEqual([
      'resume: undo off',
      'resume: undo blank',
      'resume: undo idle',
      'resume: undo inhibit',
      'release-supplies: undo clock',
      'release-supplies: undo rail',
    ]);
  });

  it('runs the resume steps of a device in their own order instead', async () => {
    const own = { resume: [step('wake'), step('draw')].map(({ undo: _, ...one }) => one) };
    const rig = new Rig({ touch: { suspend: [step('inhibit')] }, display: own });
    await rig.lend();
    await rig.run('resume');
    expect(rig.world.events).toEqual(['resume: wake', 'resume: draw', 'resume: undo inhibit']);
  });

  it('stops at the first failure and keeps the supplies', async () => {
    const rig = new Rig(TWO_DEVICES);
    await rig.lend();
    rig.world.scripts.set('undo blank', exits(1));
    expect(await rig.run('resume')).toEqual({
      ok: false,
      outcome: 'unknown',
      error: 'display/blank: undo: status 1',
    });
    expect(rig.world.events).toEqual(['resume: undo off', 'resume: undo blank']);
  });

  it('is failed, not unknown, when its first step did nothing', async () => {
    const rig = new Rig(TWO_DEVICES);
    await rig.lend();
    rig.world.scripts.set('undo off', { how: { notStarted: 'ENOENT' } });
    expect(await rig.run('resume')).toEqual({
      ok: false,
      outcome: 'failed',
      error: 'display/off: undo: not started: ENOENT',
    });
  });

  it('succeeds with a supply that stays held, and says so', async () => {
    const rig = new Rig(TWO_DEVICES);
    await rig.lend();
    rig.world.scripts.set('undo clock', exits(1));
    expect(await rig.run('resume')).toEqual({ ok: true });
    expect(rig.logs.find((line) => line.startsWith('warn'))).toContain('a supply could not be released');
  });
});

describe('which step failed', () => {
  it('is told by names alone, without what the step said', async () => {
    const rig = new Rig(TWO_DEVICES);
    rig.world.scripts.set('off', { how: { notStarted: 'ENOENT /opt/secret/path' } });
    await rig.run('suspend');
    expect(rig.where).toBe('device display, step off');
  });

  it('is told of one that took too long', async () => {
    const rig = new Rig({ touch: { suspend: [{ ...step('inhibit'), limitMs: 300 }] } });
    rig.world.scripts.set('inhibit', 'hang');
    await rig.run('suspend');
    expect(rig.where).toBe('device touch, step inhibit, which took too long');
  });
});

describe('programs', () => {
  it('are told in their environment what is wanted', async () => {
    const rig = new Rig({ touch: { suspend: [{ ...step('inhibit'), limitMs: 300 }] } });
    await rig.run('suspend');
    expect(rig.world.orders[0]!.environment).toEqual({
      BATON_HOOK: 'suspend',
      BATON_STEP: 'inhibit',
      BATON_BUNDLE: 'panel',
      BATON_DEVICE: 'touch',
      BATON_EPOCH: String(EPOCH),
      BATON_LIMIT_MS: '300',
    });
  });

  it('that are killed by a signal may have acted: their step is undone', async () => {
    const rig = new Rig({ touch: { suspend: [step('inhibit')] } });
    rig.world.scripts.set('inhibit', { how: { signal: 'SIGSEGV' } });
    expect(await rig.run('suspend')).toMatchObject({ outcome: 'failed' });
    expect(rig.world.events.at(-1)).toBe('resume: undo inhibit');
  });
});

describe('prepare', () => {
  it('runs in the order of the bundle and undoes nothing', async () => {
    const warm = (name: string) => ({ prepare: [{ kind: 'command', command: [name] } as const] });
    const rig = new Rig({ display: warm('draw'), touch: warm('load') }, VAULT);
    rig.world.scripts.set('draw', exits(1));
    expect(await rig.run('prepare')).toMatchObject({ ok: false, outcome: 'failed' });
    expect(rig.world.events).toEqual(['prepare: load', 'prepare: draw']);
  });
});

describe('runs of one bundle', () => {
  it('come one after the other', async () => {
    const rig = new Rig({ touch: { suspend: [{ ...step('inhibit'), limitMs: 100 }] } });
    rig.world.scripts.set('inhibit', 'hang');
    const suspending = rig.start('suspend');
    const resuming = rig.start('resume');
    await rig.world.settle(Promise.all([suspending, resuming]));
    expect(rig.world.events).toEqual([
      'suspend: inhibit',
      'terminate inhibit',
      'kill inhibit',
      'resume: undo inhibit',
    ]);
  });

  it('are refused when too many wait', async () => {
    const rig = new Rig({ touch: { suspend: [step('inhibit')] } });
    const all = Array.from({ length: 6 }, () => rig.start('suspend'));
    const results = await rig.world.settle(Promise.all(all));
    expect(results.map(({ ok }) => ok)).toEqual([true, true, true, true, true, false]);
    expect(results[5]).toMatchObject({ outcome: 'failed', error: 'panel: 4 runs wait already' });
  });
});

describe('a bundle without hooks', () => {
  it('succeeds at once, knows nothing, and says so once', async () => {
    const rig = new Rig({}, ANDROID);
    expect(await rig.run('suspend')).toEqual({ ok: true });
    expect(await rig.run('resume')).toEqual({ ok: true });
    expect(await rig.inspect()).toBe('unknown');
    expect(rig.logs).toHaveLength(1);
  });
});

describe('the lock of a bundle', () => {
  it('is free again after each run', async () => {
    const rig = new Rig(TWO_DEVICES);
    await rig.run('suspend');
    expect(rig.world.isLocked).toBe(false);
  });

  it('is waited for, and nothing is killed, when what is left ends in time', async () => {
    const rig = new Rig(TWO_DEVICES);
    rig.world.heldBy = 'run';
    rig.world.clock.after(900, () => {
      rig.world.heldBy = undefined;
    });
    expect(await rig.run('resume')).toEqual({ ok: true });
    expect(rig.world.events).not.toContain('evict');
  });

  it('is freed by killing what does not end', async () => {
    const rig = new Rig(TWO_DEVICES);
    await rig.lend();
    rig.world.heldBy = 'run';
    rig.world.onEvict = () => {
      rig.world.heldBy = undefined;
      return 1;
    };
    expect(await rig.run('resume')).toEqual({ ok: true });
    expect(rig.world.events.slice(0, 2)).toEqual(['evict', 'resume: undo off']);
    expect(rig.world.clock.nowMs()).toBe(1_010);
  });

  it('that cannot be had leaves everything as it is: hookStuck', async () => {
    const rig = new Rig(TWO_DEVICES);
    rig.world.heldBy = 'run';
    expect(await rig.run('suspend')).toEqual({
      ok: false,
      outcome: 'unknown',
      error: 'hookStuck: panel: processes of an earlier run do not end',
    });
    expect(await rig.inspect()).toBe('unknown');
    expect(new Set(rig.world.events)).toEqual(new Set(['evict']));
  });

  it('of another agent is never broken', async () => {
    const rig = new Rig(TWO_DEVICES);
    rig.world.heldBy = 'agent';
    expect(await rig.run('suspend')).toMatchObject({
      outcome: 'unknown',
      error: expect.stringContaining('another agent'),
    });
    expect(rig.world.events).toEqual([]);
  });

  it('is kept while a write of ours has not ended', async () => {
    const inhibit = { kind: 'input-inhibit', input: 'input3', limitMs: 100 } as const;
    const rig = new Rig({ touch: { suspend: [inhibit] } });
    let finish = () => {};
    rig.world.files.set('/sys/class/input/input3/inhibited', '0');
    rig.world.onWrite.set('/sys/class/input/input3/inhibited', (text) =>
      text === '1' ? new Promise<void>((resolve) => (finish = resolve)) : undefined,
    );
    expect(await rig.run('suspend')).toMatchObject({ outcome: 'unknown' });
    expect(rig.world.isLocked).toBe(true);
    expect(await rig.run('resume')).toMatchObject({ error: expect.stringContaining('hookStuck') });
    finish();
    expect(await rig.run('resume')).toEqual({ ok: true });
    // What was undone before the write took effect is undone after it.
    expect(rig.world.files.get('/sys/class/input/input3/inhibited')).toBe('0');
  });
});
