/**
 * How daemons start, from the built bundles: what they refuse, with status 78 and the place; what they make; what they
 * warn of. No broker, no machine: streams and the enforcer `none`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { bundleFileText } from '../../src/config/bundle-file.ts';
import { PANEL } from '../../targets/lab/machine/board.ts';
import { connectControl } from '../../targets/node/cli/control-client.ts';
import { paced } from '../support/pace.ts';

const DIST = join(import.meta.dirname, '../../dist');
const STEP_MS = paced(8_000);
const KEY = '1'.repeat(64);

let folder: string;
let children: ChildProcess[];
const at = (name: string) => join(folder, name);
const write = (name: string, value: unknown) =>
  writeFileSync(at(name), typeof value === 'string' ? value : JSON.stringify(value, null, 1), {
    mode: 0o600,
  });

const HOST = () => ({
  bundles: 'bundles.json',
  keys: 'host.keys.json',
  enforcer: { kind: 'none', vms: ['android'] },
  transport: { kind: 'stream', listen: { android: `unix:${at('android.stream')}` } },
  state: 'host-state',
  control: 'run/host.sock',
});
const AGENT = () => ({
  vm: 'vault',
  bundles: 'bundles.json',
  keys: 'vault.keys.json',
  transport: { kind: 'stream', address: 'unix:/no/such' },
  state: 'vault-state',
  control: 'run/vault.sock',
});

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-start-'));
  children = [];
  write('bundles.json', bundleFileText([PANEL]));
  write('host.keys.json', { android: KEY, vault: KEY });
  write('vault.keys.json', { host: KEY, android: KEY });
  write('host.json', HOST());
  write('vault.json', AGENT());
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

/** A daemon, what it said, and its end. */
function start(program: 'host' | 'agent', config: string, ...args: string[]) {
  const file = join(DIST, `baton-${program}.mjs`);
  const child = spawn(process.execPath, [file, '--config', at(config), ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  children.push(child);
  const run = {
    child,
    err: '',
    ended: new Promise<number | null>((resolve) => child.once('close', resolve)),
    says: async (text: string) => {
      const endMs = performance.now() + STEP_MS;
      while (!run.err.includes(text)) {
        if (performance.now() > endMs) throw new Error(`${program} never said ${text}, but ${run.err}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
  };
  child.stderr!.on('data', (bytes: Buffer) => {
    run.err += bytes.toString();
  });
  return run;
}

/** Starts one that must not serve. Returns its status and what it said, without the folder's name. */
async function refused(program: 'host' | 'agent', config: string) {
  const run = start(program, config);
  const status = await run.ended;
  return { status, said: run.err.replaceAll(`${folder}/`, '').trimEnd() };
}

it('an agent whose key file lacks a party does not start', async () => {
  write('vault.keys.json', { vualt: KEY });
  expect(await refused('agent', 'vault.json')).toEqual({
    status: 78,
    said: [
      'baton-agent: vault.json:4:10: keys: no key for "host", the host: expected one in vault.keys.json',
      'vault.json:4:10: keys: no key for "android", the owner of panel: expected one in vault.keys.json',
    ].join('\n'),
  });
  expect(existsSync(at('vault-state'))).toBe(false);
  expect(existsSync(at('run'))).toBe(false);
});

it('a host whose key file lacks a VM does not start', async () => {
  write('host.keys.json', { vault: KEY });
  const { status, said } = await refused('host', 'host.json');
  expect(status).toBe(78);
  expect(said).toContain('host.json:3:10: keys: no key for "android", the owner of panel');
  expect(existsSync(at('host-state'))).toBe(false);
});

it('a host whose enforcer is nowhere in PATH does not start, and is not to be started again', async () => {
  write('host.json', { ...HOST(), enforcer: { kind: 'command', command: ['no-such-enforcer'] } });
  const { status, said } = await refused('host', 'host.json');
  expect(status).toBe(78);
  expect(said).toMatch(
    /^baton-host: host\.json:\d+:\d+: enforcer\.command\.0: "no-such-enforcer": no such program in PATH/,
  );
});

it('the folder of the control socket is made, for this user alone; one that cannot be is told in words', async () => {
  const agent = start('agent', 'vault.json');
  await agent.says('serving');
  expect(statSync(at('run')).mode & 0o777).toBe(0o700);
  write('vault.json', { ...AGENT(), control: 'bundles.json/agent.sock', state: 'other-state' });
  const { status, said } = await refused('agent', 'vault.json');
  expect(status).toBe(78);
  expect(said).toMatch(
    /^baton-agent: vault\.json:\d+:\d+: control: bundles\.json: a file: expected a folder, or nothing/,
  );
  write('vault.json', { ...AGENT(), state: 'bundles.json/state' });
  expect((await refused('agent', 'vault.json')).said).toContain(
    'state: bundles.json: a file: expected a folder, or nothing',
  );
});

it('a host that is ended, or ends by itself, leaves no lock that another user could not judge', async () => {
  const host = start('host', 'host.json', '--create-table');
  await host.says('serving');
  const locks = () => [at('host-state'), at('run')].flatMap((path) => readdirSync(path)).filter(isLock);
  const isLock = (name: string) => name.includes('.lock.');
  expect(locks()).toHaveLength(2);
  host.child.kill('SIGTERM');
  await host.ended;
  expect(locks()).toEqual([]);
  rmSync(at('run/host.sock'), { force: true });
  mkdirSync(at('run/host.sock'));
  expect((await refused('host', 'host.json')).status).not.toBe(0);
  expect(locks()).toEqual([]);
});

it('a host without its table says what is in quarantine and what ends it, at each start until then', async () => {
  const lift = `baton lift panel --socket ${at('run/host.sock')}`;
  const first = start('host', 'host.json');
  await first.says('serving');
  expect(first.err).toContain('no table at ');
  expect(first.err).toContain(
    `panel is in quarantine: tableLost, nothing is isolated (the host lost its table;`,
  );
  expect(first.err).toContain(lift);
  first.child.kill('SIGTERM');
  await first.ended;
  const second = start('host', 'host.json', '--create-table');
  await second.says('serving');
  expect(second.err).toContain('--create-table has no effect: there is a table at ');
  expect(second.err).toContain(lift);
  const client = await connectControl(at('run/host.sock'));
  expect(await client.request({ do: 'lift', bundle: 'panel' })).toMatchObject({ ok: true });
  client.close();
  await new Promise((resolve) => setTimeout(resolve, 200));
  second.child.kill('SIGTERM');
  await second.ended;
  const third = start('host', 'host.json');
  await third.says('serving');
  expect(third.err).not.toContain('quarantine');
});

it('a first start that failed before it began is followed by another first start', async () => {
  // Somebody else listens where its control socket should be.
  const other = createServer().listen(at('taken.sock'));
  await new Promise((resolve) => other.once('listening', resolve));
  write('host.json', { ...HOST(), control: 'taken.sock' });
  const first = start('host', 'host.json', '--create-table');
  expect(await first.ended).not.toBe(0);
  expect(existsSync(at('host-state/table.journal'))).toBe(false);
  await new Promise((resolve) => other.close(resolve));
  write('host.json', HOST());
  const second = start('host', 'host.json', '--create-table');
  await second.says('serving');
  expect(second.err).not.toContain('quarantine');
});

it.each(['host', 'agent'] as const)(
  'no signal but those that end it ends %s, or opens a debugger',
  async (program) => {
    const run =
      program === 'host' ? start('host', 'host.json', '--create-table') : start('agent', 'vault.json');
    await run.says('serving');
    for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) run.child.kill(signal);
    const client = await connectControl(at(program === 'host' ? 'run/host.sock' : 'run/vault.sock'));
    expect(await client.request({ do: 'status' })).toMatchObject({ ok: true });
    client.close();
    expect(run.err).not.toMatch(/[Dd]ebugger/);
    run.child.kill('SIGTERM');
    expect(await run.ended).toBe(0);
  },
);

it.each(['host', 'agent'] as const)(
  'a full disk at the first start of %s is none that a person must mend first',
  async (program) => {
    // No file may grow: what a write then says is EFBIG, and for ENOSPC it goes the same way.
    const file = join(DIST, `baton-${program}.mjs`);
    const config = at(program === 'host' ? 'host.json' : 'vault.json');
    const words = [
      '-c',
      'trap "" XFSZ; ulimit -f 0; exec "$@"',
      'sh',
      process.execPath,
      file,
      '--config',
      config,
    ];
    const child = spawn('sh', [...words, ...(program === 'host' ? ['--create-table'] : [])], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    children.push(child);
    let said = '';
    child.stderr.on('data', (bytes: Buffer) => {
      said += bytes.toString();
      // An agent needs no file to serve: what it may not begin without one it says when it is asked to.
      if (said.includes('serving')) child.kill('SIGTERM');
    });
    const status = await new Promise((resolve) => child.once('close', resolve));
    expect(said).not.toMatch(/^\s+at /m);
    expect([program, status]).toEqual([program, program === 'host' ? 75 : 0]);
    if (program === 'host') expect(said).toContain('EFBIG');
  },
);
