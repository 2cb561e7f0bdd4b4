/** `baton` from the built bundle: versions, help, and sockets that are not the right one. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { listens } from '../support/listens.ts';

const ROOT = join(import.meta.dirname, '../..');
const program = (name: string) => join(ROOT, `dist/${name}.mjs`);
const folder = mkdtempSync(join(tmpdir(), 'baton-cli-'));
const bench = join(folder, 'bench');
const socket = (name: 'host' | 'vault') => join(bench, name, name === 'host' ? 'host.sock' : 'agent.sock');
const started: ChildProcess[] = [];

beforeAll(async () => {
  const bundles = join(ROOT, 'docs/examples/bundles.json');
  const parties = ['--vm', 'android', '--vm', 'vault', '--enforcer', 'none', '--transport', 'unix'];
  run('baton', ['init', '--bundles', bundles, ...parties, '--out', bench]);
  const daemons = [
    [program('baton-host'), '--config', join(bench, 'host/host.json'), '--create-table'],
    [program('baton-agent'), '--config', join(bench, 'vault/agent.json')],
  ];
  for (const args of daemons) started.push(spawn(process.execPath, args, { stdio: 'ignore' }));
  const endMs = performance.now() + 8_000;
  while (!(listens(socket('host')) && listens(socket('vault')))) {
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

const PROGRAMS = [
  'baton',
  'baton-agent',
  'baton-host',
  'baton-machine',
  'baton-driver',
  ...(existsSync(program('baton-broker')) ? ['baton-broker'] : []),
];

it('every program has help, and one line for what it does not understand', () => {
  for (const name of PROGRAMS) {
    for (const option of ['--help', '-h']) {
      const { status, out, err } = run(name, [option]);
      expect([status, err]).toEqual([0, '']);
      expect(out.startsWith(`${name} `)).toBe(true);
    }
    const wrong = run(name, ['--hlep']);
    expect([wrong.status, wrong.out]).toEqual([64, '']);
    expect(wrong.err.split('\n').filter((line) => /^ +at /.test(line))).toEqual([]);
    expect(wrong.err).toContain('did you mean --help?');
  }
  for (const name of ['baton-machine', 'baton-driver', 'baton-broker'])
    expect(run(name, [])).toMatchObject({ status: 64, err: expect.stringMatching(/^[^\n]*\n$/) });
  expect(run('baton-machine', ['/no/such'])).toMatchObject({
    status: 64,
    err: expect.stringMatching(/^[^\n]*\n$/),
  });
});

it('baton-kvm says the version of the package', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const source = readFileSync(join(ROOT, 'targets/vmm/main.c'), 'utf8');
  expect(source).toContain(`#define VERSION "${version}"`);
});

it('a name that is nearly right is named', () => {
  expect(run('baton', ['borow']).err).toMatch(
    /^baton: no command "borow"; there are .*; did you mean borrow\? Try --help\n$/,
  );
  const wrong = run('baton', ['borrow', 'panle', '--socket', socket('vault'), 'true']);
  expect(wrong).toMatchObject({ status: 1, err: expect.stringContaining('did you mean panel?') });
  const host = run('baton', ['describe', 'panle', '--host', '--socket', socket('host')]);
  expect(host.err).toContain('did you mean panel?');
});

it('what follows a command is the command’s, with or without --', () => {
  const args = ['borrow', 'panel', '-w', '300ms', '--socket', socket('vault'), 'sh', '--help'];
  expect(run('baton', args).status).toBe(124);
  expect(run('baton', ['borrow', 'panel', '--help', 'sh']).out).toContain('baton borrow');
});

it('events prints what was and ends; with -f it goes on', () => {
  const past = run('baton', ['events', '--json', '--host', '--socket', socket('host')]);
  expect(past.status).toBe(0);
  const events = past.out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(events[0]).toMatchObject({ time: expect.stringMatching(/^\d{4}-.*Z$/), event: expect.any(String) });
  const follow = spawnSync(
    'timeout',
    [
      '2',
      process.execPath,
      program('baton'),
      'events',
      '-f',
      '-n',
      '1',
      '--host',
      '--socket',
      socket('host'),
    ],
    { encoding: 'utf8' },
  );
  // timeout(1) ends it by SIGTERM, which it heeds.
  expect(follow.stdout.trim().split('\n')).toHaveLength(1);
});

it('help is as wide as the terminal', () => {
  const narrow = `stty cols 60; '${process.execPath}' '${program('baton')}' borrow --help`;
  const { stdout } = spawnSync('script', ['-qefc', narrow, '/dev/null'], { encoding: 'utf8' });
  const widths = stdout.split(/\r?\n/).map((line) => line.length);
  expect(Math.max(...widths)).toBeLessThanOrEqual(60);
  expect(widths.length).toBeGreaterThan(30);
});

it('every program says the version of the package', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  for (const name of PROGRAMS)
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
