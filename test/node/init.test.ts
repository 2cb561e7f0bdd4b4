/** `baton init` as a person calls it: the daemons take what it writes, and after a refusal nothing is left. */

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bundleFileText, readBundleFile } from '../../src/config/bundle-file.ts';
import { PANEL } from '../../targets/lab/machine/board.ts';
import { statusOf } from '../../targets/node/cli/cli.ts';
import { CHECK_CONFIG } from '../../targets/node/cli/verbs/check-config.ts';
import { INIT } from '../../targets/node/cli/verbs/init.ts';
import type { FileWorld } from '../../targets/node/cli/world.ts';
import { FILES } from '../../targets/node/config/sound-config.ts';
import { BOARD } from '../planner/board.ts';
import { blobOf } from '../planner/builder.ts';

let folder: string;
const at = (...names: string[]) => join(folder, ...names);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton init-'));
  writeFileSync(at('bundles.json'), `// ours\n${bundleFileText([PANEL])}`);
});
afterEach(() => rmSync(folder, { recursive: true }));

async function run(words: readonly string[], more: Partial<FileWorld> = {}) {
  const out: string[] = [];
  const err: string[] = [];
  const world = {
    ...FILES,
    env: {},
    onSignal: () => () => {},
    out: (line: string) => out.push(line),
    err: (line: string) => err.push(line),
    ...more,
  } as unknown as FileWorld;
  const status = await statusOf({ init: INIT, 'check-config': CHECK_CONFIG }, words, world);
  return { status, out: out.join('\n'), err: err.join('\n') };
}

/** A program of that name that does `script`; the folder for PATH. */
function programs(name: string, script: string): Partial<FileWorld> {
  mkdirSync(at('bin'));
  writeFileSync(at('bin', name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return { programFolders: [at('bin')] };
}

const init = (...words: string[]) => ['init', '--bundles', at('bundles.json'), ...words];
const PARTIES = ['--vm', 'android', '--vm', 'vault', '--enforcer', 'none'];
const setup = (...words: string[]) => init(...PARTIES, '--out', at('new'), ...words);

function filesBelow(path: string): string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(path, join(entry.parentPath, entry.name)))
    .sort();
}
const keysOf = (party: string) =>
  JSON.parse(readFileSync(at('new', party, `${party}.keys.json`), 'utf8')) as Record<string, string>;

