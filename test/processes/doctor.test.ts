/** `baton doctor` beside real daemons: no fault while all is well, and each thing that happens to one by its name. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Line } from '../../targets/node/cli/doctor/checks.ts';
import { paced } from '../support/pace.ts';

const ROOT = join(import.meta.dirname, '../..');
const DIST = join(ROOT, 'dist');
const LIMIT_MS = paced(30_000);
const STEP_MS = paced(15_000);
const folder = mkdtempSync(join(tmpdir(), 'baton-doctor-'));
const running = new Map<string, ChildProcess>();

const at = (...names: string[]) => join(folder, 'bench', ...names);
const configOf = (party: string) => at(party, party === 'host' ? 'host.json' : 'agent.json');

/** Starts a daemon. `dir`: folder of its configuration, unless it is called as the party is. */
function start(party: string, dir = party, ...more: string[]): void {
  const program = party === 'host' ? 'baton-host' : 'baton-agent';
  const config = at(dir, party === 'host' ? 'host.json' : 'agent.json');
  const words = [join(DIST, `${program}.mjs`), '--config', config, ...more];
  running.set(dir, spawn(process.execPath, words, { stdio: 'ignore' }));
}

async function end(name: string): Promise<void> {
  const child = running.get(name)!;
  running.delete(name);
  const ended = new Promise((done) => child.once('exit', done));
  child.kill('SIGKILL');
  await ended;
}

function doctor(parties: readonly string[], ...args: string[]) {
  const words = [
    join(DIST, 'baton.mjs'),
    'doctor',
    ...parties.map(configOf),
    '--json',
    '--min-evidence',
    'none',
  ];
  const { status, stdout, stderr } = spawnSync(process.execPath, [...words, ...args], { encoding: 'utf8' });
  expect(stderr).toBe('');
  return { status, checks: (JSON.parse(stdout) as { checks: Line[] }).checks };
}

const faultsOf = (parties: readonly string[], ...args: string[]) =>
  doctor(parties, ...args).checks.flatMap((line) => (line.result === 'fault' ? [line] : []));

/** Resolves when the faults of these checks are as `isIt` says. */
async function until(
  parties: readonly string[],
  checks: readonly string[],
  isIt: (faults: ReturnType<typeof faultsOf>) => boolean,
) {
  const only = checks.flatMap((name) => ['--only', name]);
  const endMs = performance.now() + STEP_MS;
  for (;;) {
    const faults = faultsOf(parties, ...only);
    if (isIt(faults)) return faults;
    if (performance.now() > endMs) throw new Error(`not so in time: ${JSON.stringify(faults)}`);
    await new Promise((done) => setTimeout(done, 100));
  }
}

const ALL = ['host', 'android', 'vault'];
const isWell = () =>
  until(ALL, ['daemon-answers', 'peers-up', 'bundle-state'], (faults) => faults.length === 0);

