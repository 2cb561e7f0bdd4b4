/** What a daemon refuses at its start, `check-config` refuses in the same words: each case is given to both. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/config/read.ts';
import { NAME_FAULT } from '../../targets/native/addresses.ts';
import { checkConfig } from '../../targets/node/cli/verbs/check-config.ts';
import type { FileWorld } from '../../targets/node/cli/world.ts';
import { FILES, soundAgent, soundHost } from '../../targets/node/config/sound-config.ts';
import { blobOf } from '../planner/builder.ts';
import { agent, type Config, folder, host, mqtt, write } from './config-folder.ts';

const hook = (step: Config) => ({ hooks: { panel: { touch: { suspend: [step] } } } });
const listen = (more: Config) => ({
  transport: { kind: 'stream', listen: { android: 'unix:/run/a', ...more } },
});

/** What both say of a configuration: the daemon, which must not start, and `check-config`. Paths without the folder. */
function both(kind: 'agent' | 'host', text: string): { readonly daemon: string[]; readonly check: string[] } {
  write('x.json', text);
  const path = join(folder, 'x.json');
  const plain = (lines: string) => lines.replaceAll(`${folder}/`, '').split('\n');
  const lines: string[] = [];
  checkConfig({ ...FILES, out: (line: string) => lines.push(line) } as unknown as FileWorld, [path]);
  const check = plain(lines.join('\n')).filter(
    (line) => !line.includes(': warning: ') && !line.includes('a sound'),
  );
  try {
    if (kind === 'agent') soundAgent(path);
    else soundHost(path);
    return { daemon: [], check };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { daemon: plain(error.message), check };
  }
}

it('is nothing of sound ones', () => {
  expect(both('agent', JSON.stringify(agent()))).toEqual({ daemon: [], check: [] });
  expect(both('host', JSON.stringify(host()))).toEqual({ daemon: [], check: [] });
});

it('names each tree of a file that has several, a line each, at the place of `tree.file`', () => {
  const blob = blobOf({ model: 'A' });
  writeFileSync(join(folder, 'both.dtb'), new Uint8Array([...blob, ...blob]));
  const tree = { file: 'both.dtb', nodes: { panel: { touch: ['/touch'] } } };
  const { daemon, check } = both('agent', JSON.stringify({ ...agent(), tree }));
  expect(check).toEqual(daemon);
  expect(check).toEqual([
    expect.stringMatching(/^x\.json:1:\d+: tree\.file: both\.dtb: 2 device trees, one behind the other/),
    expect.stringMatching(
      /^x\.json:1:\d+: tree\.file: {3}1: A \(no compatible\), .* head -c \d+ both\.dtb >board\.dtb$/,
    ),
    expect.stringMatching(/^x\.json:1:\d+: tree\.file: {3}2: A/),
  ]);
});

