/** The Node world: real files, programs, sockets and locks. The waits are real, and short. */

import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createHooks } from '../../../src/edges/hooks/hooks.ts';
import type { DeviceHooksConfig } from '../../../src/edges/hooks/hooks-config.ts';
import type { Clock, DriverHooks, DriverStatus, HookName, HookResult } from '../../../src/ports/world.ts';
import { ANDROID, PANEL } from '../../../targets/lab/machine/board.ts';
import { type NodeHookWorld, nodeHookWorld } from '../../../targets/node/agent/hooks.ts';
import { CLOCK } from '../../../targets/node/system/clock.ts';
import { paced, paceNow } from '../../support/pace.ts';
import { EPOCH } from './support.ts';

/** Longest wait for something that another process does, in ms. */
const PATIENCE_MS = paced(4_000);

let folder: string;
let worlds: NodeHookWorld[];
const path = (name: string) => join(folder, name);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-hooks-'));
  mkdirSync(path('state'));
  worlds = [];
});
afterEach(() => {
  for (const world of worlds) world.locks.close();
  rmSync(folder, { recursive: true });
});

/** Hooks of a new agent on this machine, whose /sys is a folder. */
function agent(touch: DeviceHooksConfig, clock: Clock = CLOCK): DriverHooks {
  const world = { ...nodeHookWorld(path('state'), () => {}), clock, sys: path('sys') };
  worlds.push(world);
  const config = { panel: { touch } };
  return createHooks({ self: ANDROID, bundles: [PANEL], config, world, log: () => {} });
}

/** The same with a clock that is faster, for waits of a second and more: five times on a quiet machine. */
const HASTE = Math.max(1, 5 / paceNow());
const hastyAgent = (touch: DeviceHooksConfig): DriverHooks =>
  agent(touch, {
    nowMs: () => CLOCK.nowMs() * HASTE,
    soon: CLOCK.soon,
    after: (ms, fire) => CLOCK.after(ms / HASTE, fire),
  });

const run = (hooks: DriverHooks, hook: HookName): Promise<HookResult> =>
  new Promise((done) => hooks.run(PANEL.id, hook, EPOCH, done));
const inspect = (hooks: DriverHooks): Promise<DriverStatus> =>
  new Promise((done) => hooks.inspect(PANEL.id, done));
const shell = (script: string, limitMs = 10_000) =>
  ({ kind: 'command', name: 'sh', command: ['sh', '-c', script], limitMs }) as const;
const errorOf = (result: HookResult) => (result.ok ? '' : result.error);

async function appears(file: string): Promise<string> {
  const endMs = Date.now() + PATIENCE_MS;
  while (!existsSync(file) || readFileSync(file, 'utf8') === '') {
    if (Date.now() > endMs) throw new Error(`${file} did not appear`);
    await new Promise((done) => setTimeout(done, 5));
  }
  return readFileSync(file, 'utf8').trim();
}

/** Whether a process lives; one that nobody reaped does not. */
function lives(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2)[0] !== 'Z';
  } catch {
    return false;
  }
}

describe('programs on Node', () => {
  it('succeed by status 0 and see their environment', async () => {
    const hooks = agent({
      suspend: [shell(`echo "$BATON_HOOK $BATON_DEVICE $BATON_EPOCH" > ${path('said')}`)],
    });
    expect(await run(hooks, 'suspend')).toEqual({ ok: true });
    expect(readFileSync(path('said'), 'utf8')).toBe('suspend touch 7\n');
  });

  it('that do not exist are a clear failure', async () => {
    const hooks = agent({ suspend: [{ kind: 'command', command: [path('nothing')] }] });
    const result = await run(hooks, 'suspend');
    expect(result).toMatchObject({ ok: false, outcome: 'failed' });
    expect(errorOf(result)).toContain('not started: spawn');
    expect(errorOf(result)).toContain('ENOENT');
  });

  it('are run also when the disk takes no note of them', async () => {
    mkdirSync(path('state/hooks-panel.lock.new'));
    const hooks = agent({ suspend: [shell(`echo ran > ${path('said')}`)] });
    expect(await run(hooks, 'suspend')).toEqual({ ok: true });
    expect(readFileSync(path('said'), 'utf8')).toBe('ran\n');
  });

  it('may flood both outputs: the last of standard error is kept', async () => {
    const flood = 'head -c 4000000 /dev/zero | tr "\\0" x';
    const hooks = agent({ suspend: [shell(`${flood}; ${flood} >&2; echo the end >&2; exit 5`, 5_000)] });
    const error = errorOf(await run(hooks, 'suspend'));
    expect(error).toMatch(/^touch\/sh: sh: status 5: x+the end$/);
    expect(error.length).toBeLessThan(2_200);
  });

  it('that exceed their limit are killed with their whole group', async () => {
    const hooks = agent({
      suspend: [shell(`trap "" TERM; sleep 30 & echo $! > ${path('child')}; wait; wait`, 100)],
    });
    expect(await run(hooks, 'suspend')).toMatchObject({
      outcome: 'unknown',
      error: 'touch/sh: sh: no end within 100 ms; killed',
    });
    expect(lives(Number(readFileSync(path('child'), 'utf8')))).toBe(false);
  });

  it('leave nothing running in their group', async () => {
    const hooks = agent({ suspend: [shell(`sleep 30 & echo $! > ${path('child')}`)] });
    expect(await run(hooks, 'suspend')).toEqual({ ok: true });
    // SIGKILL was sent; the kernel may take a moment to bury it.
    const pid = Number(readFileSync(path('child'), 'utf8'));
    for (let looks = 0; looks < 200 && lives(pid); looks++) await new Promise((next) => setTimeout(next, 10));
    expect(lives(pid)).toBe(false);
  });

  it('print what the driver does', async () => {
    const hooks = agent({ inspect: { kind: 'command', command: ['echo', 'suspended'] } });
    expect(await inspect(hooks)).toBe('suspended');
  });
});

