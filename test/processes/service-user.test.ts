/**
 * A state folder that root has used, by `baton enforcer-test` or by a host that was killed, and then a service user,
 * who may not connect to what root left. Only root can play both.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bundleFileText } from '../../src/config/bundle-file.ts';
import { PANEL } from '../../targets/lab/machine/board.ts';
import { paced } from '../support/pace.ts';

const NOBODY = 65_534;
const SERVES = 'info: serving';
const WAIT_MS = paced(8_000);

let folder: string;
const at = (name: string) => join(folder, name);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-user-'));
  cpSync(join(import.meta.dirname, '../../dist'), at('dist'), { recursive: true });
  for (const name of ['state', 'run']) mkdirSync(at(name));
  writeFileSync(at('bundles.json'), bundleFileText([PANEL]));
  writeFileSync(at('keys.json'), JSON.stringify({ android: '1'.repeat(64), vault: '2'.repeat(64) }));
  chmodSync(at('keys.json'), 0o600);
  const config = {
    bundles: 'bundles.json',
    keys: 'keys.json',
    enforcer: { kind: 'none', vms: ['android', 'vault'] },
    transport: { kind: 'stream', listen: { android: `unix:${at('run/android')}` } },
    state: 'state',
    control: 'run/host.sock',
  };
  writeFileSync(at('host.json'), JSON.stringify(config));
  for (const name of ['', 'state', 'run', 'bundles.json', 'keys.json', 'host.json'])
    chownSync(at(name), NOBODY, NOBODY);
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Starts a host, and calls back when it serves. Returns what it said, when it has ended. */
async function host(uid: number, onServing: (child: ChildProcess) => unknown): Promise<string> {
  const args = [at('dist/baton-host.mjs'), '--config', at('host.json'), '--create-table'];
  const child = spawn(process.execPath, args, { uid, gid: uid, stdio: ['ignore', 'ignore', 'pipe'] });
  const limit = setTimeout(() => child.kill('SIGKILL'), WAIT_MS);
  let said = '';
  child.stderr.on('data', (bytes: Buffer) => {
    const served = said.includes(SERVES);
    said += bytes.toString();
    if (!served && said.includes(SERVES)) onServing(child);
  });
  await new Promise((resolve) => child.once('close', resolve));
  clearTimeout(limit);
  return said;
}

const end = (child: ChildProcess) => child.kill('SIGTERM');
const kill = (child: ChildProcess) => child.kill('SIGKILL');
const locks = () => readdirSync(at('state')).filter((name) => name.startsWith('state.lock.'));

describe.runIf(process.getuid?.() === 0)('a state folder that root has used', () => {
  it('is free when root’s program has ended', async () => {
    spawnSync(process.execPath, [at('dist/baton.mjs'), 'enforcer-test', at('host.json'), '--other', 'vault']);
    expect(locks()).toEqual([]);
    expect(await host(NOBODY, end)).toContain(SERVES);
    expect(locks()).toEqual([]);
  });

  it('is free when root’s program was killed: the kernel’s list tells', async () => {
    await host(0, kill);
    // What else root left is not the matter here.
    for (const name of ['run/android', 'run/host.sock', 'state/table.journal', 'state/audit.jsonl'])
      rmSync(at(name), { force: true });
    expect(locks()).toHaveLength(1);
    expect(await host(NOBODY, end)).toContain(SERVES);
    expect(locks()).toEqual([]);
  });

  it('is not free when nobody can tell, which says what to do', async () => {
    // Of a network name space that is not ours, by its name.
    const left = at('state/state.lock.0000000100000000');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(left, resolve));
    chmodSync(left, 0o755);
    expect(await host(NOBODY, end)).toContain(`${left}: this user cannot see whether`);
    server.close();
  });

  it('is not free while root’s program has it', async () => {
    let second = '';
    await host(0, async (child) => {
      second = await host(NOBODY, end);
      child.kill('SIGKILL');
    });
    expect(second).toContain('another process uses this state folder');
  });
});

it.runIf(process.getuid?.() === 0)('a folder of root’s is told as one that may not be looked into', () => {
  mkdirSync(at('dark/inner'), { recursive: true });
  chmodSync(at('dark'), 0o700);
  const config = JSON.parse(readFileSync(at('host.json'), 'utf8')) as object;
  writeFileSync(
    at('dark-host.json'),
    JSON.stringify({ ...config, keys: 'dark/keys.json', state: 'dark/inner/state' }),
  );
  const words = [at('dist/baton.mjs'), 'check-config', at('dark-host.json')];
  const { status, stdout } = spawnSync(process.execPath, words, {
    uid: NOBODY,
    gid: NOBODY,
    encoding: 'utf8',
  });
  expect(status).toBe(78);
  const why = `this user may not look into ${at('dark')}; run this as the user of the daemon, or as root`;
  expect(stdout).toContain(`keys: "dark/keys.json": ${why}`);
  expect(stdout).toContain(`state: ${at('dark/inner/state')}: ${why}`);
});

it.runIf(process.getuid?.() === 0)('baton init makes nothing in a folder of root’s', () => {
  mkdirSync(at('theirs'), { mode: 0o755 });
  const parties = ['--vm', 'android', '--vm', 'vault', '--enforcer', 'none', '--transport', 'unix'];
  const files = ['--bundles', at('bundles.json'), '--out', at('theirs/new')];
  const { status, stderr } = spawnSync(
    process.execPath,
    [at('dist/baton.mjs'), 'init', ...files, ...parties],
    { uid: NOBODY, gid: NOBODY, encoding: 'utf8' },
  );
  expect([status, stderr]).toEqual([78, expect.stringContaining('this user may not write there')]);
  expect(readdirSync(at('theirs'))).toEqual([]);
});
