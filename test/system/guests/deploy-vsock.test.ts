/**
 * The part of docs/DEPLOY.md about vsock, as it stands: its files, and its command lines of QEMU under real KVM in an
 * emulated machine, on the kernel's vhost_vsock. What is changed: the host stands outside that machine, at TCP ports
 * to which a relay in it leads.
 */

import { spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { emulatedWords, NETWORK, OUTER, sharedFolder } from '../../../targets/lab/testbed/emulated.ts';
import { cacheFolder, missingPrograms } from '../../../targets/lab/testbed/kvm-machine.ts';
import { compileForGuest } from '../../../targets/lab/testbed/linux-guests.ts';
import { Qemu } from '../../../targets/lab/testbed/qemu.ts';
import { run } from '../../../targets/lab/testbed/run.ts';
import { freePorts } from '../../edges/transport/worlds.ts';
import { paced } from '../../support/pace.ts';
import { deployBlocks } from '../deploy-blocks.ts';
import { runShell } from '../shell.ts';

const ROOT = join(import.meta.dirname, '../../..');
const AGENT = 'dist/quickjs/aarch64/baton-agent';
/** Longest life of the machine, in s: both guests are done after 15 s on a quiet machine. */
const LIFE_S = 90;
/** Longest run of the commands before, in ms: they compile nothing. */
const COMMANDS_MS = paced(30_000);

/** The owner has its bundle back, and uses it. */
const BACK = /confirmed bundle=clock holder=android epoch=3/;
/** Between two looks at what was said, in ms. */
const LOOK_MS = 100;

const missing =
  missingPrograms() ?? (existsSync(join(ROOT, AGENT)) ? undefined : 'needs npm run build:quickjs');
const folder = mkdtempSync(join(tmpdir(), 'baton-deploy-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.skipIf(missing !== undefined)(
  `the QEMU lines of DEPLOY lend a device from guest to guest over vsock${missing ? `: ${missing}` : ''}`,
  { timeout: paced(300_000) },
  async () => {
    const cache = cacheFolder();
    const testbed = join(ROOT, 'targets/lab/testbed');
    run('/bin/bash', [join(testbed, 'prepare.sh'), cache]);
    run('/bin/bash', [join(testbed, 'prepare-guest-qemu.sh'), cache]);
    const place = await madeFiles();
    const share = sharedWith(place, cache, testbed);
    const ports = await freePorts(2);
    writeFileSync(
      join(share, 'relays'),
      ports.map((port, index) => `${7000 + index} ${3 + index}=${OUTER}:${port}\n`).join(''),
    );
    let host = readFileSync(join(place, 'made/host/host.json'), 'utf8');
    for (const [index, port] of ports.entries()) {
      expect(host).toContain(`"vsock:any:${7000 + index}"`);
      host = host.replace(`vsock:any:${7000 + index}`, `tcp:127.0.0.1:${port}`);
    }
    writeFileSync(join(place, 'made/host/host.json'), host);

    const { hostSaid, console } = await lent(place, cache, share);

    const vault = lineOf(console, 'vault');
    expect(vault, `${console}\n${hostSaid}`).toContain('vault: rtc-pl031 9010000.pl031 while it holds');
    expect(vault).toMatch(/held at epoch 2 [\s\S]*while it holds[\s\S]*given back/);
    expect(vault).toContain('vault: borrow ended with 0, 0 clocks after');
    expect(lineOf(console, 'android')).toContain('lent to vault at epoch 2 ');
    expect(hostSaid).toMatch(BACK);
  },
);

/** Runs the commands of the page up to the first that starts something; returns the folder that they made. */
async function madeFiles(): Promise<string> {
  const commands = [...deployBlocks(/^[2-7]\. /, 'sh'), deployBlocks(/^Over vsock/, 'sh')[0]!];
  expect(commands).toHaveLength(7);
  // Nothing that goes on in the background: neither broker nor host nor guest of the part about MQTT.
  const script = commands.join('\n').replace(/^(mosquitto|node|sh) .* &$/gm, '');
  const { status, output } = await runShell(script, {
    cwd: ROOT,
    env: { TMPDIR: folder },
    limitMs: COMMANDS_MS,
  });
  expect(status, output).toBe(0);
  return join(folder, readdirSync(folder)[0]!);
}

/** The folder that the machine shares, with the page's command for each guest. */
function sharedWith(place: string, cache: string, testbed: string): string {
  const share = join(place, 'share');
  mkdirSync(join(share, 'guests'), { recursive: true });
  copyFileSync(join(testbed, 'l1-qemu.sh'), join(share, 'run.sh'));
  copyFileSync(join(cache, 'vmlinuz'), join(share, 'Image'));
  copyFileSync(join(place, 'files.cpio'), join(share, 'files.cpio'));
  compileForGuest(ROOT, 'vsock-relay', join(share, 'vsock-relay'));
  let command = readFileSync(join(place, 'guest.sh'), 'utf8');
  for (const [from, to] of [
    [join(cache, 'vmlinuz'), '/tmp/Image'],
    [join(place, 'files.cpio'), '/tmp/files.cpio'],
    // The machine's busybox has another one; that the machine ends, somebody else sees to.
    ['timeout --foreground 600 ', ''],
  ] as const) {
    expect(command).toContain(from);
    command = command.replace(from, to);
  }
  const starts = deployBlocks(/^Over vsock/, 'sh')[1]!.matchAll(/guest\.sh" (\w+) (\d+)/g);
  const guests = [...starts].map(([, vm, cid]) => [vm!, cid!] as const);
  expect(guests).toEqual([
    ['android', '3'],
    ['vault', '4'],
  ]);
  for (const [vm, cid] of guests) writeFileSync(join(share, 'guests', vm), `set -- ${vm} ${cid}\n${command}`);
  return share;
}

/** Runs host and machine until the borrower's guest is done. */
async function lent(
  place: string,
  cache: string,
  share: string,
): Promise<{ hostSaid: string; console: string }> {
  const config = ['--config', join(place, 'made/host/host.json'), '--create-table'];
  const host = spawn(process.execPath, [join(ROOT, 'dist/baton-host.mjs'), ...config]);
  let hostSaid = '';
  host.stderr.on('data', (bytes) => {
    hostSaid += bytes;
  });
  const log = join(place, 'l1.log');
  const words = [
    ...emulatedWords({ cache, share, console: log, memoryMib: 1024 }),
    ...sharedFolder('qemu', join(cache, 'qemu-arm64')),
    ...NETWORK,
  ];
  const qemu = new Qemu('qemu-system-aarch64', words, LIFE_S);
  const said = () => (existsSync(log) ? readFileSync(log, 'utf8').replaceAll('\r', '') : '');
  // The owner's guest goes on until somebody ends it; its last lines may wait in its serial line, so the host is asked.
  const isDone = () => /borrow ended with/.test(said()) && BACK.test(hostSaid);
  while (qemu.over === undefined && !isDone()) await new Promise((done) => setTimeout(done, LOOK_MS));
  await qemu.end();
  host.kill('SIGTERM');
  return { hostSaid, console: said() };
}

/** What one guest printed. */
function lineOf(console: string, vm: string): string {
  return console
    .split('\n')
    .filter((line) => line.startsWith(`${vm}: `))
    .map((line) => line.slice(vm.length + 2))
    .join('\n');
}