describe('what it wrote', () => {
  it.each([
    ['vsock', ['--transport', 'vsock']],
    ['vsock from a port on, and a name', ['--transport', 'vsock:9000', '--machine', 'm7']],
    ['tcp', ['--transport', 'tcp:192.168.7.1:7001']],
    ['tcp over IPv6', ['--transport', 'tcp:[fd00::7]:7001']],
    ['tcp on this machine', ['--transport', 'tcp:127.0.0.1:7001']],
    ['unix', ['--transport', 'unix']],
    ['a broker', ['--transport', 'mqtt://192.168.7.1', '--machine', 'm7']],
    ['a broker of this machine', ['--transport', 'mqtt://127.0.0.1:1884']],
    ['a broker behind a socket', ['--transport', 'mqtt+unix:///run/mosquitto/baton.sock']],
    ['three VMs', ['--vm', 'third']],
    ['an enforcer behind a socket', ['--enforcer', 'kvm:unix:/run/baton-kvm.sock']],
    ['a program as enforcer', ['--enforcer', 'command:/bin/true']],
  ])('is sound for every party, with %s', async (_, words) => {
    expect(await run(setup(...words))).toMatchObject({ status: 0, err: '' });
    const configs = filesBelow(at('new')).filter((name) => name.endsWith('.json'));
    expect(configs.length).toBeGreaterThanOrEqual(9);
    const checked = await run(['check-config', ...configs.map((name) => at('new', name))]);
    expect(checked).toMatchObject({ status: 0 });
    // The hooks alone are left to do.
    for (const line of checked.out.split('\n'))
      expect(line).toMatch(/: a sound |: warning: no hooks for panel\.touch, panel\.display: /);
  });

  it('is for the others only what they need, and their secrets for them alone', async () => {
    expect((await run(setup('--vm', 'third', '--transport', 'mqtt://192.168.7.1'))).status).toBe(0);
    expect(Object.keys(keysOf('host'))).toEqual(['android', 'vault', 'third']);
    expect(Object.keys(keysOf('android'))).toEqual(['host', 'vault', 'third']);
    expect(Object.keys(keysOf('vault'))).toEqual(['host', 'android']);
    expect(keysOf('android')['vault']).toBe(keysOf('vault')['android']);
    expect(keysOf('android')['host']).toBe(keysOf('host')['android']);
    const all = ['host', 'android', 'vault', 'third'].flatMap((party) => Object.values(keysOf(party)));
    expect(new Set(all).size).toBe(5);
    const open = filesBelow(at('new')).filter((name) => (statSync(at('new', name)).mode & 0o077) !== 0);
    expect(open.filter((name) => /key|password/.test(name))).toEqual([]);
  });

  it('has the bundle file as it is, and the units as they are shipped', async () => {
    await run(setup());
    expect(readFileSync(at('new/vault/bundles.json'), 'utf8')).toBe(readFileSync(at('bundles.json'), 'utf8'));
    const shipped = join(import.meta.dirname, '../../targets/linux/systemd');
    for (const [file, unit] of [
      ['host/systemd/baton-host.service', 'baton-host.service'],
      ['host/systemd/native/baton-host.service.d/watchdog.conf', 'baton-host.service.d/watchdog.conf'],
      ['vault/systemd/baton-agent.service', 'baton-agent.service'],
      ['vault/systemd/node/baton-agent.service.d/node.conf', 'baton-agent.service.d/node.conf'],
      ['android/systemd/sleep/baton-sleep.service', 'baton-sleep.service'],
    ] as const)
      expect(readFileSync(at('new', file), 'utf8')).toBe(readFileSync(join(shipped, unit), 'utf8'));
    expect(existsSync(at('new/vault/systemd/sleep'))).toBe(false);
  });

  it('lets the broker listen where VMs reach it, for this machine alone, with hashed passwords', async () => {
    const hashes = programs('mosquitto_passwd', '[ "$1" = -U ] && sed -i "s/:.*/:hashed/" "$2"');
    const words = setup('--transport', 'mqtt://192.168.7.1:1884', '--machine', 'm7');
    expect(await run(words, hashes)).toMatchObject({ status: 0, err: '' });
    const read = (name: string) => readFileSync(at('new/host/mosquitto', name), 'utf8');
    expect(read('conf.d/baton.conf')).toMatch(/^listener 1884 192\.168\.7\.1$/m);
    expect(read('baton-acl')).toMatch(
      /^pattern write baton\/m7\/\+\/in\/%u\npattern read baton\/m7\/%u\/in\/\+$/m,
    );
    expect(read('baton-passwords')).toBe('host:hashed\nandroid:hashed\nvault:hashed\n');
  });

  it('says what to run where mosquitto_passwd is not there', async () => {
    const { out } = await run(setup('--transport', 'mqtt://192.168.7.1'), { programFolders: [] });
    expect(out).toContain(`  mosquitto_passwd -U '${at('new/host/mosquitto/baton-passwords')}'\n`);
    const users = readFileSync(at('new/host/mosquitto/baton-passwords'), 'utf8');
    expect(users).toBe(
      ['host', 'android', 'vault']
        .map((party) => `${party}:${readFileSync(at('new', party, `${party}.password`), 'utf8')}`)
        .join(''),
    );
  });

  it('is used where it is when all parties are on this machine, without units', async () => {
    const { out } = await run(setup('--transport', 'mqtt://127.0.0.1'));
    expect(out).toContain(`  cp -r '${at('new/host/mosquitto')}'/* /etc/mosquitto/ && chown mosquitto: `);
    expect(out).toContain(`  baton-agent --config '${at('new/vault/agent.json')}'\n`);
    expect(filesBelow(at('new')).filter((name) => name.includes('systemd'))).toEqual([]);
  });

  it.each(['', '--json'])('is not printed where it is secret %s', async (option) => {
    const words = setup('--transport', 'mqtt://192.168.7.1', ...(option ? [option] : []));
    const { out, err } = await run(words, { programFolders: [] });
    expect(`${out}${err}${readFileSync(at('new/README.txt'), 'utf8')}`).not.toMatch(/[0-9a-f]{32}/);
    if (option) expect(JSON.parse(out)).toMatchObject({ folder: at('new') });
  });

  it('is of a device tree when one is given, and of the first VM', async () => {
    writeFileSync(at('board.dtb'), blobOf(BOARD));
    const tree = ['--tree', at('board.dtb'), '--node', 'i2c0', '--name', 'bus', ...PARTIES];
    expect(await run(['init', ...tree, '--out', at('new')])).toMatchObject({ status: 0, err: '' });
    const [bundle] = readBundleFile('new', readFileSync(at('new/host/bundles.json'), 'utf8'));
    expect(bundle).toMatchObject({ id: 'bus', owner: 'android', devices: [{ id: 'i2c' }] });
    // The host lends what only a driver can clear when somebody says so.
    expect(readFileSync(at('new/host/host.json'), 'utf8')).toContain('// "acceptDriverResidualState": true,');
  });

  it('leaves VMs out that the bundle file knows and the command line does not, and says so', async () => {
    const parties = ['--vm', 'android', '--vm', 'third', '--enforcer', 'none'];
    const { status, err } = await run(init(...parties, '--out', at('new')));
    expect([status, err]).toEqual([
      0,
      `${at('bundles.json')}: has views of vault, which cannot take part: it is no --vm`,
    ]);
  });
});

