/**
 * What owners that sleep are given works: the hooks of docs/PLATFORMS.md on files in place of /sys/power, the unit's
 * commands.
 */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { sleep, sleepWithoutAgent } from '../../src/cli/verbs/sleep.ts';
import { wake, wakeWithoutAgent } from '../../src/cli/verbs/wake.ts';
import type { CliWorld, ControlClient } from '../../src/cli/world.ts';
import type { Json } from '../../src/common/lines.ts';
import { readConfig } from '../../src/config/read.ts';
import { HOOKS_SCHEMA, type HooksConfig } from '../../src/edges/hooks/hooks-config.ts';
import type { HookName, HookResult } from '../../src/ports/world.ts';
import { ANDROID, PANEL } from '../../targets/lab/machine/board.ts';
import { VirtualClock } from '../../targets/lab/virtual-clock.ts';
import { openHooks } from '../../targets/node/agent/hooks.ts';
import { EPOCH } from '../edges/hooks/support.ts';

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'baton-sleep-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('the wake lock is held from before the suspend until after the resume', async () => {
  const [, example = ''] = /```json\n(\{\n {2}"panel"[\s\S]*?)```/.exec(read('docs/PLATFORMS.md')) ?? [];
  const text = example.replaceAll('/sys/power', folder);
  const config = readConfig(HOOKS_SCHEMA, 'PLATFORMS.md', text) as HooksConfig;
  mkdirSync(join(folder, 'state'));
  for (const name of ['wake_lock', 'wake_unlock']) writeFileSync(join(folder, name), '');
  const seen = (name: string) => readFileSync(join(folder, name), 'utf8');
  // The driver's own step sees that the lock is there already.
  const suspend = [
    { kind: 'command', command: ['grep', '-q', 'baton-panel', join(folder, 'wake_lock')] },
  ] as const;
  const touch = { ...config['panel']!['touch'], suspend };
  const stateFolder = join(folder, 'state');
  const hooks = openHooks({
    self: ANDROID,
    bundles: [PANEL],
    config: { panel: { touch } },
    stateFolder,
    log: () => {},
  });
  const run = (hook: HookName) => new Promise<HookResult>((done) => hooks.run(PANEL.id, hook, EPOCH, done));
  expect(await run('suspend')).toEqual({ ok: true });
  expect([seen('wake_lock'), seen('wake_unlock')]).toEqual(['baton-panel\n', '']);
  expect(await run('resume')).toEqual({ ok: true });
  expect(seen('wake_unlock')).toBe('baton-panel\n');
});

test('the commands of the unit are requests that the agent knows', async () => {
  const unit = read('targets/linux/systemd/baton-sleep.service');
  const argsOf = (key: string) => new RegExp(`^${key}=/usr/bin/baton (.*)$`, 'm').exec(unit)![1]!.split(' ');
  const requests: Json[] = [];
  const client = {
    request: async (request: Json) => {
      requests.push(request);
      return { ok: true };
    },
  } as unknown as ControlClient;
  const world = { err: () => {} } as unknown as CliWorld;
  expect(argsOf('ExecStart')[0]).toBe('sleep');
  expect(await sleep(world, client, argsOf('ExecStart').slice(1))).toBe(0);
  expect(argsOf('ExecStop')[0]).toBe('wake');
  expect(await wake(world, client, argsOf('ExecStop').slice(1))).toBe(0);
  expect(requests).toEqual([{ do: 'sleep', graceMs: 2_000, waitMs: 10_000 }, { do: 'wake' }]);
});

describe('where no agent answers', () => {
  const refused = new Error('connect ECONNREFUSED /run/baton/agent.sock');
  const absent = new Error('connect ENOENT /run/baton/agent.sock');
  let clock: VirtualClock;
  let said: string[];
  let world: CliWorld;
  beforeEach(() => {
    clock = new VirtualClock();
    said = [];
    world = {
      err: (line: string) => said.push(line),
      nowMs: () => clock.nowMs(),
      after: (ms: number, fire: () => void) => clock.after(ms, fire),
    } as unknown as CliWorld;
  });
  /** Lets the time pass, and what waits for it. */
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 100) {
      clock.advance(100);
      for (let i = 0; i < 5; i++) await Promise.resolve();
    }
  };

  test('a machine that never had one sleeps at once', async () => {
    const connect = () => Promise.reject(absent);
    expect(await sleepWithoutAgent(world, ['--wait', '10s'], absent, connect)).toBe(0);
    expect(await wakeWithoutAgent(world)).toBe(0);
    expect(said[0]).toBe('baton: no agent answers: nothing was recalled');
  });

  test('one that was killed is given time to come back, and then asked', async () => {
    const requests: Json[] = [];
    const client = {
      request: async (request: Json) => {
        requests.push(request);
        return { ok: false, error: { code: 'stillLent', message: 'panel' } };
      },
      close: () => {},
    } as unknown as ControlClient;
    let tries = 0;
    const connect = () => (++tries < 4 ? Promise.reject(refused) : Promise.resolve(client));
    const ended = sleepWithoutAgent(world, ['--grace', '1s'], refused, connect);
    await pass(2_000);
    expect(await ended).toBe(75);
    expect(requests).toEqual([{ do: 'sleep', graceMs: 1_000, waitMs: 10_000 }]);
  });

  test('one that does not come back keeps no machine awake for longer than the wait', async () => {
    let tries = 0;
    const connect = () => Promise.reject(++tries > 0 ? refused : absent);
    const ended = sleepWithoutAgent(world, ['-w', '3s'], refused, connect);
    await pass(4_000);
    expect(await ended).toBe(0);
    expect(tries).toBe(15);
  });
});

test('the unit starts and stops without what a sleeping system may lack', () => {
  const [unit = ''] = read('targets/linux/systemd/baton-sleep.service').split('[Service]');
  expect(unit).toMatch(/^DefaultDependencies=no$/m);
  expect(unit).toMatch(/^Before=sleep.target$/m);
});
