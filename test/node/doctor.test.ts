/** `baton doctor` finds each planted fault by the name of a check, and none on a machine with which all is well. */

import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bundleId } from '../../src/core/protocol/ids.ts';
import { statusOf } from '../../targets/node/cli/cli.ts';
import { COMMANDS } from '../../targets/node/cli/commands.ts';
import { CHECK_NAMES } from '../../targets/node/cli/doctor/checks.ts';
import type { FileWorld } from '../../targets/node/cli/world.ts';
import { FILES } from '../../targets/node/config/sound-config.ts';
import { DAEMONS } from './doctor/of-daemons.ts';
import { OF_FILES } from './doctor/of-files.ts';
import { HOOKS } from './doctor/of-hooks.ts';
import { SYSTEM } from './doctor/of-system.ts';
import { TRANSPORTS } from './doctor/of-transports.ts';
import { AGENT, agentBundle, BOTH } from './doctor/planted.ts';
import { DoctorWorld } from './doctor/world.ts';

let world: DoctorWorld;
beforeEach(() => {
  world = new DoctorWorld();
});
afterEach(() => world.end());

const PLANTED = [...OF_FILES, ...DAEMONS, ...TRANSPORTS, ...HOOKS, ...SYSTEM];

describe('a machine with which all is well', () => {
  it.each(['mqtt', 'stream'] as const)('over %s has no fault', async (transport) => {
    await world.start(transport);
    const { status, checks } = await world.lines(BOTH);
    expect(checks.filter(({ result }) => result === 'fault')).toEqual([]);
    expect(status).toBe(0);
    // What cannot be said without a permission, or while the host runs.
    const skipped = checks.flatMap((line) => (line.result === 'skipped' ? [line.check] : []));
    expect(skipped).toEqual(['enforcer-answers', 'enforcer-conforms']);
  });

  it('reads as before, whatever was tried', async () => {
    await world.start();
    const { checks } = await world.lines(AGENT, '--only', 'attribute-works');
    expect(checks.map(({ result }) => result)).toEqual(['ok', 'ok']);
    expect(readFileSync(world.at('sys/display/blank'), 'utf8')).toBe('0\n');
    expect(readFileSync(world.at('sys/touch/input/input3/inhibited'), 'utf8')).toBe('0\n');
  });
});

describe('an attribute is left alone', () => {
  const tried = async (...options: string[]) => {
    const { checks } = await world.lines(AGENT, '--only', 'attribute-works', ...options);
    expect(readFileSync(world.at('sys/display/blank'), 'utf8')).toBe('0\n');
    return checks.map((line) => (line.result === 'skipped' ? line.why : line.result));
  };
  beforeEach(() => world.start());

  it.each([
    ['while the bundle is lent', { holder: 'vault', state: 'lent' }, 'it is lent to vault'],
    ['while it moves', { phase: 'moving', holder: null }, 'it is moving'],
    ['while a request is decided', { state: 'offering' }, 'a handover goes on: offering'],
    ['of a borrower', { role: 'borrower' }, 'does not own it'],
    ['that the agent does not have', { bundle: 'other' }, 'does not know this bundle'],
  ])('%s', async (_, more, why) => {
    agentBundle(world, more);
    expect(await tried()).toEqual([expect.stringContaining(why), expect.stringContaining(why)]);
  });

  it('when no agent answers', async () => {
    await world.agentControl.close();
    expect(await tried()).toEqual(Array(2).fill('no agent says who holds it'));
  });

  it('with --no-try', async () => {
    expect(await tried('--no-try')).toEqual(Array(2).fill('--no-try'));
  });

  it('while hooks of the bundle run', async () => {
    const taken = await world.locks.take(bundleId('panel'));
    if (!taken.ok) throw new Error('the lock is taken');
    expect(await tried()).toEqual(Array(2).fill('its hooks run now'));
    taken.lock.release();
  });

  it('of an agent that its lock would not keep out', async () => {
    world.locks.close();
    expect(await tried()).toEqual(Array(2).fill('no agent is seen that its lock would keep out'));
  });

  it('that cannot be read and has no undo', async () => {
    const path = world.at('sys/display');
    world.suspend('display', { kind: 'sysfs', path, write: '1' });
    expect((await tried()).at(-1)).toContain('nothing could be put back');
  });
});