describe('what it refuses', () => {
  const LONG = 'x'.repeat(33);
  const broken = { ...PANEL, devices: [] };

  it.each<[string, string[], number, string]>([
    ['a word', ['bundles'], 64, 'init takes options alone: "bundles" is too much'],
    ['one VM', [], 64, ''],
    ['a VM twice', ['--vm', 'vault'], 64, '--vm vault stands twice: expected each VM once'],
    ['a name that is too long', ['--vm', LONG], 64, `--vm "${LONG}": expected a name: a to z first`],
    ['the name of the host', ['--vm', 'host'], 64, '--vm "host": reserved for the host and enforcers'],
    ['a path as a name', ['--vm', '../x'], 64, '--vm "../x": expected a name'],
    ['a machine of no name', ['--machine', 'M/x'], 64, '--machine "M/x": expected a name'],
    [
      'no such enforcer',
      ['--enforcer', 'xen'],
      64,
      '--enforcer xen: expected simulated:ADDRESS or kvm:ADDRESS',
    ],
    ['a larger enforcer', ['--enforcer', 'qmp'], 64, '--enforcer qmp: needs more than a word'],
    ['an enforcer without its address', ['--enforcer', 'kvm'], 64, '--enforcer kvm: expected kvm:ADDRESS'],
    ['a value too much', ['--enforcer', 'none:x'], 64, '--enforcer none:x: expected none'],
    ['no address', ['--enforcer', 'kvm:x'], 64, '--enforcer kvm:x: "x": expected unix:/path'],
    ['a relative socket', ['--enforcer', 'kvm:unix:x'], 64, 'expected the absolute path of a socket'],
    ['a relative program', ['--enforcer', 'command:./x'], 64, 'expected a whole path on the host'],
    ['no such transport', ['--transport', 'serial'], 64, '--transport serial: expected vsock[:PORT], tcp:'],
    [
      'a broker without its place',
      ['--transport', 'mqtt'],
      64,
      'expected the broker as host and VMs reach it',
    ],
    ['a broker everywhere', ['--transport', 'mqtt://0.0.0.0'], 64, '0.0.0.0 is every address of the host'],
    ['every address', ['--transport', 'tcp:[::]:7000'], 64, ':: is every address of the host'],
    [
      'a port beyond the last',
      ['--transport', 'tcp:10.0.0.1:65535'],
      64,
      'vault, the address tcp:10.0.0.1:65536',
    ],
    ['no port of vsock', ['--transport', 'vsock:4294967294'], 64, 'vault, the address vsock:any:4294967295'],
    [
      'a bundle file and a tree',
      ['--tree', 'live'],
      64,
      '--bundles and --tree: expected a bundle file or a tree',
    ],
    ['no bundle file', ['--bundles', 'nowhere.json'], 78, 'nowhere.json: no such file'],
  ])('%s', async (what, words, status, message) => {
    const given =
      what === 'one VM' ? init('--vm', 'android', '--enforcer', 'none', '--out', at('new')) : setup(...words);
    const refused = await run(given);
    expect(refused.status).toBe(status);
    expect(refused.err).toContain(message || 'two at least: one that lends, one that borrows');
    expect(readdirSync(folder)).toEqual(['bundles.json']);
  });

  it.each(['--bundles', '--vm', '--enforcer', '--out'])('a command line without %s', async (option) => {
    const words = setup();
    const left = words.filter((word, index) => word !== option && words[index - 1] !== option);
    const { status, err } = await run(left);
    expect([status, err]).toEqual([
      64,
      expect.stringContaining(`init takes ${option === '--vm' ? 'a --vm' : option}`),
    ]);
    expect(readdirSync(folder)).toEqual(['bundles.json']);
  });

  it('an owner that is no VM of the list', async () => {
    const { status, err } = await run(
      init('--vm', 'vault', '--vm', 'third', '--enforcer', 'none', '--out', at('new')),
    );
    expect(status).toBe(64);
    expect(err).toContain('the owner of panel is android, not vault and third: expected --vm android, too');
    expect(existsSync(at('new'))).toBe(false);
  });

  it.each([
    ['without a bundle', '{ "bundles": {} }', 'no bundle in it: expected one at least'],
    ['that is none', '{ "bundel": {} }', 'did you mean "bundles"?'],
    ['without a resource', bundleFileText([broken]), 'no resource: expected at least one in the bundle'],
  ])('a bundle file %s', async (_, text, message) => {
    writeFileSync(at('bundles.json'), text);
    const { status, err } = await run(setup());
    expect([status, err]).toEqual([78, expect.stringContaining(message)]);
    expect(existsSync(at('new'))).toBe(false);
  });

  it('a password in the address of the broker, without repeating it', async () => {
    const { status, err } = await run(setup('--transport', 'mqtt://me:hunter2@192.168.7.1'));
    expect([status, err]).toEqual([64, expect.stringContaining('expected "username" and "passwordFile"')]);
    expect(err).not.toContain('hunter2');
  });

  it('a path that is too long for sockets, before it writes anything', async () => {
    const { status, err } = await run(setup('--transport', 'unix', '--out', at('x'.repeat(90))));
    expect([status, err]).toEqual([
      64,
      expect.stringMatching(/at most 107 bytes in all; give a shorter --out/),
    ]);
    expect(readdirSync(folder)).toEqual(['bundles.json']);
  });

  it('a device that cannot move, and a tree that is none, with the statuses of plan', async () => {
    writeFileSync(at('board.dtb'), blobOf(BOARD));
    const tree = (file: string, ...nodes: string[]) =>
      run([
        'init',
        '--tree',
        file,
        ...nodes.flatMap((node) => ['--node', node]),
        ...PARTIES,
        '--out',
        at('new'),
      ]);
    const blocked = await tree(at('board.dtb'), 'touch@20');
    expect([blocked.status, blocked.err]).toEqual([
      1,
      expect.stringContaining(`baton plan '${at('board.dtb')}' touch@20`),
    ]);
    expect((await tree(at('bundles.json'), 'touch@20')).status).toBe(66);
    expect(await tree(at('board.dtb'))).toMatchObject({ status: 64 });
    const none = await tree(at('board.dtb'), 'tuch@20');
    expect([none.status, none.err]).toEqual([64, expect.stringContaining('no node is called tuch@20')]);
    expect(existsSync(at('new'))).toBe(false);
  });
});

