/**
 * The enforcer `qmp` on two real QEMUs whose guests tell what they read from their keyboard. Judge is the guest; its
 * negative control is a move without fence, which the former holder must see.
 */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundleFileText } from '../../src/config/bundle-file.ts';
import type { RemapPhase } from '../../src/core/host/host-state.ts';
import { phaseRun } from '../../src/core/host/remap.ts';
import type { VmId } from '../../src/core/protocol/ids.ts';
import type { QmpEnforcer } from '../../src/edges/enforcer/kinds/qmp/qmp-enforcer.ts';
import type { EnforcerAnswer, EnforcerCall, EnforcerEvent } from '../../src/ports/enforcer.ts';
import { ANDROID, PANEL, VAULT } from '../../targets/lab/machine/board.ts';
import { enforcerTest } from '../../targets/node/cli/verbs/enforcer-test.ts';
import type { FileWorld } from '../../targets/node/cli/world.ts';
import { openEnforcer } from '../../targets/node/host/enforcers.ts';
import { key } from '../edges/enforcer/fake-qmp.ts';
import { until } from '../edges/transport/worlds.ts';
import { paced } from '../support/pace.ts';
import { TERMS, UnisolatedWorld } from '../support/unisolated-world.ts';
import { needQemu, Qemu, READY, SCAN, UP } from './qemu-guest.ts';

const folder = mkdtempSync(join(tmpdir(), 'baton-qmp-'));
const android = new Qemu(folder, 'android');
const vault = new Qemu(folder, 'vault');
const input = join(folder, 'panel.input');
const events: EnforcerEvent[] = [];
const logs: string[] = [];
let enforcer: QmpEnforcer;
let feeder: Socket;

const CONFIG = {
  kind: 'qmp',
  vms: { android: android.address, vault: vault.address },
  inputs: { [PANEL.id]: `unix:${input}` },
  limitMs: 500,
} as const;

function open(): Promise<QmpEnforcer> {
  return new Promise((resolve, reject) => {
    const log = (level: string, text: string, fields?: object) =>
      void logs.push(`${level} ${text} ${JSON.stringify(fields)}`);
    openEnforcer(CONFIG, [PANEL], folder, log, (result) =>
      result instanceof Error ? reject(result) : resolve(result as QmpEnforcer),
    );
  });
}

function run(calls: readonly EnforcerCall[]): Promise<readonly EnforcerAnswer[]> {
  return new Promise((resolve) => enforcer.run(PANEL.id, calls, resolve));
}

async function move(
  to: VmId,
  phases: readonly RemapPhase[] = ['fence', 'settle', 'clean', 'grant'],
): Promise<void> {
  for (const phase of phases) {
    const failed = (await run(phaseRun(PANEL, phase, to).calls)).find(({ ok }) => !ok);
    if (failed) throw new Error(`${phase}: ${JSON.stringify(failed)}`);
  }
}

/** Feeds a key, pressed and let go unless told otherwise, and lets the enforcer read it. */
async function type(name: keyof typeof SCAN, ...downs: boolean[]): Promise<void> {
  const events = (downs.length > 0 ? downs : [true, false]).map((down) => key(name, down));
  await new Promise<void>((written) => feeder.write(`${JSON.stringify({ events })}\n`, () => written()));
  // Reader and writer share this thread: what is in the socket now is read within the next turns.
  for (let turns = 0; turns < 5; turns++) await new Promise((resolve) => setImmediate(resolve));
}

/** Bytes of keys that were pressed and let go. */
const keys = (...names: (keyof typeof SCAN)[]) => names.flatMap((name) => [SCAN[name], UP, SCAN[name]]);

/** What a guest has written since the last time it was asked, as soon as it is `expected`. */
async function reads(qemu: Qemu, expected: readonly number[]): Promise<void> {
  await expect.poll(() => qemu.written, { timeout: paced(5_000), interval: 10 }).toEqual(expected);
  qemu.written.length = 0;
}

