/**
 * Daemons in bad circumstances, from the built bundles: twice over one state folder, a disk that takes no more, a
 * broken table, an enforcer that goes away. Each says so in a line, and no stack is shown.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Json } from '../../src/common/lines.ts';
import { bundleFileText } from '../../src/config/bundle-file.ts';
import { auditLine } from '../../src/core/host/audit.ts';
import { PANEL } from '../../targets/lab/machine/board.ts';
import { connectControl } from '../../targets/node/cli/control-client.ts';
import { paced } from '../support/pace.ts';

const DIST = join(import.meta.dirname, '../../dist');
const STEP_MS = paced(8_000);
const LOOK_MS = 10;

let folder: string;
let runs: Run[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-robust-'));
  runs = [];
  const key = randomBytes(32).toString('hex');
  write('bundles.json', bundleFileText([PANEL]));
  write('host.keys.json', { android: key, vault: '1'.repeat(64) }, 0o600);
  write('android.keys.json', { host: key, vault: '2'.repeat(64) }, 0o600);
  const listen = { android: `unix:${at('android')}`, vault: `unix:${at('vault')}` };
  write('host.json', {
    bundles: 'bundles.json',
    keys: 'host.keys.json',
    enforcer: { kind: 'none', vms: ['android', 'vault'] },
    transport: { kind: 'stream', listen },
    state: 'host-state',
    control: 'host.sock',
  });
  write('android.json', {
    vm: 'android',
    bundles: 'bundles.json',
    keys: 'android.keys.json',
    transport: { kind: 'stream', address: listen.android },
    state: 'android-state',
    control: 'android.sock',
  });
});
afterEach(async () => {
  for (const { child } of runs) child.kill('SIGKILL');
  await Promise.all(runs.map(({ ended }) => ended));
  rmSync(folder, { recursive: true });
});

const at = (name: string) => join(folder, name);
function write(name: string, value: unknown, mode = 0o644): void {
  writeFileSync(at(name), typeof value === 'string' ? value : JSON.stringify(value), { mode });
}

/** A daemon as a process. `blocks`: what a file may have at most, as `ulimit -f` counts. */
class Run {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  err = '';