describe('of an agent', () => {
  it.each<[string, Config, string]>([
    ['a name that means something else', { vm: 'blocked' }, '"blocked": reserved for the host and enforcers'],
    ['a name that every object has', { vm: 'constructor' }, '"constructor": reserved by the program'],
    ['the name of the host', { vm: 'host' }, '"host": reserved for the host and enforcers'],
    [
      'a broker with a password',
      mqtt({ url: 'mqtt://u:hunter2@h' }),
      'transport.url: "mqtt://(login)@h": user and password do not stand in the URL',
    ],
    [
      'a broker with a port that is none',
      mqtt({ url: 'mqtt://h:70000' }),
      'transport.url: "mqtt://h:70000": port 70000',
    ],
    ['a broker at an IPv6 address without brackets', mqtt({ url: 'mqtt://fd00::7:1883' }), 'IPv6'],
    ['a broker that wants TLS', mqtt({ url: 'mqtts://h' }), 'transport.url'],
    [
      'a user of another name',
      mqtt({ username: 'vault' }),
      'transport.username: "vault": expected "android"',
    ],
    [
      'a password without a user',
      mqtt({ passwordFile: 'password' }),
      'a password without a user: expected "username": "android"',
    ],
    [
      'a relative socket',
      { transport: { kind: 'stream', address: 'unix:a.sock' } },
      'transport.address: "unix:a.sock": relative',
    ],
    [
      'a socket that is too long',
      { transport: { kind: 'stream', address: `unix:/${'ö'.repeat(60)}` } },
      'has 121 bytes',
    ],
    ['port 0', { transport: { kind: 'stream', address: 'tcp:h:0' } }, 'port 0'],
    [
      'an IPv4 address that is none',
      { transport: { kind: 'stream', address: 'tcp:1.2.3:7' } },
      'no IPv4 address',
    ],
    [
      'an IPv6 address that is none',
      { transport: { kind: 'stream', address: 'tcp:[::g]:7' } },
      'no IPv6 address',
    ],
    [
      'a CID that is none',
      { transport: { kind: 'stream', address: 'vsock:5000000000:7' } },
      'CID 5000000000',
    ],
    [
      'a control socket where a file is',
      { control: 'program' },
      'control: program: a file: expected room for a socket',
    ],
    [
      'a control socket below a file',
      { control: 'program/agent.sock' },
      'control: program: a file: expected a folder',
    ],
    ['a control socket that is too long', { control: `/${'c'.repeat(107)}` }, 'has 108 bytes'],
    ['a state folder that is a file', { state: 'password' }, 'state: password: a file: expected a folder'],
    [
      'a policy program that is missing',
      { policy: { kind: 'program', command: ['./no-such'] } },
      'policy.command.0: "./no-such": no such file',
    ],
    [
      'a policy program with its arguments in one text',
      { policy: { kind: 'program', command: ['./program --password=hunter2'] } },
      '"./program" …: no such file: expected a program that this user may run; its arguments are texts of their own',
    ],
    [
      'a hook that is no program',
      hook({ kind: 'command', command: ['./password'] }),
      'hooks.panel.touch.suspend.0.command.0: "./password": not executable',
    ],
    [
      'a hook whose undo is missing',
      hook({ kind: 'command', command: ['sh'], undo: ['/no/such'] }),
      'hooks.panel.touch.suspend.0.undo.0',
    ],
    ['hooks of no bundle', { hooks: { constructor: {} } }, 'hooks.constructor: no bundle of this name'],
    [
      'a lender that is no VM',
      { policy: { kind: 'list', allow: [{ bundle: 'panel', borrower: 'nobody' }] } },
      'policy.allow.0.borrower',
    ],
  ])('%s', (_, change, words) => {
    const { daemon, check } = both('agent', JSON.stringify({ ...agent(), ...change }));
    expect(daemon.join('\n')).toContain(words);
    expect(check).toEqual(daemon);
    expect(daemon.join('\n')).not.toContain('hunter2');
  });

  it('warns of programs of hooks and policy in no folder of PATH, which may be another for the daemon', () => {
    const policy = { kind: 'program', command: ['no-such-policy'] };
    write(
      'x.json',
      JSON.stringify({
        ...agent(),
        policy,
        ...hook({ kind: 'command', command: ['sh'], undo: ['no-such-undo'] }),
      }),
    );
    const lines: string[] = [];
    const world = { ...FILES, out: (line: string) => lines.push(line) } as unknown as FileWorld;
    expect(checkConfig(world, [join(folder, 'x.json')])).toBe(0);
    expect(
      lines.filter((line) => line.includes('PATH')).map((line) => line.split(': ').slice(1).join(': ')),
    ).toEqual([
      'policy.command.0: warning: "no-such-policy": no such program in PATH now',
      'hooks.panel.touch.suspend.0.undo.0: warning: "no-such-undo": no such program in PATH now',
    ]);
    expect(() => soundAgent(join(folder, 'x.json'))).not.toThrow();
  });

  it('a key for itself', () => {
    write('android.keys.json', JSON.stringify({ host: '0'.repeat(64), android: '1'.repeat(64) }), 0o600);
    const { daemon, check } = both('agent', JSON.stringify(agent()));
    expect(daemon).toEqual([expect.stringContaining('a key for "android", which is this party itself')]);
    expect(check).toEqual(daemon);
  });

  it('a key that JavaScript would hide', () => {
    const { daemon, check } = both(
      'agent',
      JSON.stringify(agent()).replace('{', '{"__proto__":{"logLevel":"debug"},'),
    );
    expect(daemon).toEqual([expect.stringContaining('x.json:1:2: …: unknown key: expected "vm"')]);
    expect(check).toEqual(daemon);
  });

  it('another encoding; a byte order mark harms nobody', () => {
    expect(both('agent', `\ufeff${JSON.stringify(agent())}`)).toEqual({ daemon: [], check: [] });
    writeFileSync(join(folder, 'y.json'), Buffer.from(`\ufeff${JSON.stringify(agent())}`, 'utf16le'));
    expect(() => soundAgent(join(folder, 'y.json'))).toThrow(
      'not text in UTF-8: expected JSON, saved as UTF-8',
    );
  });

  it('a name where names are not looked up, as in the small program', () => {
    write(
      'x.json',
      JSON.stringify({ ...agent(), transport: { kind: 'stream', address: 'tcp:broker.example:7' } }),
    );
    const lines: string[] = [];
    const world = { ...FILES, nameFault: NAME_FAULT, out: (line: string) => lines.push(line) };
    checkConfig(world as unknown as FileWorld, [join(folder, 'x.json')]);
    expect(lines.join('\n')).toContain(`"tcp:broker.example:7": ${NAME_FAULT}`);
    expect(both('agent', JSON.stringify(agent()))).toEqual({ daemon: [], check: [] });
  });
});