async function running(vms: readonly VmId[]): Promise<void> {
  await expect.poll(() => enforcer.running(), { timeout: paced(5_000), interval: 20 }).toEqual(vms);
}

beforeAll(async () => {
  needQemu();
  android.start();
  vault.start();
  await until('both guests are ready', () => [android, vault].every(({ written }) => written[0] === READY));
  android.written.length = 0;
  vault.written.length = 0;
  enforcer = await open();
  enforcer.onEvent((event) => events.push(event));
  feeder = connect(input);
  await new Promise((resolve) => feeder.once('connect', resolve));
});

afterAll(async () => {
  feeder?.destroy();
  enforcer?.close();
  await Promise.all([android.end(), vault.end()]);
  rmSync(folder, { recursive: true });
});

test('what is typed reaches the holder’s guest, and no other', async () => {
  await type('a');
  await move(VAULT);
  await type('1');
  await reads(vault, keys('1'));
  await move(ANDROID);
  await type('2');
  await reads(android, keys('2'));
  expect(vault.written).toEqual([]);
});

test('a key that is down when the bundle moves is released in the former guest, and there only', async () => {
  await move(VAULT);
  await type('3', true);
  await reads(vault, [SCAN['3']]);
  await move(ANDROID);
  await type('3', false);
  await type('4');
  await reads(android, keys('4'));
  await reads(vault, [UP, SCAN['3']]);
});

test('negative control: without fence the former holder still reads what is typed', async () => {
  await move(VAULT);
  await move(ANDROID, ['settle', 'clean', 'grant']).catch(() => {});
  await type('1');
  await reads(vault, keys('1'));
  expect(android.written).toEqual([]);
});

test('a loan between two agents: the digits of a PIN reach the borrower’s guest alone', async () => {
  await move(ANDROID);
  const world = new UnisolatedWorld([ANDROID, VAULT], [PANEL], () => enforcer);
  world.startHost();
  const pacer = setInterval(() => world.clock.advance(5), 5);
  try {
    world.startAgent(ANDROID, 'active');
    world.startAgent(VAULT, 'suspended');
    const holder = (vm: VmId) =>
      expect
        .poll(() => world.host.views()[0], { timeout: paced(8_000) })
        .toMatchObject({ state: 'held', holder: vm, confirmed: true });
    await holder(ANDROID);
    await type('a');
    await reads(android, keys('a'));
    const borrow = () =>
      world.agents.get(VAULT)!.borrow(PANEL.id, { ...TERMS, leaseMs: 8_000, evidence: 'asserted' });
    await expect
      .poll(
        () => {
          if (world.agents.get(VAULT)!.view(PANEL.id).state === 'idle') borrow();
          return world.host.views()[0];
        },
        { timeout: paced(8_000), interval: 200 },
      )
      .toMatchObject({ holder: VAULT, confirmed: true });
    for (const digit of ['1', '2', '3', '4'] as const) await type(digit);
    await reads(vault, keys('1', '2', '3', '4'));
    world.agents.get(VAULT)!.giveBack(PANEL.id);
    await holder(ANDROID);
    await type('a');
    await reads(android, keys('a'));
    expect(vault.written).toEqual([]);
  } finally {
    clearInterval(pacer);
    enforcer.onEvent((event) => events.push(event));
  }
});