describe('a folder', () => {
  it('that is there stays as it is, whatever it is', async () => {
    mkdirSync(at('empty'));
    mkdirSync(at('full'));
    writeFileSync(at('full/mine'), 'mine');
    writeFileSync(at('file'), 'mine');
    symlinkSync('nowhere', at('link'));
    for (const name of ['empty', 'full', 'file', 'link']) {
      const { status, err } = await run(setup('--out', at(name)));
      expect([status, err]).toEqual([
        78,
        expect.stringMatching(/: is already there, and nothing was written: /),
      ]);
    }
    expect(filesBelow(folder)).toEqual(['bundles.json', 'file', 'full/mine']);
    // A second run is the usual case.
    expect((await run(setup())).status).toBe(0);
    const before = keysOf('host');
    expect((await run(setup())).status).toBe(78);
    expect(keysOf('host')).toEqual(before);
  });

  it('that cannot be made is named, with the reason', async () => {
    writeFileSync(at('file'), '');
    for (const [place, why] of [
      [at('no/new'), `there is no folder ${at('no')}: make it first`],
      [at('file/new'), 'a part of it is no folder'],
      [at('x'.repeat(300)), 'the name is too long'],
      ['/proc/new', 'nothing can be made in /proc'],
    ] as const) {
      const { status, err } = await run(setup('--out', place));
      expect([status, err]).toEqual([78, `${place}: cannot be made, and nothing was written: ${why}`]);
    }
  });

  it('is not left half written when something fails on the way', async () => {
    const fails = programs('mosquitto_passwd', 'cat "$2" >&2; exit 3');
    const { status, out, err } = await run(setup('--transport', 'mqtt://192.168.7.1'), fails);
    expect([status, out]).toEqual([78, '']);
    expect(err).toMatch(/cannot hash the passwords of the broker, and nothing was written: it ended with 3$/);
    expect(err).not.toMatch(/[0-9a-f]{32}/);
    expect(readdirSync(folder).sort()).toEqual(['bin', 'bundles.json']);
  });

  it('that another made meanwhile is not written over', async () => {
    const meanwhile = programs('mosquitto_passwd', `mkdir '${at('new')}'; echo mine > '${at('new/mine')}'`);
    const { status, err } = await run(setup('--transport', 'mqtt://192.168.7.1'), meanwhile);
    expect([status, err]).toEqual([
      78,
      expect.stringContaining('new: is already there, and nothing was written'),
    ]);
    expect(filesBelow(at('new'))).toEqual(['mine']);
    expect(readdirSync(folder).sort()).toEqual(['bin', 'bundles.json', 'new']);
  });
});