  constructor(program: 'host' | 'agent', config: string, args: readonly string[] = [], blocks?: number) {
    const command = [process.execPath, join(DIST, `baton-${program}.mjs`), '--config', at(config), ...args];
    const limited = ['/bin/bash', '-c', `ulimit -f ${blocks}; exec "$@"`, 'bash', ...command];
    const [name = '', ...rest] = blocks === undefined ? command : limited;
    this.child = spawn(name, rest, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.child.stderr!.on('data', (bytes: Buffer) => {
      this.err += bytes.toString();
    });
    this.ended = new Promise((resolve) => this.child.once('close', resolve));
    runs.push(this);
  }

  says(text: string): Promise<void> {
    return until(`it says ${text}`, () => this.err.includes(text));
  }
}

const host = (...args: string[]) => new Run('host', 'host.json', ['--create-table', ...args]);

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + STEP_MS;
  while (!(await holds())) {
    if (performance.now() > endMs) {
      throw new Error(`not within ${STEP_MS} ms: ${what}; said ${runs.map(({ err }) => err).join('\n')}`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** What the host answers on its control socket. */
async function ask(request: Json): Promise<Json> {
  const client = await connectControl(at('host.sock'));
  const answer = await client.request(request);
  client.close();
  return answer;
}
const view = async () => ((await ask({ do: 'status' }))['bundles'] as Json[])[0]!;

describe.sequential('a daemon', () => {
  it('is refused over a state folder in use, says which, and may start after that was killed', async () => {
    const first = host();
    await first.says('serving');
    const agent = new Run('agent', 'android.json');
    await first.says('session up');
    write('host2.json', readFileSync(at('host.json'), 'utf8').replace('host.sock', 'host2.sock'));
    const second = new Run('host', 'host2.json');
    expect(await second.ended).toBe(75);
    expect(second.err).toBe(
      `baton-host: ${at('host-state')}: another process uses this state folder; end it, or configure another folder\n`,
    );
    const twin = new Run('agent', 'android.json');
    expect(await twin.ended).toBe(75);
    expect(twin.err).toContain('another process uses this state folder');
    // Neither was noticed by those that serve.
    expect(agent.err).not.toContain('not connected');
    expect(first.err).not.toContain('takes over');
    first.child.kill('SIGKILL');
    await first.ended;
    await host().says('serving');
  });

  it('with another state folder does not disturb agents whose sockets it wants', async () => {
    const first = host();
    await first.says('serving');
    const agent = new Run('agent', 'android.json');
    await first.says('session up');
    const text = readFileSync(at('host.json'), 'utf8');
    write('host2.json', text.replace('host.sock', 'host2.sock').replace('host-state', 'other-state'));
    const second = new Run('host', 'host2.json', ['--create-table']);
    await second.says('cannot listen, trying again');
    expect(second.err).toContain('another process listens there');
    expect(agent.err).not.toContain('not connected');
    expect(first.err).not.toContain('takes over');
  });

  it('serves with everything in quarantine when both its tables are broken', async () => {
    const first = host();
    await first.says('serving');
    first.child.kill('SIGKILL');
    await first.ended;
    write('host-state/table.journal.after-loss', 'no journal');
    const second = new Run('host', 'host.json');
    await second.says('serving');
    expect(await view()).toMatchObject({
      state: 'quarantined',
      reason: expect.stringContaining('tableLost'),
    });
    expect(await ask({ do: 'lift', bundle: 'panel' })).toMatchObject({ ok: true });
    await until('the owner has it', async () => (await view())['state'] !== 'quarantined');
    second.child.kill('SIGKILL');
    await second.ended;
    const third = new Run('host', 'host.json');
    await third.says('serving');
    expect(await view()).not.toMatchObject({ state: 'quarantined' });
  });

  it('that is a host lives on when its audit log can take no more, and shows it', async () => {
    const first = host();
    await first.says('serving');
    first.child.kill('SIGTERM');
    await first.ended;
    // A block of bash is 1 KiB: no line fits any more, while the table has room.
    const log = at('host-state/audit.jsonl');
    const limit = 39 * 1024;
    const text = readFileSync(log, 'utf8');
    let hash = text.trimEnd().slice(-66, -2);
    let left = limit - 9 - text.length;
    const entry = { atMs: 1, bundle: 'panel', event: 'held', epoch: 1, holder: 'android' };
    const bare = auditLine(hash, { ...entry, detail: '' }).line.length;
    while (left > 0) {
      // The last two share what is left, so that it is filled to the byte.
      const bytes = left > 2 * (bare + 500) ? bare + 500 : left > bare + 500 ? left >> 1 : left;
      const line = auditLine(hash, { ...entry, detail: 'x'.repeat(bytes - bare) });
      writeFileSync(log, line.line, { flag: 'a' });
      hash = line.hash;
      left -= bytes;
    }
    const full = new Run('host', 'host.json', [], 39);
    await full.says('audit.jsonl cannot be written: EFBIG');
    await until('it says so', async () => (await ask({ do: 'status' }))['writeFault'] !== null);
    expect((await ask({ do: 'status' }))['writeFault']).toContain('EFBIG');
    expect(statSync(log).size).toBe(limit - 9);
    expect(full.err).not.toContain('    at ');
    expect(full.child.exitCode).toBeNull();
    full.child.kill('SIGTERM');
    expect(await full.ended).toBe(0);
  });

  it('that is a host and cannot write its table at all does not begin, in one line', async () => {
    const full = new Run('host', 'host.json', ['--create-table'], 0);
    expect(await full.ended).not.toBe(0);
    expect(full.err).toContain('EFBIG');
    expect(full.err).not.toContain('    at ');
  });

  it('that is an owner’s agent serves and lends without its journal, and says so', async () => {
    await host().says('serving');
    const owner = JSON.parse(readFileSync(at('android.json'), 'utf8'));
    const policy = { kind: 'list', allow: [{ bundle: 'panel', borrower: 'vault' }] };
    write('android.json', { ...owner, policy });
    write('vault.keys.json', { host: '1'.repeat(64), android: '2'.repeat(64) }, 0o600);
    const rest = { keys: 'vault.keys.json', state: 'vault-state', control: 'vault.sock' };
    write('vault.json', {
      ...owner,
      vm: 'vault',
      ...rest,
      transport: { kind: 'stream', address: `unix:${at('vault')}` },
    });
    const agent = new Run('agent', 'android.json', [], 0);
    const vault = new Run('agent', 'vault.json');
    await vault.says('serving');
    await until('it is confirmed', async () => (await view())['confirmed'] === true);
    const client = await connectControl(at('vault.sock'));
    await until('it lends', async () => {
      const terms = { leaseMs: 5_000, waitMs: 500, evidence: 'none', purpose: 'x' };
      return (await client.request({ do: 'borrow', bundle: 'panel', ...terms }))['ok'] === true;
    });
    client.close();
    expect(agent.child.exitCode).toBeNull();
    expect(agent.err).toMatch(/agent.journal cannot be written: EFBIG.*; free space or repair the disk/);
    expect(agent.err).not.toContain('    at ');
  });

  it('that is an agent resumes its driver also when its journal can take no more', async () => {
    await host().says('serving');
    const first = new Run('agent', 'android.json');
    await first.says('session up');
    first.child.kill('SIGTERM');
    await first.ended;
    const agent = new Run('agent', 'android.json', [], 0);
    await agent.says('this record is skipped');
    await until('it is confirmed', async () => (await view())['confirmed'] === true);
    expect(await view()).toMatchObject({ holder: 'android', state: 'held' });
    expect(agent.child.exitCode).toBeNull();
    expect(agent.err).not.toContain('    at ');
  });

  it('that is a host ends when its enforcer goes, and its next run goes on where it was', async () => {
    const machine = new FakeMachine(at('machine'));
    await machine.listen();
    const enforcer = { kind: 'simulated', address: `unix:${at('machine')}` };
    write('host.json', { ...JSON.parse(readFileSync(at('host.json'), 'utf8')), enforcer });
    const first = host();
    await until('android holds', async () => (await view().catch((): Json => ({})))['holder'] === 'android');
    const { epoch } = await view();
    machine.cut();
    expect(await first.ended).toBe(75);
    expect(first.err).toContain('the enforcer is gone');
    expect(first.err).not.toContain('    at ');
    const second = new Run('host', 'host.json');
    await second.says('serving');
    await until('it was read back', async () => (await view())['state'] === 'held');
    expect(await view()).toMatchObject({ holder: 'android', epoch });
    await machine.close();
    expect(await second.ended).toBe(75);
    const third = new Run('host', 'host.json');
    expect(await third.ended).toBe(75);
    expect(third.err).toMatch(/^baton-host: enforcer .*machine.*\n$/);
  });
});

/** A helper on an enforcer socket that keeps who reaches what. */
class FakeMachine {
  readonly #reach = new Map<string, string>();
  readonly #path: string;
  readonly #server = createServer((socket) => {
    this.#sockets.add(socket);
    let text = '';
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString();
      const lines = text.split('\n');
      text = lines.pop()!;
      for (const line of lines) {
        if (line === '') continue;
        const answer = this.#answer(JSON.parse(line) as Json);
        if (answer) socket.write(`${JSON.stringify(answer)}\n`);
      }
    });
  });
  readonly #sockets = new Set<import('node:net').Socket>();

  constructor(path: string) {
    this.#path = path;
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(this.#path, resolve));
  }

  /** Ends every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.cut();
    return closed;
  }

  #answer({ id, do: what, calls }: Json): Json | undefined {
    if (what === 'hello') {
      const capabilities = { forceRevoke: true, reset: true, faultReport: false };
      return {
        id,
        name: 'fake',
        kind: 'central',
        evidence: 'observed',
        machineBoot: 'b1',
        running: ['android', 'vault'],
        capabilities,
      };
    }
    if (what !== 'run') return undefined;
    return { id, answers: (calls as Record<string, string>[]).map((call) => this.#carryOut(call)) };
  }

  #carryOut({ op, resource = '', vm = '' }: Record<string, string>): Json {
    if (op === 'fence') this.#reach.delete(resource);
    if (op === 'grant') this.#reach.set(resource, vm);
    if (op === 'inspect') return { ok: true, reach: this.#reach.get(resource) ?? 'blocked' };
    return op === 'drained' ? { ok: true, idle: true } : { ok: true };
  }
}
