/**
 * The owner's queue with real programs: who waits is told its place and is served when the bundle comes back, and the
 * owner's driver is not woken in between.
 */

import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Started } from '../../targets/node/system/started.ts';
import { paced } from '../support/pace.ts';

const ROOT = join(import.meta.dirname, '../..');
const LIMIT_MS = paced(25_000);
const folder = mkdtempSync(join(tmpdir(), 'baton-queue-'));
const bench = join(folder, 'bench');
const at = (name: string) => join(bench, name);
/** What the owner's hooks do, a word a run. */
const hooks = at('hooks');
const started = new Started();
/** How the agents and the command line are called. */
export interface QueueWords {
  readonly agent: readonly string[];
  readonly baton: readonly string[];
}

const agents = new Map<string, ChildProcess>();
let engine: QueueWords;

function startAgent(vm: string): void {
  const [program = '', ...words] = [...engine.agent, '--config', at(`${vm}.json`)];
  agents.set(vm, started.spawn(program, words, { stdio: 'ignore' }));
}

/** Runs `baton` with these words. */
function baton(...words: readonly string[]): [string, string[]] {
  const [program = '', ...own] = [...engine.baton, ...words];
  return [program, own];
}

/** Adds a third VM to the two of the example. */
function addKiosk(): void {
  const [host, android] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')];
  const edit = (name: string, change: (text: string) => string) =>
    writeFileSync(at(name), change(readFileSync(at(name), 'utf8')), { mode: 0o600 });
  edit('host.keys.json', (text) => text.replace('{', `{"kiosk": "${host}", `));
  edit('android.keys.json', (text) => text.replace('{', `{"kiosk": "${android}", `));
  writeFileSync(at('kiosk.keys.json'), JSON.stringify({ host, android }), { mode: 0o600 });
  const kiosk = readFileSync(at('vault.json'), 'utf8').replaceAll('vault', 'kiosk');
  writeFileSync(at('kiosk.json'), kiosk);
  edit('host.json', (text) =>
    text
      .replace('["android", "vault"]', '["android", "vault", "kiosk"]')
      .replace('"listen": {', `"listen": { "kiosk": "unix:${at('kiosk.stream')}",`),
  );
  const command = (word: string) => ['/bin/sh', '-c', `echo ${word} >> ${hooks}`];
  const device = { suspend: [{ kind: 'command', command: command('suspend'), undo: command('resume') }] };
  edit('android.json', (text) =>
    text
      .replace('"leaseMaxMs": 60000 }', '"leaseMaxMs": 60000 }, { "bundle": "panel", "borrower": "kiosk" }')
      .replace('"control":', `"hooks": { "panel": { "touch": ${JSON.stringify(device)} } }, "control":`),
  );
}

interface Borrowing {
  readonly child: ChildProcess;
  said: string;
  readonly ended: Promise<number | null>;
  /** Resolves when it has printed this. */
  says(text: string): Promise<void>;
}

function borrow(vm: string, ...words: string[]): Borrowing {
  const args = [
    'borrow',
    'panel',
    '--min-evidence',
    'none',
    '--notice',
    '300ms',
    '--socket',
    at(`${vm}.sock`),
  ];
  const child = spawn(...baton(...args, ...words));
  const listeners: (() => void)[] = [];
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const borrowing: Borrowing = {
    child,
    said: '',
    ended,
    says: (text) =>
      new Promise((resolve, reject) => {
        const look = () => borrowing.said.includes(text) && resolve();
        listeners.push(look);
        void ended.then(() => reject(new Error(`ended before ${text}: ${borrowing.said}`)));
        look();
      }),
  };
  child.stderr!.on('data', (bytes: Buffer) => {
    borrowing.said += bytes.toString();
    for (const look of listeners) look();
  });
  return borrowing;
}

const status = (vm: string): string =>
  spawnSync(...baton('status', '--socket', at(`${vm}.sock`)), { encoding: 'utf8' }).stdout;

