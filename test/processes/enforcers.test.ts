/**
 * Enforcers that a configuration names, from the built bundles: `trusted-touch` with drivers that do at once what they
 * are told (files in place of their attributes; test/edges/hooks has drivers with defects), and `qmp` without a QEMU.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { bundleFileText } from '../../src/config/bundle-file.ts';
import { PANEL } from '../../targets/lab/machine/board.ts';
import { paced } from '../support/pace.ts';

const DIST = join(import.meta.dirname, '../../dist');
const BUNDLE = {
  ...PANEL,
  devices: PANEL.devices.slice(0, 1).map((device) => ({
    ...device,
    residualStates: [],
    resources: device.resources.filter(({ kind }) => kind !== 'stream'),
  })),
};

let folder: string;
let children: ChildProcess[];
const at = (name: string) => join(folder, name);
const write = (name: string, value: unknown) =>
  writeFileSync(at(name), typeof value === 'string' ? value : JSON.stringify(value), { mode: 0o600 });
/** What an attribute of a driver reads. */
const enabled = (vm: string) => readFileSync(at(`${vm}/trusted_touch_enable`), 'utf8');

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-back-'));
  children = [];
  write('bundles.json', bundleFileText([BUNDLE]));
  const [a, b, c] = ['a', 'b', 'c'].map((digit) => digit.repeat(64));
  write('host.keys.json', { android: a, vault: b });
  write('android.keys.json', { host: a, vault: c });
  write('vault.keys.json', { host: b, android: c });
  for (const vm of ['android', 'vault']) {
    mkdirSync(at(vm));
    write(`${vm}/trusted_touch_enable`, '0');
    write(`${vm}/trusted_touch_event`, '0');
    const steps = [{ kind: 'trusted-touch', device: at(vm) }];
    write(`${vm}.json`, {
      vm,
      bundles: 'bundles.json',
      keys: `${vm}.keys.json`,
      transport: { kind: 'stream', address: `unix:${at(`${vm}.stream`)}` },
      state: `${vm}-state`,
      control: `${vm}.sock`,
      hooks: { panel: { touch: { suspend: steps } } },
      ...(vm === 'android'
        ? { policy: { kind: 'list', allow: [{ bundle: 'panel', borrower: 'vault' }] } }
        : {}),
    });
  }
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

function configureHost(enforcer: object): void {
  write('host.json', {
    bundles: 'bundles.json',
    keys: 'host.keys.json',
    enforcer,
    transport: {
      kind: 'stream',
      listen: { android: `unix:${at('android.stream')}`, vault: `unix:${at('vault.stream')}` },
    },
    state: 'host-state',
    control: 'host.sock',
  });
}

/** A daemon and what it said. */
function start(program: 'host' | 'agent', name: string, ...args: string[]) {
  const file = join(DIST, `baton-${program}.mjs`);
  const child = spawn(process.execPath, [file, '--config', at(`${name}.json`), ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  children.push(child);
  const run = {
    child,
    err: '',
    ended: new Promise<number | null>((resolve) => child.once('close', resolve)),
    says: (text: string) =>
      expect.poll(() => run.err, { timeout: paced(8_000), interval: 10 }).toContain(text),
  };
  child.stderr!.on('data', (bytes: Buffer) => {
    run.err += bytes.toString();
  });
  return run;
}

/** `baton` with arguments: its status and all that it printed. */
function baton(...args: string[]): Promise<{ status: number; output: string }> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [join(DIST, 'baton.mjs'), ...args],
      { timeout: paced(15_000) },
      (error, output, errors) =>
        resolve({ status: error ? Number(error.code ?? -1) : 0, output: output + errors }),
    );
    children.push(child);
  });
}

const borrow = (evidence: string, ...command: string[]) =>
  baton(
    ...['borrow', 'panel', '--wait', '10s', '--min-evidence', evidence],
    ...['--socket', at('vault.sock'), '--', ...command],
  );

