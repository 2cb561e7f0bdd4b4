/** Programs that are run once: an enforcer's executable and a policy that end badly, or leave something behind. */

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { PolicyDecision } from '../../src/core/agent/agent-io.ts';
import type { LineAnswer } from '../../src/edges/enforcer/kinds/command/command-enforcer.ts';
import { programPolicy } from '../../targets/node/agent/program-policy.ts';
import type { EnforcerLock } from '../../targets/node/host/enforcer-lock.ts';
import { runLineCommand } from '../../targets/node/host/run-line.ts';
import { paced } from '../support/pace.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-run-'));
});
afterEach(() => {
  const pid = existsSync(join(folder, 'pid')) ? Number(readFileSync(join(folder, 'pid'), 'utf8')) : 0;
  if (pid > 0 && isAlive(pid)) process.kill(pid, 'SIGKILL');
  rmSync(folder, { recursive: true });
});

const QUESTION = {
  bundle: 'panel',
  borrower: 'vault',
  purpose: 'pin',
  leaseMs: 1,
  minHoldMs: 0,
  noticeMs: 0,
} as never;

/** Runs a shell script as an enforcer, with the answer and how long it took. */
async function line(script: string, limitMs: number): Promise<LineAnswer & { tookMs: number }> {
  const startedMs = performance.now();
  const run = runLineCommand(['sh', '-c', script], limitMs);
  const answer = await new Promise<LineAnswer>((done) => run('{"poll":1}', done));
  return { ...answer, tookMs: performance.now() - startedMs };
}

function decide(command: readonly string[], limitMs?: number): Promise<PolicyDecision> {
  return new Promise((done) => programPolicy(command, limitMs)(QUESTION, done));
}

/** What is only not asked for by its parent is not alive. */
function isAlive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}

test('a daemon that keeps the output of an executable open holds up no answer', async () => {
  const answer = await line(`setsid sleep 20 & echo $! > ${folder}/pid; echo '{}'`, 5_000);
  expect(answer).toMatchObject({ ok: true, line: '{}' });
  expect(answer.tookMs).toBeLessThan(paced(4_000));
});

test('an executable that hangs is answered for at its deadline, by its name', async () => {
  const answer = await line(`setsid sleep 20 & echo $! > ${folder}/pid; sleep 20`, 200);
  expect(answer).toMatchObject({ ok: false, error: 'sh: no answer within 200 ms' });
});

test('an executable that fails is named, with what it said', async () => {
  expect(await line('echo no such VM >&2; exit 3', 5_000)).toMatchObject({
    ok: false,
    error: 'sh: status 3: no such VM',
  });
  const run = runLineCommand(['/no/such/program'], 5_000);
  const answer = await new Promise<LineAnswer>((done) => run('{}', done));
  expect(answer).toMatchObject({ ok: false, error: expect.stringContaining('/no/such/program') });
});

test('after a run that could not be ended, an enforcer is asked nothing more', async () => {
  const asked: string[] = [];
  const run = runLineCommand(['enforcer'], 100, undefined, ({ input }, done) => {
    asked.push(input);
    done({ ok: false, error: 'enforcer: a run of it cannot be ended', lives: true });
    return () => {};
  });
  const answers: LineAnswer[] = [];
  for (const line of ['1', '2']) run(line, (answer) => answers.push(answer));
  expect(asked).toEqual(['1\n']);
  const error = 'enforcer: a run of it cannot be ended; restart the host when it is gone';
  expect(answers).toEqual([
    { ok: false, error },
    { ok: false, error },
  ]);
});

test('a program whose process group cannot be written down gets no input', async () => {
  const note = {
    begin: () => {
      throw new Error('EIO');
    },
  };
  const lock = { lock: { fd: 2 }, note } as unknown as EnforcerLock;
  const run = runLineCommand(['sh', '-c', `read line && echo $line >${folder}/acted`], 5_000, lock);
  const answer = await new Promise<LineAnswer>((done) => run('grant', done));
  expect(answer).toMatchObject({ ok: false, error: 'sh: EIO' });
  expect(existsSync(join(folder, 'acted'))).toBe(false);
});

test('a policy program without a name declines', async () => {
  expect(await decide([''])).toMatchObject({
    allow: false,
    detail: 'the policy program did not answer',
  });
});

test('a policy program that hangs declines, and nothing of it is left', async () => {
  const script = `sleep 20 & echo $! > ${folder}/pid; wait`;
  expect(await decide(['sh', '-c', script], 200)).toMatchObject({
    allow: false,
    detail: 'the policy program did not answer',
  });
  expect(isAlive(Number(readFileSync(join(folder, 'pid'), 'utf8')))).toBe(false);
});

test('a policy decides the newest question about a bundle, by one program at a time, others beside it', async () => {
  const lines = [
    `echo start >>${folder}/starts`,
    'read -r question',
    'case "$question" in *patience*) sleep 15;; esac',
    'echo \'{"allow":true}\'',
  ];
  const policy = programPolicy(['sh', '-c', lines.join('\n')], 18_000);
  const ask = (bundle: string, purpose: string) =>
    new Promise<PolicyDecision>((done) =>
      policy({ ...(QUESTION as object), bundle, purpose } as never, done),
    );
  const startedMs = performance.now();
  let answers = 0;
  for (let i = 0; i < 50; i++) void ask('panel', 'patience').then(() => (answers += 1));
  expect(await ask('camera', 'pin')).toEqual({ allow: true });
  expect(await ask('panel', 'pin')).toEqual({ allow: true });
  expect(await ask('panel', 'pin')).toEqual({ allow: true });
  expect(performance.now() - startedMs).toBeLessThan(paced(10_000));
  expect(answers).toBe(0);
  // The first and the last of the 50, and the three; one that was superseded may have been ended before it said so.
  expect(readFileSync(join(folder, 'starts'), 'utf8').length).toBeLessThanOrEqual(5 * 'start\n'.length);
});

test('why a policy program failed is for the owner alone: no path and no word of it goes to the borrower', async () => {
  const errors: string[] = [];
  const program = join(folder, 'no-such-policy');
  for (const command of [[program], ['sh', '-c', `echo see ${folder}/list >&2; exit 1`]]) {
    const decision = await new Promise<PolicyDecision>((done) =>
      programPolicy(command, 2_000, (error) => errors.push(error))(QUESTION, done),
    );
    expect(JSON.stringify(decision)).not.toContain(folder);
    expect(decision).toMatchObject({ allow: false, detail: 'the policy program did not answer' });
  }
  expect(errors).toEqual([
    expect.stringContaining(program),
    expect.stringContaining(`status 1: see ${folder}/list`),
  ]);
});

test('a policy program decides', async () => {
  expect(await decide(['sh', '-c', 'read q; echo \'{"allow":true}\''])).toEqual({ allow: true });
});
