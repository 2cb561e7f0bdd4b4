/**
 * The platform helper in Python that docs/PLATFORMS.md offers passes `baton backend-test`, and serves a host with VMs
 * that come and go.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bundleFileText } from '../../src/config/bundle-file.ts';
import { connectRemoteEnforcer } from '../../src/edges/enforcer/remote.ts';
import type { Enforcer, EnforcerEvent } from '../../src/ports/enforcer.ts';
import { ANDROID, PANEL, VAULT } from '../../targets/lab/machine/board.ts';
import { backendTest } from '../../targets/node/cli/backend-test.ts';
import type { FileWorld } from '../../targets/node/cli/world.ts';
import { STREAMS } from '../../targets/node/net/streams.ts';
import { CLOCK } from '../../targets/node/system/clock.ts';
import { until } from '../edges/transport/worlds.ts';

const EXAMPLE = fileURLToPath(new URL('../../docs/examples/enforcer.py', import.meta.url));
let folder: string;
let helper: ChildProcess | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-enforcer-'));
});
afterEach(() => {
  helper?.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

const at = (name: string) => join(folder, name);

/** Starts the helper of this text. A bundle file may have comments. */
async function start(text = readFileSync(EXAMPLE, 'utf8')): Promise<string> {
  writeFileSync(at('enforcer.py'), text);
  writeFileSync(
    at('bundles.json'),
    `// "a": /* a board */\n${bundleFileText([PANEL]).replace(/\}\s*$/, ', }')}\n`,
  );
  helper = spawn('python3', [at('enforcer.py'), at('socket'), at('bundles.json'), 'android', 'vault'], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  await until('the helper listens', () => existsSync(at('socket')));
  return `unix:${at('socket')}`;
}

async function suite(address: string): Promise<{ status: number; lines: string[] }> {
  const rest = {
    keys: 'unused',
    transport: { kind: 'stream', listen: {} },
    state: 'state',
    control: 'unused',
  };
  const host = { bundles: 'bundles.json', enforcer: { kind: 'kvm', address }, ...rest };
  writeFileSync(at('host.json'), JSON.stringify(host));
  const lines: string[] = [];
  const world = { out: (line: string) => lines.push(line) } as unknown as FileWorld;
  return {
    status: await backendTest(world, [at('host.json'), '--owner', 'android', '--other', 'vault']),
    lines,
  };
}

test('it has at most 150 lines, and passes the suite', async () => {
  expect(readFileSync(EXAMPLE, 'utf8').trimEnd().split('\n').length).toBeLessThanOrEqual(150);
  const { status, lines } = await suite(await start());
  expect(lines.filter((line) => line.startsWith('fail'))).toEqual([]);
  expect(lines.at(-1)).toBe('example: 16 passed, 0 failed, 3 not claimed');
  expect(status).toBe(0);
});

test.each([
  [
    'without its check before a grant',
    'if platform.reach(key) not in ("blocked", vm):',
    'if False:',
    'without fence',
  ],
  ['without its list of VMs', 'if vm not in self.running:', 'if False:', 'a VM that does not run'],
  ['that goes on after a refusal', 'return answers + [{', 'answers += [{', 'calls after a failed one'],
])('one %s fails', async (_what, from, to, check) => {
  const text = readFileSync(EXAMPLE, 'utf8');
  expect(text).toContain(from);
  const { status, lines } = await suite(await start(text.replace(from, to)));
  expect(status).toBe(1);
  expect(lines.filter((line) => line.startsWith('fail')).join('\n')).toContain(check);
});

test('a VM that starts or ends is told until a host has acknowledged it, and a fault is told', async () => {
  const address = await start();
  const events: EnforcerEvent[] = [];
  const open = () =>
    new Promise<Enforcer>((resolve, reject) =>
      connectRemoteEnforcer(STREAMS, address, CLOCK, (result) =>
        result instanceof Error ? reject(result) : resolve(result),
      ),
    );
  const say = (line: string) => void helper!.stdin!.write(`${line}\n`);
  say('exit vault');
  let first = await open();
  // What the VMM says comes by another way: it may be later.
  for (; first.running().length > 1; first = await open()) first.close();
  first.onEvent((event) => events.push(event));
  await until('its end is told', () => events.length === 1);
  first.close();
  // Nobody acknowledged it: the next host hears it, too.
  const second = await open();
  second.onEvent((event) => events.push(event));
  await until('it is told again', () => events.length === 2);
  second.acknowledgeExit(VAULT);
  say('start vault');
  await until('its start is told', () => events.length === 3);
  say('fault vault touch.mmio0 0x0a900010');
  await until('a fault is told', () => events.length === 4);
  expect(events).toEqual([
    { kind: 'vmExited', vm: VAULT },
    { kind: 'vmExited', vm: VAULT },
    { kind: 'vmStarting', vm: VAULT },
    { kind: 'faultsPending' },
  ]);
  expect(second.faults()).toMatchObject([{ vm: VAULT, resource: 'touch.mmio0', address: 0x0a90_0010 }]);
  second.acknowledgeStart(VAULT);
  second.close();
  const third = await open();
  expect(third.running()).toEqual([ANDROID, VAULT]);
  third.close();
});
