/**
 * Executables of a `command` enforcer that outlive their host, from the built bundles: what an earlier run of the host
 * ordered must not act behind the fence of the next. The enforcer is the example of the docs behind a wrapper that can
 * be made slow and writes down when it begins and when it acts.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { bundleFileText } from '../../src/config/bundle-file.ts';
import { PANEL } from '../../targets/lab/machine/board.ts';
import { paced } from '../support/pace.ts';

const DIST = join(import.meta.dirname, '../../dist');
const EXAMPLE = join(import.meta.dirname, '../../docs/examples/command-enforcer.sh');
const STEP_MS = paced(8_000);
const LOOK_MS = 10;
/** Longer than any test: what is not ended is found alive. */
const SLOW_S = 60;

let folder: string;
const children: ChildProcess[] = [];
const at = (name: string) => join(folder, name);
const write = (name: string, value: unknown, mode = 0o644) =>
  writeFileSync(at(name), typeof value === 'string' ? value : JSON.stringify(value), { mode });

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-orphan-'));
  mkdirSync(at('notes'));
  write('bundles.json', bundleFileText([PANEL]));
  write('keys.json', { android: randomBytes(32).toString('hex') }, 0o600);
  write(
    'enforcer.sh',
    // The line comes when the host has noted the process group: what never got one has no order to carry out.
    `#!/bin/sh
IFS= read -r line
[ ! -e ${at('forgetful')} ] || exec 3>&-
if [ -e ${at('slow')} ]; then
  rm ${at('slow')}
  echo $$ >${at('pid.new')} && mv ${at('pid.new')} ${at('pid')}
  sleep ${SLOW_S}
fi
printf '%s\\n' "$line" | BATON_NOTES=${at('notes')} ${EXAMPLE}
`,
    0o755,
  );
  configure('state');
});

function configure(state: string): void {
  write('host.json', {
    bundles: 'bundles.json',
    keys: 'keys.json',
    enforcer: { kind: 'command', command: [at('enforcer.sh')], limitMs: 2_500 },
    transport: { kind: 'stream', listen: { android: `unix:${at('android')}` } },
    state,
    control: 'host.sock',
  });
}
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  if (existsSync(at('pid')) && lives(orphan())) process.kill(-orphan(), 'SIGKILL');
  await until('nothing is left of it', () => !existsSync(at('pid')) || !lives(orphan()));
  rmSync(folder, { recursive: true });
});

const orphan = () => Number(readFileSync(at('pid'), 'utf8'));

/** Whether something of a process group lives; what only waits to be asked for by its parent does not. */
function lives(group: number): boolean {
  try {
    return !readFileSync(`/proc/${group}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const endMs = performance.now() + STEP_MS;
  while (!holds()) {
    if (performance.now() > endMs) throw new Error(`not within ${STEP_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

interface Host {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  said(): string;
}

/** `before`: a command that starts the command behind it. */
function start(before: readonly string[] = []): Host {
  const args = [join(DIST, 'baton-host.mjs'), '--config', at('host.json'), '--create-table'];
  const [program = '', ...rest] = [...before, process.execPath, ...args];
  const child = spawn(program, rest, { stdio: ['ignore', 'ignore', 'pipe'] });
  children.push(child);
  let said = '';
  child.stderr!.on('data', (bytes: Buffer) => {
    said += bytes.toString();
  });
  return { child, ended: new Promise((resolve) => child.once('exit', resolve)), said: () => said };
}

/** A host that has a call under way which takes its time. */
async function busyHost(before: readonly string[] = []): Promise<Host> {
  const host = start(before);
  await until('it serves', () => host.said().includes('serving'));
  write('slow', '');
  await until('a call is under way', () => existsSync(at('pid')));
  return host;
}

it('a host that was killed: its next run ends the call under way before it asks anything', async () => {
  const first = await busyHost();
  first.child.kill('SIGKILL');
  await first.ended;
  expect(lives(orphan())).toBe(true);
  const second = start();
  await until('it serves', () => second.said().includes('serving'));
  expect(lives(orphan())).toBe(false);
  expect(second.said()).toContain('ended a program of the enforcer that an earlier host had started');
});

it('so also when the program has closed the lock that it inherited', async () => {
  write('forgetful', '');
  await diesAndIsFollowed();
});

it('so also when its state folder has moved meanwhile', async () => {
  await diesAndIsFollowed([], () => {
    renameSync(at('state'), at('elsewhere'));
    configure('elsewhere');
  });
});

const NETWORK = ['unshare', '--net'];
const mayUnshare = spawnSync('unshare', ['--net', 'true']).status === 0;
if (!mayUnshare) console.warn('no leave for network name spaces: a host in one of its own is not tested');
else
  it('so also when each run has a network of its own', async () => {
    await diesAndIsFollowed(NETWORK);
  });

async function diesAndIsFollowed(before: readonly string[] = [], meanwhile = () => {}): Promise<void> {
  const first = await busyHost(before);
  first.child.kill('SIGKILL');
  await first.ended;
  expect(lives(orphan())).toBe(true);
  meanwhile();
  const second = start(before);
  await until('it serves', () => second.said().includes('serving'));
  expect(lives(orphan())).toBe(false);
}

it('a call that cannot be ended keeps the next run from starting', async () => {
  const first = await busyHost();
  first.child.kill('SIGKILL');
  await first.ended;
  // Without the notes it cannot be told from a stranger's process, which nobody may kill.
  rmSync(at('state/enforcer.lock'));
  rmSync(at('state/enforcer.run'));
  const second = start();
  expect(await second.ended).toBe(75);
  expect(second.said()).toMatch(
    /^baton-host: .*state: a program of the enforcer that an earlier host started is still running/,
  );
  expect(lives(orphan())).toBe(true);
});

it('a host that is told to end takes the call under way with it', async () => {
  const first = await busyHost();
  first.child.kill('SIGTERM');
  expect(await first.ended).toBe(0);
  await until('it is gone', () => !lives(orphan()));
});
