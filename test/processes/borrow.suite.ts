/**
 * `baton borrow` as a user runs it: every exit status of its help, and every way in which its command ends. Host,
 * simulated machine, broker and both agents are real processes, shared by all tests of a file.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Json } from '../../src/common/lines.ts';
import { type Cast, DemoTestbed } from '../../targets/lab/demo/demo-testbed.ts';
import { paced } from '../support/pace.ts';

const DIST = join(import.meta.dirname, '../../dist');
const STEP_MS = paced(6_000);

/** `cast`: which agents, over what; `baton`: the words that call the command line. */
export function borrowSuite(name: string, cast: Cast, baton: readonly string[]): void {
  const testbed = new DemoTestbed(DIST, cast);
  const started: ChildProcess[] = [];
  beforeAll(() => testbed.start(5, { machine: [], host: [], vault: [] }));
  afterEach(() => testbed.until('the bundle is back', STEP_MS, isBack));
  afterAll(() => {
    for (const child of started) child.kill('SIGKILL');
    return testbed.stop();
  });

  const host = async () => ((await testbed.ask('host', { do: 'status' }))['bundles'] as Json[])[0]!;
  const stateOf = async (vm: string) =>
    ((await testbed.ask(vm, { do: 'status' }))['bundles'] as Json[])[0]!['state'];
  const isBack = async () =>
    (await host())['holder'] === 'android' &&
    (await stateOf('android')) === 'held' &&
    (await stateOf('vault')) === 'idle';

  interface Ended {
    readonly status: number | null;
    readonly signal: string | null;
    readonly out: string;
    readonly err: string;
  }

  /** One `baton` as a process. */
  class Run {
    readonly child: ChildProcess;
    readonly ended: Promise<Ended>;
    out = '';
    err = '';

    constructor(vm: string, args: readonly string[]) {
      const [verb = '', ...rest] = args;
      const about = verb === 'sleep' || verb === 'wake' ? [] : ['panel'];
      const own = [verb, ...about, '--socket', join(testbed.folder, `${vm}.sock`), ...rest];
      const [program = '', ...words] = [...baton, ...own];
      this.child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] });
      started.push(this.child);
      this.child.stdout!.on('data', (bytes: Buffer) => {
        this.out += bytes.toString();
      });
      this.child.stderr!.on('data', (bytes: Buffer) => {
        this.err += bytes.toString();
      });
      this.ended = new Promise((resolve) =>
        this.child.once('close', (status, signal) =>
          resolve({ status, signal, out: this.out, err: this.err }),
        ),
      );
    }

    /** Waits until `text` was printed. */
    says(text: string): Promise<void> {
      return testbed.until(`${text} is printed, not ${this.out}${this.err}`, STEP_MS, () =>
        `${this.out}${this.err}`.includes(text),
      );
    }
  }

  /** Has the owner not hear what the borrower asks, or hear it. */
  async function silence(isSilent: boolean): Promise<void> {
    if (cast.transport === 'mqtt')
      await testbed.broker(
        isSilent ? { hold: 'baton/machine/android/in/vault' } : { pass: true, deliver: true },
      );
    else process.kill(testbed.agentOf('android'), isSilent ? 'SIGSTOP' : 'SIGCONT');
  }

  const borrow = (...args: string[]) => new Run('vault', ['borrow', '--purpose', 'pin', ...args]);
  const SH = (script: string) => ['--', '/bin/sh', '-c', script];
  /** A command that leaves a mark when it starts, and whether it did. */
  const mark = join(testbed.folder, 'mark');
  const MARKS = SH(`touch ${mark}`);
  /** Says that it runs, then heeds no SIGTERM but says that there was one. */
  const STUBBORN = SH('trap "echo TERM" TERM; echo runs; while :; do sleep 0.05; done');

  describe.sequential(`baton borrow, ${name}`, () => {
    it('runs the command while the bundle is held on verified evidence, and ends with its status', async () => {
      const look = `${baton.join(' ')} describe panel --json --socket ${join(testbed.folder, 'vault.sock')}`;
      const script = `echo "$BATON_BUNDLE $BATON_EPOCH $BATON_DEADLINE_MS"; ${look}; exit 7`;
      const { status, out, err } = await borrow('--lease', '9s', ...SH(script)).ended;
      const [environment, view] = out.split('\n');
      const { epoch, ...seen } = JSON.parse(view!) as Json;
      expect(environment).toBe(`panel ${epoch} 9000`);
      expect(seen).toMatchObject({
        state: 'held',
        holder: 'vault',
        driver: 'active',
        evidence: 'observed',
      });
      expect(err).toContain('panel: given back');
      expect(status).toBe(7);
    });

    it('ends with 128 + N when signal N ended the command, and with 127 when there is none', async () => {
      expect(await borrow(...SH('kill -9 $$')).ended).toMatchObject({ status: 137 });
      expect(await borrow('--', '/no/such/program').ended).toMatchObject({ status: 127 });
    });

    it('ends with 75, its command never started, when the policy declines', async () => {
      const ended = await new Run('vault', ['borrow', '--purpose', 'browse', ...MARKS]).ended;
      expect(ended).toMatchObject({ status: 75, err: expect.stringContaining('declined: policy') });
      expect(existsSync(mark)).toBe(false);
    });

    it('of a busy bundle: waits with -w, ends with 124 when the wait is over, with 75 at once with -n', async () => {
      const holding = borrow();
      await holding.says('held at epoch');
      expect(await borrow('-n', ...MARKS).ended).toMatchObject({ status: 75 });
      expect(await borrow('-w', '300ms', ...MARKS).ended).toMatchObject({ status: 124 });
      expect(existsSync(mark)).toBe(false);
      const waiting = borrow(...SH('echo after'));
      // Long enough for a program to start and to ask in vain.
      await new Promise((resolve) => setTimeout(resolve, 400));
      expect(waiting.out).toBe('');
      holding.child.kill('SIGTERM');
      expect(await holding.ended).toMatchObject({ status: 0 });
      expect(await waiting.ended).toMatchObject({ status: 0, out: 'after\n' });
    });

    it('ends with 124, its command never started, when the owner does not answer', async () => {
      await silence(true);
      const ended = await borrow('-w', '400ms', ...MARKS).ended;
      await silence(false);
      expect(ended).toMatchObject({ status: 124, err: expect.stringContaining('did not answer in time') });
      expect(existsSync(mark)).toBe(false);
    });

    it('ends with 80 at once, its command never started, when the evidence would be too weak', async () => {
      const startMs = performance.now();
      const ended = await borrow('--min-evidence', 'attested', ...MARKS).ended;
      expect(ended).toMatchObject({ status: 80, err: expect.stringContaining('evidenceTooWeak') });
      expect(performance.now() - startMs).toBeLessThan(paced(3_000));
      expect(existsSync(mark)).toBe(false);
    });

    it('on a recall sends SIGTERM, and SIGKILL at the end of the notice', async () => {
      const run = borrow(...STUBBORN);
      await run.says('runs');
      const startMs = performance.now();
      expect(await new Run('android', ['recall', '--grace', '700ms']).ended).toMatchObject({ status: 0 });
      await run.says('TERM');
      expect(await run.ended).toMatchObject({ status: 137 });
      expect(performance.now() - startMs).toBeGreaterThanOrEqual(700);
      expect(run.err).toContain('to be given back within 700 ms (reclaim: the owner reclaimed it)');
    });

    it('on a hang-up ends its command and what that started', async () => {
      const nested = borrow(...SH('sh -c "while :; do echo lives; sleep 0.05; done" & wait'));
      await nested.says('lives');
      nested.child.kill('SIGHUP');
      // The output is closed by the last one who can write to it.
      expect(await nested.ended).toMatchObject({ status: 143, err: expect.stringContaining('given back') });
    });

    // In a group of its own, and deaf to SIGTERM, as `timeout` and a job of an interactive shell have groups of their
    // own.
    const DEAF = (file: string) =>
      `(trap "" TERM; exec setsid sh -c 'echo $$ >${file}; while :; do sleep 0.05; done') </dev/null >/dev/null 2>&1 &`;
    const background = join(testbed.folder, 'background');
    const inGroup = join(testbed.folder, 'in-group');
    const BOTH = `${DEAF(background)} (trap "" TERM; echo $BASHPID; exec sleep 40) >/dev/null 2>&1 &
      echo $! >${inGroup};
      while ! [ -s ${background} ]; do sleep 0.02; done;`;
    const lives = (file: string) => {
      try {
        const stat = readFileSync(`/proc/${readFileSync(file, 'utf8').trim()}/stat`, 'utf8');
        return !/\) [ZX] /.test(stat);
      } catch {
        return false;
      }
    };
    const noneIncarnations = () => !lives(background) && !lives(inGroup);

    it('ends what the command left behind, in whatever group or session, before the bundle goes back', async () => {
      rmSync(background, { force: true });
      const ended = await borrow(...SH(`${BOTH} exit 3`)).ended;
      expect(ended).toMatchObject({ status: 3 });
      expect([lives(background), lives(inGroup)]).toEqual([false, false]);
    });

    it('on a recall ends what the command started, when the command itself obeys', async () => {
      rmSync(background, { force: true });
      const run = borrow('--notice', '1s', ...SH(`${BOTH} trap "exit 0" TERM; echo runs; wait`));
      await run.says('runs');
      expect([lives(background), lives(inGroup)]).toEqual([true, true]);
      await new Run('android', ['recall', '--grace', '1s', '--force']).ended;
      expect(await run.ended).toMatchObject({ status: 0 });
      expect(noneIncarnations()).toBe(true);
    });

    it('killed by SIGKILL takes its command and what that started with it', async () => {
      rmSync(background, { force: true });
      const run = borrow(
        ...SH(`${BOTH} trap "" TERM; echo $$ >${mark}; echo runs; while :; do sleep 0.05; done`),
      );
      await run.says('runs');
      expect(lives(mark)).toBe(true);
      run.child.kill('SIGKILL');
      await testbed.until('nothing of the command lives', STEP_MS, () => noneIncarnations() && !lives(mark));
      rmSync(mark);
    });

    it('at a terminal lets the command read and be interrupted, and ends what it left behind', async () => {
      rmSync(background, { force: true });
      const line = [
        ...baton,
        'borrow',
        'panel',
        '--purpose',
        'pin',
        '--socket',
        join(testbed.folder, 'vault.sock'),
      ];
      const script =
        `${DEAF(background)} while ! [ -s ${background} ]; do sleep 0.02; done; ` +
        'read line; echo "got $line"; exec sleep 40';
      const quoted = [...line, ...SH(script)].map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
      const terminal = spawn('script', ['-qefc', quoted, '/dev/null'], { stdio: ['pipe', 'pipe', 'pipe'] });
      started.push(terminal);
      let out = '';
      terminal.stdout.on('data', (bytes: Buffer) => {
        out += bytes.toString();
      });
      const ended = new Promise((resolve) => terminal.once('exit', resolve));
      await testbed.until('it runs', STEP_MS, () => lives(background));
      terminal.stdin.write('1234\n');
      await testbed.until(`the line was read, not ${out}`, STEP_MS, () => out.includes('got 1234'));
      terminal.stdin.write('\x03');
      // 128 + SIGINT, or SIGTERM, which baton sends as well.
      expect([130, 143]).toContain(await ended);
      expect(lives(background)).toBe(false);
    });

    it('at the end of the lease gives the command its notice', async () => {
      const run = borrow(
        '--lease',
        '400ms',
        '--notice',
        '1s',
        ...SH('trap "exit 4" TERM; while :; do sleep 0.05; done'),
      );
      expect(await run.ended).toMatchObject({
        status: 4,
        err: expect.stringContaining('(expiry: the lease is over)'),
      });
    });

    it('ends with 79 when the bundle is taken by force', async () => {
      await testbed.ask('app-vault', { do: 'misbehave', how: 'slow' });
      const run = borrow('--lease', '300ms', '--notice', '100ms', ...STUBBORN);
      expect(await run.ended).toMatchObject({ status: 79, err: expect.stringContaining('taken by force') });
      await testbed.ask('app-vault', { do: 'behave' });
    });

    it('killed by SIGTERM ends its command, gives the bundle back and passes the status on', async () => {
      const run = borrow('--json', ...SH('trap "exit 5" TERM; echo runs; while :; do sleep 0.05; done'));
      await run.says('runs');
      run.child.kill('SIGTERM');
      const { status, out } = await run.ended;
      expect(status).toBe(5);
      const events = out.split('\n').filter((line) => line.startsWith('{'));
      expect(events.map((line) => (JSON.parse(line) as Json)['event'])).toEqual(['granted', 'returned']);
    });

    it('killed by SIGKILL leaves the bundle to its agent, which gives it back', async () => {
      const run = borrow();
      await run.says('held at epoch');
      run.child.kill('SIGKILL');
      expect(await run.ended).toMatchObject({ signal: 'SIGKILL' });
      await testbed.until('android has it', STEP_MS, isBack);
    });

    it('ends its command when another program returns the bundle', async () => {
      const run = borrow(...SH('echo runs; exec sleep 30'));
      await run.says('runs');
      expect(await new Run('vault', ['return']).ended).toMatchObject({ status: 0 });
      expect(await run.ended).toMatchObject({ status: 143 });
    });

    it('ends its command when the owner’s system wants to sleep, and is declined until it is awake', async () => {
      const run = borrow(...SH('trap "exit 3" TERM; echo runs; while :; do sleep 0.05; done'));
      await run.says('runs');
      expect(await new Run('android', ['sleep', '--grace', '2s']).ended).toMatchObject({ status: 0 });
      expect(await run.ended).toMatchObject({ status: 3 });
      expect(await borrow('-n', ...MARKS).ended).toMatchObject({ status: 75 });
      expect(await new Run('android', ['wake']).ended).toMatchObject({ status: 0 });
      expect(await borrow('-n', ...SH('echo lent')).ended).toMatchObject({ status: 0, out: 'lent\n' });
      expect(existsSync(mark)).toBe(false);
    });

    it('ends with 64 for a wrong word and 69 without an agent', async () => {
      expect(await borrow('--min-evidence', 'seen').ended).toMatchObject({ status: 64 });
      expect(await borrow('--lease', 'long').ended).toMatchObject({ status: 64 });
      expect(await new Run('nobody', ['borrow']).ended).toMatchObject({ status: 69 });
    });

    it('ends with 79, its command with SIGTERM, when the agent dies', async () => {
      const run = borrow(...SH('trap "echo TERM; exit 6" TERM; echo runs; while :; do sleep 0.05; done'));
      await run.says('runs');
      await testbed.ask('bench', { do: 'killVm', vm: 'vault' });
      const { status, out, err } = await run.ended;
      expect({ status, out }).toEqual({ status: 79, out: 'runs\nTERM\n' });
      expect(err).toContain('the agent ended');
      await testbed.startVm('vault' as never);
    });
  });
}