test('the program that feeds a device of this machine', async () => {
  await move(VAULT);
  const record = (kind: number, code: number, value: number) => {
    const bytes = Buffer.alloc(24);
    bytes.writeUInt16LE(kind, 16);
    bytes.writeUInt16LE(code, 18);
    bytes.writeInt32LE(value, 20);
    return bytes;
  };
  const press = (code: number) => [record(1, code, 1), record(0, 0, 0), record(1, code, 0), record(0, 0, 0)];
  // KEY_1, a scan code that nobody has (type 4), KEY_2.
  writeFileSync(join(folder, 'events'), Buffer.concat([...press(2), record(4, 4, 7), ...press(3)]));
  const script = fileURLToPath(new URL('../../docs/examples/feed_input.py', import.meta.url));
  const child = spawn('timeout', ['10', 'python3', script, join(folder, 'events'), input]);
  let errors = '';
  child.stderr.on('data', (bytes) => {
    errors += bytes;
  });
  expect(await new Promise((resolve) => child.once('exit', resolve)), errors).toBe(0);
  expect(errors).toContain('cannot be grabbed');
  await reads(vault, keys('1', '2'));
});

test('a QEMU that hangs keeps the bundle no longer than its deadline, and comes back as a new VM', async () => {
  events.length = 0;
  await move(VAULT);
  vault.signal('SIGSTOP');
  await type('1');
  const startMs = Date.now();
  await move(ANDROID);
  expect(Date.now() - startMs).toBeLessThan(3 * CONFIG.limitMs);
  expect(events).toEqual([{ kind: 'vmExited', vm: VAULT }]);
  await type('2');
  await reads(android, keys('2'));
  vault.signal('SIGCONT');
  await running([ANDROID, VAULT]);
  expect(events.at(-1)).toEqual({ kind: 'vmStarting', vm: VAULT });
  // What was on its way to it in its own minimum hold time it gets; of the other's, nothing.
  expect(vault.written.filter((byte) => byte === SCAN['2'])).toEqual([]);
  vault.written.length = 0;
});

test('a QEMU that is killed has ended; one started with -S runs when that is acknowledged', async () => {
  await move(VAULT);
  events.length = 0;
  await vault.end();
  await running([ANDROID]);
  expect(events).toEqual([{ kind: 'vmExited', vm: VAULT }]);
  await move(ANDROID);
  vault.start(true);
  await expect
    .poll(() => events.at(-1), { timeout: paced(5_000) })
    .toEqual({ kind: 'vmStarting', vm: VAULT });
  expect(enforcer.running()).toEqual([ANDROID]);
  expect(vault.written).toEqual([]);
  enforcer.acknowledgeStart(VAULT);
  await reads(vault, [READY]);
  await running([ANDROID, VAULT]);
});

test('a guest that is reset has ended and begins anew; a QEMU that is told to quit has ended', async () => {
  await move(VAULT);
  events.length = 0;
  await vault.command('system_reset');
  await expect
    .poll(() => events, { timeout: paced(5_000) })
    .toEqual([
      { kind: 'vmExited', vm: VAULT },
      { kind: 'vmStarting', vm: VAULT },
    ]);
  await type('1');
  await reads(vault, [READY]);
  await vault.command('quit');
  await running([ANDROID]);
  expect(events.at(-1)).toEqual({ kind: 'vmExited', vm: VAULT });
  await vault.end();
  vault.start();
  await running([ANDROID, VAULT]);
});

test('baton enforcer-test passes', async () => {
  // QMP sockets take one client at a time.
  feeder.destroy();
  enforcer.close();
  writeFileSync(join(folder, 'bundles.json'), bundleFileText([PANEL]));
  const config = {
    bundles: 'bundles.json',
    keys: 'unused',
    enforcer: CONFIG,
    transport: { kind: 'stream', listen: {} },
    state: 'state',
    control: 'unused',
  };
  writeFileSync(join(folder, 'host.json'), JSON.stringify(config));
  const lines: string[] = [];
  const world = { out: (line: string) => lines.push(line) } as unknown as FileWorld;
  const status = await enforcerTest(world, [
    join(folder, 'host.json'),
    '--owner',
    'android',
    '--other',
    'vault',
  ]);
  expect(lines.filter((line) => line.startsWith('fail'))).toEqual([]);
  expect(lines.at(-1)).toBe('qmp: 15 passed, 0 failed, 4 not claimed');
  expect(status).toBe(0);
});
