/**
 * docs/DEPLOY.md as it stands: its commands set up two emulated Linux guests with an agent each, a host and a broker,
 * and one borrows from the other. What is changed: the port of the broker, and the folder for temporary files.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it, test } from 'vitest';
import { AGENT_EXAMPLE, AGENT_SCHEMA } from '../../src/config/agent-config.ts';
import { HOST_EXAMPLE, HOST_SCHEMA } from '../../src/config/host-config.ts';
import { readConfig } from '../../src/config/read.ts';
import { freePorts } from '../edges/transport/worlds.ts';
import { paced } from '../support/pace.ts';
import { DEPLOY, deployBlocks } from './deploy-blocks.ts';
import { runShell } from './shell.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');
/**
 * Longest run of all commands, in ms: they take 10 s with a warm cache; the first time, a kernel is fetched and
 * unpacked.
 */
const RUN_MS = paced(120_000);

const folder = mkdtempSync(join(tmpdir(), 'baton-deploy-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('the commands of DEPLOY lend a device from guest to guest', { timeout: RUN_MS + 5_000 }, async () => {
  const agent = 'dist/quickjs/aarch64/baton-agent-mqtt';
  if (!existsSync(join(ROOT, agent))) throw new Error(`no ${agent}: npm run build:quickjs makes it`);
  const commands = deployBlocks(/^[2-8]\. /, 'sh');
  expect(commands).toHaveLength(7);
  const script = commands.join('\n');
  expect(script.split('port=1883 ')).toHaveLength(2);
  const [port] = await freePorts(1);

  const { status, output } = await runShell(script.replace('port=1883 ', `port=${port} `), {
    cwd: ROOT,
    env: { TMPDIR: folder },
    limitMs: RUN_MS,
  });

  const [made] = readdirSync(folder);
  const log = (name: string) => {
    const file = join(folder, made!, name);
    // Not there when the commands did not come so far.
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  };
  const all = `${output}\n${['android', 'host', 'broker'].map((name) => log(`${name}.log`)).join('\n')}`;
  expect(status, all).toBe(0);
  // What the page says that one sees.
  const [shown] = deployBlocks(/^8\. /, 'text');
  for (const line of shown!.trim().split('\n')) expect(output, all).toContain(line);
  // In this order: the owner let go before the borrower had it, and has it again after that.
  const owner = log('android.log');
  expect(owner).toMatch(/lent to vault at epoch 2 [\s\S]*resumed at epoch 3 /);
  expect(output).toMatch(/granted at epoch 2 [\s\S]*while it holds[\s\S]*given back/);
  expect(output).toMatch(/^clock +android +3 +held +.*NO ISOLATION/m);
});

it.each(deployBlocks(/./, 'sh'))('%s is in the language of the shell', (block) => {
  const { status, stderr } = spawnSync('bash', ['-n', '-c', block], { encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(status).toBe(0);
});

it('builds by commands that there are', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const named = [...DEPLOY.matchAll(/npm run ([a-z:]+)/g)].map(([, name]) => name!);
  expect(named.length).toBeGreaterThan(2);
  expect(named.filter((name) => !(name in scripts))).toEqual([]);
  for (const [, project] of DEPLOY.matchAll(/vitest run --project (\w+)/g))
    expect(read('vitest.config.ts')).toContain(`name: '${project}'`);
});

it.each(deployBlocks(/^Over vsock/, 'json'))('%s is a transport that the program takes', (block) => {
  const { transport } = JSON.parse(block) as { transport: { listen?: unknown } };
  const [schema, example] = transport.listen
    ? ([HOST_SCHEMA, HOST_EXAMPLE] as const)
    : ([AGENT_SCHEMA, AGENT_EXAMPLE] as const);
  const text = example.replace(/^ {2}"transport": .*$/m, `  "transport": ${JSON.stringify(transport)},`);
  expect(readConfig(schema, 'DEPLOY.md', text).transport).toEqual(transport);
});