describe('attributes on Node', () => {
  it('are written and read in a folder that stands in for /sys', async () => {
    mkdirSync(path('sys/class/input/input3'), { recursive: true });
    writeFileSync(path('sys/class/input/input3/inhibited'), '0\n');
    const hooks = agent({ suspend: [{ kind: 'input-inhibit', input: 'input3' }] });
    expect(await inspect(hooks)).toBe('active');
    expect(await run(hooks, 'suspend')).toEqual({ ok: true });
    expect(await inspect(hooks)).toBe('suspended');
  });

  it('are found below the folder of a device', async () => {
    mkdirSync(path('touch/input/input9'), { recursive: true });
    writeFileSync(path('touch/input/input9/inhibited'), '0\n');
    const hooks = agent({ suspend: [{ kind: 'input-inhibit', input: path('touch') }] });
    expect(await run(hooks, 'suspend')).toEqual({ ok: true });
    expect(await inspect(hooks)).toBe('suspended');
  });

  it('are never made: a step on a missing one fails', async () => {
    const hooks = agent({ suspend: [{ kind: 'sysfs', path: path('nothing'), write: '1' }] });
    expect(await run(hooks, 'suspend')).toMatchObject({
      outcome: 'failed',
      error: expect.stringContaining(path('nothing')),
    });
    expect(existsSync(path('nothing'))).toBe(false);
  });

  it('include the driver link', async () => {
    mkdirSync(path('sys/bus/platform/devices/b0.touch'), { recursive: true });
    const step = { kind: 'unbind', bus: 'platform', driver: 'faketouch', device: 'b0.touch' } as const;
    const hooks = agent({ suspend: [step] });
    // Not by this agent: the driver may have failed to come up.
    expect(await inspect(hooks)).toBe('unknown');
    symlinkSync('../../drivers/faketouch', path('sys/bus/platform/devices/b0.touch/driver'));
    expect(await inspect(hooks)).toBe('active');
  });
});

describe('a socket hook on Node', () => {
  it('asks a program and hears its answer', async () => {
    const server = await listening(path('touch.sock'));
    const hooks = agent({ suspend: [{ kind: 'socket', path: path('touch.sock') }] });
    expect(await run(hooks, 'suspend')).toEqual({ ok: true });
    expect(await inspect(hooks)).toBe('suspended');
    server.close();
  });
});

/** A program that says yes to everything. */
function listening(file: string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('data', (line) => {
      const { id } = JSON.parse(String(line));
      socket.write(`${JSON.stringify({ id, ok: true, status: 'suspended' })}\n`);
    });
  });
  return new Promise((done) => server.listen(file, () => done(server)));
}