beforeAll(async () => {
  const bundles = join(ROOT, 'docs/examples/bundles.json');
  const words = ['--vm', 'android', '--vm', 'vault', '--enforcer', 'none', '--transport', 'unix'];
  const args = [join(DIST, 'baton.mjs'), 'init', '--bundles', bundles, ...words, '--out', at()];
  expect(spawnSync(process.execPath, args).status).toBe(0);
  // A driver of the owner that is suspended by an attribute.
  writeFileSync(at('blank'), '0\n');
  const step = JSON.stringify({ suspend: [{ kind: 'sysfs', path: at('blank'), write: '1' }] });
  const text = readFileSync(configOf('android'), 'utf8');
  writeFileSync(configOf('android'), text.replace(/"hooks": \{\s*"panel": \{/, `$&"touch": ${step}`));
  start('host', 'host', '--create-table');
  start('android');
  start('vault');
  await isWell();
}, LIMIT_MS);
afterAll(() => {
  for (const child of running.values()) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

describe.sequential('host and agents of one machine', () => {
  it(
    'all is well',
    () => {
      const { status, checks } = doctor(ALL);
      expect(checks.filter(({ result }) => result === 'fault')).toEqual([]);
      expect(status).toBe(0);
    },
    LIMIT_MS,
  );

  it(
    'an attribute is tried while the owner has the bundle, and left alone while it is lent',
    async () => {
      const tried = () => doctor(['android'], '--only', 'attribute-works').checks;
      const isTried = tried();
      expect(isTried).toMatchObject([{ result: 'ok', found: expect.stringContaining(at('blank')) }]);
      expect(readFileSync(at('blank'), 'utf8')).toBe('0\n');
      const words = [join(DIST, 'baton.mjs'), 'borrow', 'panel', '--min-evidence', 'none'];
      const more = ['--socket', at('vault/agent.sock'), '--', 'sleep', '60'];
      const borrow = spawn(process.execPath, [...words, ...more], { stdio: 'ignore' });
      await until(['android'], ['bundle-state'], () => readFileSync(at('blank'), 'utf8') === '1\n');
      expect(tried()).toMatchObject([{ result: 'skipped' }]);
      expect(readFileSync(at('blank'), 'utf8')).toBe('1\n');
      const ended = new Promise((done) => borrow.once('exit', done));
      borrow.kill('SIGTERM');
      await ended;
      await until(['android'], ['bundle-state'], () => readFileSync(at('blank'), 'utf8') === '0\n');
      await isWell();
    },
    2 * LIMIT_MS,
  );

  it(
    'a control socket that somebody opened to all',
    () => {
      chmodSync(at('vault/agent.sock'), 0o666);
      const [fault] = faultsOf(['vault']);
      expect(fault).toMatchObject({ check: 'control-mode', party: 'vault' });
      expect(spawnSync('/bin/sh', ['-c', fault!.mend.split(',')[0]!]).status).toBe(0);
      expect(faultsOf(['vault'])).toEqual([]);
    },
    LIMIT_MS,
  );

  it(
    'a host that was stopped',
    async () => {
      running.get('host')!.kill('SIGSTOP');
      const [hung] = faultsOf(['host'], '--only', 'daemon-answers');
      expect(hung).toMatchObject({ found: expect.stringContaining('is it stopped?') });
      await until(['android'], ['host-reached'], (faults) => faults.length === 1);
      running.get('host')!.kill('SIGCONT');
      await isWell();
    },
    2 * LIMIT_MS,
  );

  it(
    'an agent that was killed',
    async () => {
      await end('vault');
      const faults = await until(ALL, ['daemon-answers', 'peers-up'], (found) => found.length === 3);
      expect(faults.map(({ check, party }) => `${check} ${party}`)).toEqual([
        'peers-up host',
        'peers-up android',
        'daemon-answers vault',
      ]);
      start('vault');
      await isWell();
    },
    LIMIT_MS,
  );

  it(
    'an agent with another bundle file',
    async () => {
      await end('vault');
      const text = readFileSync(at('vault/bundles.json'), 'utf8');
      const changed = text.replace(/"keeper": *"[a-z]+"/, (found) =>
        found.includes('owner') ? '"keeper": "hypervisor"' : '"keeper": "owner"',
      );
      expect(changed).not.toBe(text);
      writeFileSync(at('vault/bundles.json'), changed);
      start('vault');
      const names = ['bundle-digest', 'digest-agreed'];
      await until(ALL, names, (faults) => names.every((name) => faults.some(({ check }) => check === name)));
      await end('vault');
      writeFileSync(at('vault/bundles.json'), text);
      start('vault');
      await isWell();
    },
    LIMIT_MS,
  );

  it(
    'an agent with another key',
    async () => {
      await end('vault');
      const text = readFileSync(at('vault/vault.keys.json'), 'utf8');
      writeFileSync(
        at('vault/vault.keys.json'),
        text.replace(/("host": *")[0-9a-f]{64}/, `$1${'5'.repeat(64)}`),
      );
      start('vault');
      const [fault] = await until(['host', 'vault'], ['key-fingerprint'], (faults) => faults.length === 1);
      expect(fault!.found).toMatch(/^1:[0-9a-f]{16} at host, 1:[0-9a-f]{16} at vault$/);
      await until(['host'], ['peers-up'], ([lost]) => lost?.about === 'vault');
      await end('vault');
      writeFileSync(at('vault/vault.keys.json'), text);
      start('vault');
      await isWell();
    },
    LIMIT_MS,
  );

  it(
    'a second agent with the name and keys of another',
    async () => {
      cpSync(at('vault'), at('clone'), {
        recursive: true,
        filter: (path) => !/state$|\.sock|\.lock/.test(path),
      });
      start('vault', 'clone');
      const [fault] = await until(['host'], ['one-process'], (faults) => faults.length > 0);
      expect(fault).toMatchObject({ about: 'vault', mend: expect.stringContaining('end one of the two') });
      await end('clone');
    },
    2 * LIMIT_MS,
  );
});
