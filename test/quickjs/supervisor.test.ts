/**
 * Agents and host under somebody who listens as systemd does: on a socket for datagrams, by path and by abstract
 * name.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../edges/transport/worlds.ts';
import { ENGINES } from './cells.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Says each datagram on a line of its own. Node has no such sockets. */
const LISTENER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1].replace("@", "\\0"))
print("listens", flush=True)
while True: print(s.recv(4096).decode(), flush=True)
`;
/** Limit within which a daemon has to tell that it is alive. */
const LIMIT_US = 200_000;
const NODE_HOST = [process.execPath, join(ROOT, 'dist/baton-host.mjs')];
const ADDON = join(ROOT, 'dist/baton-native.node');

let folder: string;
let children: ChildProcess[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-supervisor-'));
  children = [];
  copyFileSync(join(ROOT, 'docs/examples/bundles.json'), join(folder, 'bundles.json'));
  const keys = { host: '11'.repeat(32), android: '22'.repeat(32) };
  const write = (name: string, value: unknown) =>
    writeFileSync(join(folder, name), JSON.stringify(value), { mode: 0o600 });
  write('vault.keys.json', keys);
  write('host.keys.json', { vault: keys.host, android: keys.android });
  const common = { bundles: 'bundles.json', state: 'state', control: 'control.sock' };
  const address = `unix:${join(folder, 'stream')}`;
  write('vault.json', {
    ...common,
    vm: 'vault',
    keys: 'vault.keys.json',
    transport: { kind: 'stream', address },
  });
  write('host.json', {
    ...common,
    keys: 'host.keys.json',
    enforcer: { kind: 'none', vms: ['vault', 'android'] },
    transport: { kind: 'stream', listen: { vault: address, android: `${address}2` } },
  });
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

/** Starts a program; returns what it has said. */
function start(words: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  const child = spawn(words[0]!, words.slice(1), {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (bytes) => {
      said += bytes;
    });
  }
  return { child, said: () => said, lines: () => said.split('\n').filter((line) => line !== '') };
}

async function listener(socket: string) {
  if (spawnSync('python3', ['--version']).status !== 0)
    throw new Error('this test needs python3, which is not installed; .ci/run installs it');
  const listens = start(['python3', '-c', LISTENER, socket]);
  await until('somebody listens', () => listens.said().startsWith('listens'));
  return () => listens.lines().slice(1);
}

const AGENT = ['--config', 'vault.json'];
const HOST = ['--config', 'host.json', '--create-table'];
const at = (words: readonly string[]) =>
  words.map((word) => (word.endsWith('.json') ? join(folder, word) : word));

describe.each([
  ['the static agent', ENGINES.x86_64.agent, AGENT],
  ['the static agent for aarch64', ENGINES.aarch64.agent, AGENT],
  ['the agent on Node', ENGINES.node.agent, AGENT],
  ['the host', NODE_HOST, HOST],
])('%s', (_name, program, words) => {
  const environmentOf = (socket: string) => ({
    NOTIFY_SOCKET: socket,
    WATCHDOG_USEC: String(LIMIT_US),
    BATON_NATIVE: ADDON,
  });

  it.each([
    ['path', () => join(folder, 'notify')],
    ['abstract name', () => `@baton-test-${randomBytes(8).toString('hex')}`],
  ])('says at a socket with a %s that it serves, is alive, and ends', async (_kind, socketOf) => {
    const socket = socketOf();
    const heard = await listener(socket);
    const daemon = start([...program, ...at(words)], environmentOf(socket));
    await until('it is alive', () => heard().length >= 4);
    expect(heard().slice(0, 4)).toEqual(['READY=1', 'WATCHDOG=1', 'WATCHDOG=1', 'WATCHDOG=1']);
    expect(daemon.said()).toContain('serving');
    daemon.child.kill('SIGTERM');
    await until('it ends', () => heard().at(-1) === 'STOPPING=1');
  });

  it('is not taken to be alive when it hangs', async () => {
    const socket = join(folder, 'notify');
    const heard = await listener(socket);
    const daemon = start([...program, ...at(words)], environmentOf(socket));
    await until('it is alive', () => heard().includes('WATCHDOG=1'));
    daemon.child.kill('SIGSTOP');
    // What was under way when it stopped arrives within this; then five limits pass.
    await new Promise((resolve) => setTimeout(resolve, 100));
    const before = heard().length;
    await new Promise((resolve) => setTimeout(resolve, (5 * LIMIT_US) / 1_000));
    expect(heard().length).toBe(before);
    daemon.child.kill('SIGCONT');
    await until('it is alive again', () => heard().length > before);
  });
});

it('on Node without the addon it says so, and serves', async () => {
  const environment = { NOTIFY_SOCKET: join(folder, 'notify'), BATON_NATIVE: join(folder, 'none') };
  const daemon = start([...NODE_HOST, ...at(HOST)], environment);
  await until('it serves', () => daemon.said().includes('serving'));
  expect(daemon.said()).toContain(
    'notification of systemd (Type=notify, WatchdogSec) needs native code on Node: no ',
  );
});
