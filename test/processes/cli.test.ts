/** `baton` from the built bundle: versions, help, and sockets that are not the right one. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const program = (name: string) => join(ROOT, `dist/${name}.mjs`);
const folder = mkdtempSync(join(tmpdir(), 'baton-cli-'));
const bench = join(folder, 'bench');
const socket = (name: string) => join(bench, `${name}.sock`);
const started: ChildProcess[] = [];

beforeAll(async () => {
  spawnSync('/bin/sh', [join(ROOT, 'docs/examples/bench.sh'), bench]);
  const daemons = [
    [program('baton-host'), '--config', join(bench, 'host.json'), '--create-table'],
    [program('baton-agent'), '--config', join(bench, 'vault.json')],
  ];
  for (const args of daemons) started.push(spawn(process.execPath, args, { stdio: 'ignore' }));
  const endMs = performance.now() + 8_000;
  while (!(existsSync(socket('host')) && existsSync(socket('vault')))) {
    if (performance.now() > endMs) throw new Error('host and agent do not listen');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
});
afterAll(() => {
  for (const child of started) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

function run(name: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program(name), ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  return { status, out: stdout, err: stderr };
}

it('every program says the version of the package', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  for (const name of ['baton', 'baton-agent', 'baton-host'])
    expect(run(name, ['--version'])).toEqual({ status: 0, out: `${name} ${version}\n`, err: '' });
});

it('help COMMAND is COMMAND --help', () => {
  expect(run('baton', ['help', 'borrow']).out).toBe(run('baton', ['borrow', '--help']).out);
  expect(run('baton', ['help']).out).toContain('Exit status:');
  expect(run('baton', ['help', 'nosuch'])).toMatchObject({ status: 64 });
});

it('a command on the socket of the other daemon says so', () => {
  const borrow = run('baton', ['borrow', 'panel', '--socket', socket('host'), '--', 'true']);
  expect(borrow.status).toBe(64);
  expect(borrow.err).toContain(
    `${socket('host')} is the socket of the host: baton borrow takes that of an agent`,
  );
  const lift = run('baton', ['lift', 'panel', '--socket', socket('vault')]);
  expect(lift.status).toBe(64);
  expect(lift.err).toContain('is the socket of an agent: baton lift takes that of the host');
});

it('status and describe ask the host with --host', () => {
  const env = { BATON_HOST_SOCKET: socket('host'), BATON_SOCKET: socket('vault') };
  expect(JSON.parse(run('baton', ['status', '--host', '--json'], env).out)).toHaveProperty('auditHash');
  expect(JSON.parse(run('baton', ['status', '--json'], env).out)).not.toHaveProperty('auditHash');
  expect(run('baton', ['describe', 'panel', '--host'], env).out).toMatch(/^owner +android$/m);
  expect(run('baton', ['status', '--host'], { BATON_HOST_SOCKET: '/no/such' }).err).toContain(
    'no host at /no/such',
  );
});

it('a borrower whose owner is not there is told so', () => {
  const args = [
    'borrow',
    'panel',
    '-w',
    '300ms',
    '--min-evidence',
    'none',
    '--socket',
    socket('vault'),
    '--',
    'true',
  ];
  const { status, err } = run('baton', args);
  expect(status).toBe(124);
  expect(err).toContain('no session with android');
});