it('trusted-touch lends by the attributes of both guests, and takes back', async () => {
  configureHost({ kind: 'trusted-touch', incarnations: { kind: 'fixed', vms: ['android', 'vault'] } });
  await start('host', 'host', '--create-table').says('serving');
  start('agent', 'android');
  await start('agent', 'vault').says('serving');
  const attributes = ['android', 'vault'].map((vm) => at(`${vm}/trusted_touch_enable`));
  const held = await borrow('asserted', 'cat', ...attributes);
  expect(held).toMatchObject({ status: 0, output: expect.stringContaining('11') });
  await expect
    .poll(() => [enabled('android'), enabled('vault')], { timeout: paced(8_000) })
    .toEqual(['0', '0']);
  const noted = JSON.parse(readFileSync(at('host-state/holders.json'), 'utf8'));
  expect(new Set(Object.values(noted.notes.panel))).toEqual(new Set(['android']));
  // There is no more evidence than somebody's word.
  expect((await borrow('observed', 'true')).status).not.toBe(0);
  expect(enabled('android')).toBe('0');
});

it('trusted-touch learns from a program that the borrower’s VM has ended', async () => {
  const hello = JSON.stringify({
    name: 'vms',
    kind: 'central',
    evidence: 'observed',
    machineBoot: 'b',
    running: ['android', 'vault'],
    capabilities: {
      forceRevoke: true,
      reset: true,
      faultReport: true,
    },
  });
  const ended = JSON.stringify({ running: ['android'], events: [{ kind: 'vmExited', vm: 'vault' }] });
  write(
    'vms',
    `#!/bin/sh
cd "${folder}"
read -r line
case $line in
  *hello*) echo '${hello}' ;;
  *poll*) if mv ended told 2>/dev/null; then echo '${ended}'; else echo '{}'; fi ;;
  *) echo "$line" >>asked; echo '{}' ;;
esac
`,
  );
  chmodSync(at('vms'), 0o700);
  configureHost({ kind: 'trusted-touch', incarnations: { kind: 'command', command: [at('vms')] } });
  await start('host', 'host', '--create-table').says('serving');
  start('agent', 'android');
  const vault = start('agent', 'vault');
  await vault.says('serving');
  void borrow('asserted', 'sleep', '20');
  await expect.poll(() => enabled('vault'), { timeout: paced(8_000) }).toBe('1');
  vault.child.kill('SIGKILL');
  write('ended', '');
  await expect.poll(() => enabled('android'), { timeout: paced(8_000) }).toBe('0');
  await expect.poll(() => readFileSync(at('asked'), 'utf8')).toContain('{"acknowledgeExit":"vault"}');
  // It is asked for nothing that is about bundles.
  expect(readFileSync(at('asked'), 'utf8')).not.toContain('panel');
});

it('qmp serves while no QEMU is there, listens for input from its own user alone, and ends when told', async () => {
  configureHost({
    kind: 'qmp',
    vms: { android: `unix:${at('a.qmp')}`, vault: `unix:${at('v.qmp')}` },
    inputs: { panel: `unix:${at('panel.input')}` },
  });
  const host = start('host', 'host', '--create-table');
  await host.says('serving');
  await host.says('no QMP');
  expect(statSync(at('panel.input')).mode & 0o777).toBe(0o600);
  const { output } = await baton('status', '--socket', at('host.sock'));
  expect(output).toContain('parked');
  host.child.kill('SIGTERM');
  expect(await host.ended).toBe(0);
});

it('trusted-touch refuses what it cannot keep, before anything starts', async () => {
  write('bundles.json', bundleFileText([PANEL]));
  configureHost({ kind: 'trusted-touch', incarnations: { kind: 'fixed', vms: ['android', 'vault'] } });
  const host = start('host', 'host', '--create-table');
  expect(await host.ended).toBe(78);
  expect(host.err).toContain('trusted-touch moves no DMA, and panel has touch.stream0');
});