describe('the command', () => {
  const run = async (...args: string[]) => {
    const err: string[] = [];
    const files = {
      ...FILES,
      out: () => {},
      err: (line: string) => err.push(line),
      onSignal: () => () => {},
    };
    return { status: await statusOf(COMMANDS, ['doctor', ...args], files as unknown as FileWorld), err };
  };
  beforeEach(() => world.start());

  it.each([
    ['--only', 'acl-sendr', 64, 'acl-sender'],
    ['--min-evidence', 'much', 64, 'expected none'],
    ['bundles.json', '', 78, 'expected the configuration of an agent or a host'],
    ['no-such-file', '', 78, 'no such file'],
    ['state/agent.journal', '', 78, 'agent.journal'],
  ])('%s %s ends with %i', async (word, value, status, text) => {
    const words = word.startsWith('--') ? [word, value] : [world.at(word)];
    const ended = await run(...words);
    expect(ended.status).toBe(status);
    expect(ended.err.join()).toContain(text);
  });

  it('prints faults first, and how many', async () => {
    chmodSync(world.at('agent.sock'), 0o666);
    const { status, out } = await world.doctor(AGENT, '--only', 'control-mode', '--only', 'key-mode');
    expect(status).toBe(1);
    expect(out).toEqual([
      expect.stringMatching(/^FAULT +control-mode +android: .*mode 0666.*; to mend it: chmod 600/),
      expect.stringMatching(/^ok +key-mode +android: /),
      '1 fault, 1 ok, 0 skipped',
    ]);
  });
});

/** Whether this user may mount: then a full disk is a real one. */
const MAY_MOUNT = spawnSync('unshare', ['-m', 'true']).status === 0;

if (!MAY_MOUNT) console.warn('not tried: a full disk, since this user may not mount one');
else it('a full disk is found by state-writable and disk-space', fullDiskIsFound);

async function fullDiskIsFound(): Promise<void> {
  await world.start();
  const state = world.at('state');
  expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=700', 'none', state]).status).toBe(0);
  world.ending(() => spawnSync('umount', ['-l', state]));
  expect(() => writeFileSync(join(state, 'filler'), Buffer.alloc(1 << 20))).toThrow(/ENOSPC/);
  const { checks } = await world.lines(AGENT, '--only', 'state-writable', '--only', 'disk-space');
  expect(checks).toMatchObject([
    { check: 'state-writable', result: 'fault', found: expect.stringContaining('ENOSPC') },
    { check: 'disk-space', result: 'fault', found: '0.0 MiB free' },
  ]);
}

describe('a planted fault', () => {
  it.each(PLANTED)(
    '$what is found by $check',
    async ({ check, files, transport, options = [], found, plant }) => {
      await world.start(transport);
      await plant(world);
      const { status, checks } = await world.lines(files, '--only', check, ...options);
      const faults = checks.filter(({ result }) => result === 'fault');
      expect(status).toBe(1);
      expect(faults[0]).toMatchObject({
        check,
        found: expect.stringMatching(found),
        expected: expect.any(String),
      });
      expect(faults[0]).toMatchObject({ mend: expect.stringMatching(/./) });
      // No key and no password in what people paste into reports.
      expect(JSON.stringify(checks)).not.toMatch(/a{32}|b{32}|c{32}|d{32}|-secret/);
    },
  );

  it('is there for every check', () => {
    expect([...new Set(PLANTED.map(({ check }) => check))].sort()).toEqual([...CHECK_NAMES].sort());
    expect(PLANTED.length).toBeGreaterThanOrEqual(25);
  });
});
