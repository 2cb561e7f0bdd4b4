/** What owners that sleep are given works: the hooks of docs/PLATFORMS.md on files in place of /sys/power, the unit's commands. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { sleep, wake } from '../../src/cli/orders.ts';
import type { CliWorld, ControlClient } from '../../src/cli/world.ts';
import { readConfig } from '../../src/config/read.ts';
import type { Json } from '../../src/control/lines.ts';
import { HOOKS_SCHEMA, type HooksConfig } from '../../src/hooks/hooks-config.ts';
import type { HookName, HookResult } from '../../src/ports.ts';
import { ANDROID, PANEL } from '../../src/simulation/machine/board.ts';
import { openHooks } from '../../targets/node/hooks.ts';
import { EPOCH } from '../hooks/support.ts';

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
