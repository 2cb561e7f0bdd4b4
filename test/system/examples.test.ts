/** The examples in C and Python borrow a bundle over a real control socket, run a command, and give it back. */

import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AgentControl } from '../../src/drivers/control/agent-control.ts';
import { ANDROID, PANEL, VAULT } from '../../targets/lab/machine/board.ts';
import { SimulatedMachine } from '../../targets/lab/machine/machine.ts';
import { STREAMS } from '../../targets/node/net/streams.ts';
import { paced } from '../support/pace.ts';
import { UnisolatedWorld } from '../support/unisolated-world.ts';

const EXAMPLES = fileURLToPath(new URL('../../docs/examples/', import.meta.url));
const VMS = [ANDROID, VAULT];
const folder = mkdtempSync(join(tmpdir(), 'baton-examples-'));
const socket = join(folder, 'agent.sock');
const machine = new SimulatedMachine({ vms: VMS, bundles: [PANEL], seed: 1, sabotages: [] });
const world = new UnisolatedWorld(VMS, [PANEL], () => machine.enforcer());
let stopListening = () => {};
let pacer: NodeJS.Timeout;

/** Serves the agent of vault on a socket file; virtual time goes on with real time. */
function serve(at: UnisolatedWorld, path: string): Promise<void> {
  const control = new AgentControl(at.agents.get(VAULT)!, at.log('control'), at.clock);
  return new Promise((resolve, reject) => {
    stopListening = STREAMS.listen(
      `unix:${path}`,
      (stream) => control.accept(stream),
      (error) => (error ? reject(error) : resolve()),
    );
  });
}

/** Runs a program to its end. */
function run(program: string, args: readonly string[]): Promise<{ status: number; output: string }> {
  return new Promise((resolve) => {
    execFile(program, [...args], (error, output, errors) => {
      resolve({
        status: typeof error?.code === 'number' ? error.code : error ? -1 : 0,
        output: output + errors,
      });
    });
  });
}

function need(program: string): void {
  if (spawnSync(program, ['--version']).status !== 0)
    throw new Error(`this test needs ${program}, which is not installed; .ci/run installs it`);
}

beforeAll(async () => {
  world.startHost();
  world.startAgent(ANDROID, 'active');
  world.startAgent(VAULT, 'suspended');
  world.clock.advance(1_500);
  await serve(world, socket);
  pacer = setInterval(() => {
    machine.tick(8);
    world.clock.advance(5);
  }, 5);
});

afterAll(() => {
  clearInterval(pacer);
  stopListening();
  rmSync(folder, { recursive: true });
});

const back = () =>
  expect
    .poll(() => world.host.views()[0], { timeout: paced(5_000) })
    .toMatchObject({ state: 'held', holder: ANDROID });

test('borrow.py', async () => {
  need('python3');
  const seen = join(folder, 'seen');
  const script = join(EXAMPLES, 'borrow.py');
  const { status, output } = await run('python3', [script, socket, PANEL.id, 'touch', seen]);
  expect(output).toMatch(/^panel: held at epoch \d+\n$/);
  expect(status).toBe(0);
  await back();
});

test('borrow.py says why it got nothing', async () => {
  need('python3');
  const { status, output } = await run('python3', [join(EXAMPLES, 'borrow.py'), socket, 'nosuch', 'true']);
  expect(output).toContain('no bundle "nosuch"');
  expect(status).toBe(1);
});

test('borrow.c', async () => {
  need('cc');
  const program = join(folder, 'borrow');
  const built = await run('cc', ['-Wall', '-Wextra', '-Werror', '-o', program, join(EXAMPLES, 'borrow.c')]);
  expect(built.output).toBe('');
  const { status, output } = await run(program, [socket, PANEL.id, 'echo the command runs']);
  expect(output).toBe('panel: held\nthe command runs\n');
  expect(status).toBe(0);
  await back();
});

test('borrow.c and borrow.py say that the agent ended before it answered', async () => {
  const path = join(folder, 'ended.sock');
  const server = createServer((connection) => connection.once('data', () => connection.destroy()));
  await new Promise<void>((listening) => server.listen(path, () => listening()));
  const c = await run(join(folder, 'borrow'), [path, PANEL.id, 'true']);
  const py = await run('python3', [join(EXAMPLES, 'borrow.py'), path, PANEL.id, 'true']);
  server.close();
  expect(c).toEqual({ status: 69, output: 'the agent ended\n' });
  expect(py).toEqual({ status: 1, output: 'panel: the agent ended\n' });
});