describe('of a host', () => {
  it.each<[string, Config, string]>([
    [
      'a VM that means something else',
      { enforcer: { kind: 'none', vms: ['android', 'unknown'] } },
      '"unknown": reserved for the host and enforcers',
    ],
    [
      'an address for such a VM',
      listen({ mixed: 'unix:/run/m' }),
      'transport.listen.mixed: "mixed": reserved for the host and enforcers',
    ],
    ['a relative socket', listen({ vault: 'unix:v' }), 'transport.listen.vault: "unix:v": relative'],
    ['a socket that is too long', listen({ vault: `vsock-unix:/${'ä'.repeat(50)}a:70000` }), 'has 108 bytes'],
    [
      'one place under two spellings',
      listen({ vault: 'unix:/run/./a' }),
      'transport.listen.vault: the same address as that of "android"',
    ],
    [
      'one place in two forms',
      { transport: { kind: 'stream', listen: { android: 'unix:/run/a_7', vault: 'vsock-unix:/run/a:7' } } },
      'the same address as that of "android"',
    ],
    ['an IPv6 address that is none', listen({ vault: 'tcp:[::1::]:7' }), 'no IPv6 address'],
    [
      'a helper at a port that is none',
      { enforcer: { kind: 'kvm', address: 'tcp:h:0' } },
      'enforcer.address: "tcp:h:0": port 0',
    ],
    [
      'an enforcer in no folder of PATH',
      { enforcer: { kind: 'command', command: ['no-such-hypervisor'] } },
      'enforcer.command.0: "no-such-hypervisor": no such program in PATH',
    ],
    [
      'an enforcer that is missing',
      { enforcer: { kind: 'command', command: ['./hypervisor', '--token=hunter2'] } },
      'enforcer.command.0: "./hypervisor": no such file',
    ],
    [
      'a user that is not called host',
      mqtt({ username: 'android' }),
      'transport.username: "android": expected "host"',
    ],
    ['a control socket where a file is', { control: 'program' }, 'expected room for a socket'],
  ])('%s', (_, change, words) => {
    const { daemon, check } = both('host', JSON.stringify({ ...host(), ...change }));
    expect(daemon.join('\n')).toContain(words);
    expect(check).toEqual(daemon);
    expect(daemon.join('\n')).not.toContain('hunter2');
  });

  it('a key for itself', () => {
    write(
      'host.keys.json',
      JSON.stringify({ android: '0'.repeat(64), vault: '1'.repeat(64), host: '2'.repeat(64) }),
      0o600,
    );
    const { daemon, check } = both('host', JSON.stringify(host()));
    expect(daemon).toEqual([expect.stringContaining('a key for "host", which is this party itself')]);
    expect(check).toEqual(daemon);
  });
});

it('a program with a slash is beside the configuration, whatever folder the daemon is started in', () => {
  const steps = [{ kind: 'command', command: ['./program', 'on'], undo: ['./program'] }];
  write(
    'x.json',
    JSON.stringify({ ...agent(), ...hook(steps[0]!), policy: { kind: 'program', command: ['./program'] } }),
  );
  const { config } = soundAgent(join(folder, 'x.json'));
  const whole = join(folder, 'program');
  expect(config.policy).toMatchObject({ command: [whole] });
  expect(config.hooks).toMatchObject({
    panel: { touch: { suspend: [{ command: [whole, 'on'], undo: [whole] }] } },
  });
  write('h.json', JSON.stringify({ ...host(), enforcer: { kind: 'command', command: ['./program'] } }));
  expect(soundHost(join(folder, 'h.json')).enforcer).toMatchObject({ command: [whole] });
});
