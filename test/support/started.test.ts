/** Whatever a testbed starts is ended: when it is stopped, when its start fails midway, when the run is killed. */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { Parties } from '../../targets/lab/demo/parties.ts';
import { attempt } from '../../targets/node/system/processes.ts';
import { withEnvironment } from './midway/look.ts';
import { paced } from './pace.ts';

const ROOT = join(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'baton-started-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Longest wait for a run of vitest, and for its guardian after that, in ms. */
const RUN_MS = paced(20_000);
const GUARDIAN_MS = paced(5_000);

/** Runs the testbeds of midway/testbeds.ts of that name; what tells their processes from others comes back with it. */
function runTestbeds(testbed: string): { run: ChildProcess; token: string; file: string } {
  const file = join(folder, testbed);
  const token = `${testbed} ${process.pid}-${Math.random()} ${file}`;
  const words = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/support/midway/vitest.config.ts'];
  const env = { ...process.env, BATON_MIDWAY: token };
  return { run: spawn(process.execPath, words, { cwd: ROOT, env, stdio: 'ignore' }), token, file };
}

const over = (child: ChildProcess) =>
  new Promise<number | null>((resolve) => child.once('exit', (status) => resolve(status)));

async function until(limitMs: number, holds: () => boolean): Promise<void> {
  for (const endMs = performance.now() + limitMs; !holds() && performance.now() < endMs; )
    await new Promise((resolve) => setTimeout(resolve, 20));
}

it.each(['throws', 'late'])(
  'a testbed whose start fails midway leaves nothing: %s',
  async (testbed) => {
    const { run, token, file } = runTestbeds(testbed);
    expect(await over(run)).toBe(1);
    expect(withEnvironment(token)).toEqual([]);
    // As the file after it found it.
    expect(readFileSync(`${file}.after`, 'utf8')).toBe('[]');
  },
  RUN_MS,
);

it(
  'a run that is killed leaves nothing',
  async () => {
    const { run, token, file } = runTestbeds('hangs');
    await until(RUN_MS, () => existsSync(file));
    expect(withEnvironment(token).length).toBeGreaterThan(2);
    run.kill('SIGKILL');
    await over(run);
    await until(GUARDIAN_MS, () => withEnvironment(token).length === 0);
    expect(withEnvironment(token)).toEqual([]);
  },
  RUN_MS + GUARDIAN_MS,
);

it('every configuration of vitest ends what its tests start', async () => {
  interface Part {
    name?: string;
    globalSetup: string | string[];
    setupFiles: string;
  }
  const read = async (file: string) =>
    ((await import(join(ROOT, file))) as { default: { test: Part & { projects?: { test: Part }[] } } })
      .default;
  const { test } = await read('vitest.config.ts');
  const { test: mutants } = await read('test/mutants/vitest.config.ts');
  const parts = [...test.projects!.map((project) => project.test), mutants];
  expect(parts.length).toBeGreaterThan(5);
  for (const { name, globalSetup, setupFiles } of parts) {
    expect([globalSetup].flat(), name).toContain('test/support/ends-run.ts');
    expect(setupFiles, name).toBe('test/support/ends-file.ts');
  }
});

/** Its second program ends before it serves; the first has started another one, in a session of its own. */
class Midway extends Parties {
  readonly mark = `midway-${process.pid}-${Math.random()}`;

  async start(): Promise<void> {
    const another = `spawn('sh', ['-c', 'sleep 60; :', '${this.mark}'], { detached: true })`;
    const program = `require('child_process').${another}; setTimeout(() => {}, 60_000)`;
    this.spawnWords('first', [process.execPath, '-e', program]);
    await this.until('both run', 5_000, () => commandsWith(this.mark).length === 2);
    await this.startReady('no-such-program', []);
  }

  more(): void {
    this.spawnWords('more', ['sleep', '60']);
  }
}

function commandsWith(text: string): string[] {
  return readdirSync('/proc').filter(
    (name) =>
      /^\d+$/.test(name) &&
      attempt(() => readFileSync(`/proc/${name}/cmdline`, 'latin1'))?.includes(text) === true,
  );
}

it('a testbed that failed midway ends what it started, and what that started, and starts nothing more', async () => {
  const testbed = new Midway();
  await expect(testbed.start()).rejects.toThrow('no-such-program ended with status 1');
  expect(commandsWith(testbed.mark)).toHaveLength(2);
  await testbed.stop();
  expect(commandsWith(testbed.mark)).toEqual([]);
  expect(existsSync(testbed.folder)).toBe(false);
  expect(() => testbed.more()).toThrow('its testbed has been stopped');
});