describe('the lock on Node', () => {
  it('refuses a second agent, and lets it in when the first is gone', async () => {
    const first = hastyAgent({ suspend: [shell('true')] });
    const second = hastyAgent({ suspend: [shell('true')] });
    expect(await run(first, 'suspend')).toEqual({ ok: true });
    expect(await run(second, 'suspend')).toMatchObject({
      outcome: 'unknown',
      error: 'hookStuck: panel: another agent runs its hooks',
    });
    worlds[0]!.locks.close();
    expect(await run(second, 'suspend')).toEqual({ ok: true });
  });

  it('is held by what a program left behind in another session, until that is killed', async () => {
    const stray =
      `setsid sh -c 'echo $$ > ${path('escaped')}; exec sleep 30' & ` +
      `while ! [ -s ${path('escaped')} ]; do :; done`;
    const hooks = hastyAgent({ suspend: [shell(stray)], resume: [shell('true')] });
    expect(await run(hooks, 'suspend')).toEqual({ ok: true });
    const pid = Number(readFileSync(path('escaped'), 'utf8'));
    expect(lives(pid)).toBe(true);
    expect(await run(hooks, 'resume')).toEqual({ ok: true });
    expect(lives(pid)).toBe(false);
  });

  it('is not given up to a process that squats its name, nor is that process killed', async () => {
    const victim = hastyAgent({ suspend: [shell('true')] });
    await run(victim, 'suspend');
    const rows = readFileSync('/proc/net/unix', 'utf8').split('\n');
    // Other agents of this machine have names of the same form: ours is that of our own folder.
    const mark = createHash('sha256')
      .update(realpathSync(path('state')))
      .digest('hex')
      .slice(0, 16);
    const own = rows.find((row) => row.includes(`@baton-hooks-${mark}`) && row.includes('panel-agent'));
    expect(own).toBeDefined();
    const name = own!
      .trim()
      .split(/\s+/)[7]!
      .replace(/^@/, '')
      .replace(/@+$/, '')
      .replace(/agent$/, 'run');
    const squatter = spawn(process.execPath, [
      '-e',
      `require('net').createServer().listen({path: '\\0${name}'}, () => ` +
        `require('fs').writeFileSync('${path('squats')}', '1'))`,
    ]);
    await appears(path('squats'));
    expect(await run(victim, 'suspend')).toMatchObject({ error: expect.stringContaining('hookStuck') });
    expect(lives(squatter.pid!)).toBe(true);
    squatter.kill('SIGKILL');
  });
});

describe('M17: a hook that outlives its agent', () => {
  let built: string;
  let program: string;
  // A process of its own needs JavaScript: this Node takes no TypeScript.
  beforeAll(() => {
    const root = resolve(import.meta.dirname, '../../..');
    built = mkdtempSync(join(tmpdir(), 'baton-orphan-'));
    program = join(built, 'test/edges/hooks/orphan-agent.js');
    const options = [
      '--ignoreConfig',
      '--noEmit',
      'false',
      '--noCheck',
      '--target',
      'es2022',
      '--module',
      'nodenext',
    ];
    const paths = ['--rewriteRelativeImportExtensions', '--rootDir', root, '--outDir', built];
    const source = join(root, 'test/edges/hooks/orphan-agent.ts');
    execFileSync(join(root, 'node_modules/.bin/tsc'), [...options, ...paths, source], {
      stdio: 'pipe',
      cwd: root,
    });
    writeFileSync(join(built, 'package.json'), '{ "type": "module" }');
  });
  afterAll(() => rmSync(built, { recursive: true }));

  /** Starts an agent whose hook never ends, and kills the agent with SIGKILL. Returns the hook's process. */
  async function orphan(seconds: string): Promise<number> {
    const child = spawn(process.execPath, [program, path('state'), path('hook'), seconds]);
    const pid = Number(await appears(path('hook')));
    const gone = new Promise((done) => child.once('exit', done));
    child.kill('SIGKILL');
    await gone;
    return pid;
  }

  /** A hook that leaves a file when it runs while the process lives; one that only was not reaped does not. */
  const probes = (pid: number) =>
    shell(`grep -q '^State:.[^Z]' /proc/${pid}/status 2> /dev/null && echo alive > ${path('seen')}; true`);

  it('is waited for by the next agent', async () => {
    const pid = await orphan('0.4');
    const hooks = agent({ resume: [probes(pid)] });
    expect(lives(pid)).toBe(true);
    expect(await run(hooks, 'resume')).toEqual({ ok: true });
    expect(existsSync(path('seen'))).toBe(false);
  });

  it('is killed by the next agent when it does not end, before any hook runs', async () => {
    const pid = await orphan('30');
    const hooks = hastyAgent({ resume: [probes(pid)] });
    expect(await run(hooks, 'resume')).toEqual({ ok: true });
    expect(lives(pid)).toBe(false);
    expect(existsSync(path('seen'))).toBe(false);
  });
});