/** Waits until the owner's driver works. */
async function untilHome(): Promise<void> {
  while (!/panel +android +\d+ +held/.test(status('android')))
    await new Promise((resolve) => setTimeout(resolve, 50));
  rmSync(hooks, { force: true });
}

/** The suite, with agents and command line of one engine. */
export function queueSuite(name: string, words: QueueWords): void {
  describe(name, () => {
    beforeAll(async () => {
      engine = words;
      spawnSync('sh', [join(ROOT, 'docs/examples/bench.sh'), bench]);
      addKiosk();
      const host = [join(ROOT, 'dist/baton-host.mjs'), '--config', at('host.json'), '--create-table'];
      started.spawn(process.execPath, host, { stdio: 'ignore' });
      for (const vm of ['android', 'vault', 'kiosk']) startAgent(vm);
      while (!['android', 'vault', 'kiosk'].every((vm) => existsSync(at(`${vm}.sock`))))
        await new Promise((resolve) => setTimeout(resolve, 20));
    }, LIMIT_MS);
    afterAll(async () => {
      await started.end(1_000);
      rmSync(folder, { recursive: true });
    });

    it(
      'who waits is told its place, and has the bundle when it comes back; the owner’s driver sleeps on',
      async () => {
        await untilHome();
        const first = borrow('vault', '--wait', '20s');
        await first.says('held at epoch');
        const second = borrow('kiosk', '--wait', '60s');
        await second.says('queued: next in turn, in');
        expect(status('kiosk')).toContain('queued: next in turn');
        expect(status('android')).toContain('waiting: kiosk');
        first.child.kill('SIGTERM');
        await second.says('held at epoch');
        expect(await first.ended).toBe(0);
        expect(readFileSync(hooks, 'utf8')).toBe('suspend\n');
        second.child.kill('SIGTERM');
        expect(await second.ended).toBe(0);
        while (readFileSync(hooks, 'utf8') !== 'suspend\nresume\n')
          await new Promise((resolve) => setTimeout(resolve, 20));
      },
      LIMIT_MS,
    );

    it(
      'one that does not want to wait ends with 75, and one whose turn does not come with 124',
      async () => {
        await untilHome();
        const first = borrow('vault', '--wait', '20s');
        await first.says('held at epoch');
        expect(await borrow('kiosk', '-n').ended).toBe(75);
        const late = borrow('kiosk', '--wait', '1500ms');
        expect(await late.ended).toBe(124);
        expect(late.said).toContain('queued: next in turn');
        expect(status('android')).not.toContain('waiting');
        first.child.kill('SIGTERM');
        await first.ended;
      },
      LIMIT_MS,
    );

    it(
      'an owner that starts anew has forgotten who waits; it asks again by itself',
      async () => {
        await untilHome();
        const first = borrow('vault', '--wait', '20s');
        await first.says('held at epoch');
        const second = borrow('kiosk', '--wait', '60s');
        await second.says('queued: next in turn');
        const gone = new Promise((resolve) => agents.get('android')!.once('exit', resolve));
        agents.get('android')!.kill('SIGKILL');
        await gone;
        startAgent('android');
        first.child.kill('SIGTERM');
        await second.says('held at epoch');
        second.child.kill('SIGTERM');
        expect(await second.ended).toBe(0);
      },
      LIMIT_MS,
    );

    it(
      'an unasked offer is taken by a borrow there',
      async () => {
        await untilHome();
        const offer = ['offer', 'panel', 'kiosk', '--reserve', '20s', '--socket', at('android.sock')];
        execFileSync(...baton(...offer), { stdio: 'pipe' });
        const taken = borrow('kiosk', '--wait', '20s');
        await taken.says('held at epoch');
        taken.child.kill('SIGTERM');
        expect(await taken.ended).toBe(0);
      },
      LIMIT_MS,
    );
  });
}
