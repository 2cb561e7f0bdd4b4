/** `baton check-config` on files of a folder: a configuration, and what it names. */

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bundleFileText } from '../../src/config/bundle-file.ts';
import { PANEL } from '../../targets/lab/machine/board.ts';
import { checkConfig } from '../../targets/node/cli/verbs/check-config.ts';
import type { FileWorld } from '../../targets/node/cli/world.ts';
import { FILES } from '../../targets/node/config/sound-config.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-check-'));
  write('bundles.json', bundleFileText([PANEL]));
  write('android.keys.json', `{"host":"${'0'.repeat(64)}","vault":"${'1'.repeat(64)}"}`, 0o600);
  write('host.keys.json', `{"android":"${'0'.repeat(64)}","vault":"${'1'.repeat(64)}"}`, 0o600);
  write('password', 'secret\n', 0o600);
  write('program', '#!/bin/sh\n', 0o755);
  write('agent.json', AGENT());
  write('host.json', HOST());
});
afterEach(() => rmSync(folder, { recursive: true }));

const at = (name: string) => join(folder, name);
function write(name: string, text: string, mode = 0o644): void {
  writeFileSync(at(name), text, { mode });
  chmodSync(at(name), mode);
}

/** PANEL with one residual state in each device. */
const withResidualStates = (clearedBy: 'reset' | 'driver') => ({
  ...PANEL,
  devices: PANEL.devices.map((device) => ({ ...device, residualStates: [{ what: 'a report', clearedBy }] })),
});

const AGENT = () => `{
  "vm": "android",
  "bundles": "bundles.json",
  "keys": "android.keys.json",
  "transport": {
    "kind": "mqtt", "url": "mqtt://127.0.0.1", "username": "android",
    "passwordFile": "password"
  },
  "state": "/no/such/state",
  "control": "/no/such/agent.sock",
  "policy": { "kind": "program", "command": ["${at('program')}"] },
  "hooks": { "panel": { "touch": {
    "holdSupplies": [{ "kind": "command", "command": ["${at('program')}", "on"],
                       "undo": ["${at('program')}", "off"] }],
    "suspend": [{ "kind": "socket", "path": "/no/such/socket" },
                { "kind": "command", "command": ["sh"], "undo": ["sh"] }],
    "inspect": { "kind": "command", "command": ["${at('program')}"] }
  } } }
}`;
const HOST = () => `{
  "bundles": "bundles.json",
  "keys": "host.keys.json",
  "enforcer": { "kind": "command", "command": ["${at('program')}"] },
  "transport": { "kind": "stream", "listen": { "android": "unix:/a", "vault": "unix:/v" } },
  "state": "state",
  "control": "host.sock"
}`;

/** What is printed and the exit status; the folder's name is left out. */
function check(...names: string[]): { status: number; lines: string[] } {
  const lines: string[] = [];
  const world = { ...FILES, out: (line: string) => lines.push(line) };
  const status = checkConfig(world as unknown as FileWorld, names.map(at));
  return { status, lines: lines.join('\n').replaceAll(`${folder}/`, '').split('\n') };
}

/** The complaints about the agent's configuration with `from` replaced by `to`. */
function agentWith(from: string, to: string): string[] {
  expect(AGENT()).toContain(from);
  write('agent.json', AGENT().replace(from, to));
  const { status, lines } = check('agent.json');
  expect(status).toBe(78);
  return lines;
}

it('finds nothing wrong with sound files', () => {
  expect(check('host.json').lines).toEqual(['host.json: a sound configuration of baton-host']);
  expect(check('agent.json', 'bundles.json', 'host.keys.json')).toEqual({
    status: 0,
    lines: [
      'agent.json: a sound configuration of baton-agent',
      'bundles.json: a sound bundle file: panel',
      'host.keys.json: a sound key file: android, vault',
      'agent.json:12:23: hooks.panel: warning: no hooks for panel.display: handed over as the driver left it',
    ],
  });
});

describe('what an agent’s configuration names', () => {
  it.each([
    [
      '"bundles.json"',
      '"bundle.json"',
      'agent.json:3:14: bundles: "bundle.json": no such file: expected the bundle file at bundle.json',
    ],
    ['"android.keys.json"', '"."', 'agent.json:4:11: keys: ".": not a file: expected the key file at '],
    [
      '"passwordFile": "password"',
      '"passwordFile": "pass"',
      'agent.json:7:21: transport.passwordFile: no such file: expected the path of a file with the password',
    ],
  ])('with %s as %s', (from, to, message) => {
    expect(agentWith(from, to).join('\n')).toContain(message);
  });

  it('is a control socket whose whole path the kernel takes', () => {
    const long = `${'ä'.repeat(40)}/${'a'.repeat(30)}`;
    expect(agentWith('"/no/such/agent.sock"', `"/${long}"`)).toEqual([
      `agent.json:10:14: control: /${long} has 112 bytes: expected the path of a socket, at most 107 bytes in all`,
    ]);
    write('host.json', HOST().replace('host.sock', 'h'.repeat(107)));
    expect(check('host.json').lines[0]).toContain('host.json:7:14: control: ');
    write('host.json', HOST().replace('host.sock', `/${'h'.repeat(106)}`));
    expect(check('host.json').status).toBe(0);
  });

  it('is checked itself first, and followed only when it is sound', () => {
    expect(agentWith('"vm": "android"', '"vn": "android", "bundels": 1')).toHaveLength(2);
  });

  it('are programs that can be run', () => {
    chmodSync(at('program'), 0o644);
    const why = '"program": not executable: expected a program that this user may run';
    expect(check('agent.json')).toEqual({
      status: 78,
      lines: [
        `agent.json:11:46: policy.command.0: ${why}`,
        `agent.json:13:55: hooks.panel.touch.holdSupplies.0.command.0: ${why}`,
        `agent.json:14:33: hooks.panel.touch.holdSupplies.0.undo.0: ${why}`,
        `agent.json:17:49: hooks.panel.touch.inspect.command.0: ${why}`,
      ],
    });
  });

  it('are keys that others may not read, one for each peer', () => {
    write('android.keys.json', `{"vualt":"${'1'.repeat(64)}"}`, 0o640);
    expect(check('agent.json').lines).toEqual([
      'agent.json:4:11: keys: "android.keys.json": others may read it (mode 0640): expected 0600; do ' +
        'chmod 600 android.keys.json',
      'agent.json:4:11: keys: no key for "host", the host: expected one in android.keys.json',
    ]);
  });

  it('are borrowers with a key, and bundles that are its own to lend', () => {
    const allow =
      '[{ "bundle": "pannel", "borrower": "vault" },\n { "bundle": "panel", "borrower": "volt" }]';
    expect(
      agentWith(
        `{ "kind": "program", "command": ["${at('program')}"] }`,
        `{ "kind": "list", "allow": ${allow} }`,
      ),
    ).toEqual([
      'agent.json:11:53: policy.allow.0.bundle: "pannel": no bundle of this name: expected "panel"',
      'agent.json:12:35: policy.allow.1.borrower: no key for "volt", a borrower: expected one in android.keys.json',
    ]);
  });

  it('are bundles and devices that have hooks', () => {
    expect(agentWith('"panel": { "touch"', '"panel": { "tuoch"')).toEqual([
      'agent.json:12:25: hooks.panel.tuoch: no device of this name: expected "touch" or "display"',
    ]);
  });

  it('are told with their own line when something is wrong inside', () => {
    write('bundles.json', '{\n "bundles": { "panel": 1 } }');
    write('android.keys.json', '{\n "host": "12" }', 0o600);
    expect(check('agent.json', 'agent.json').lines).toEqual([
      'bundles.json:2:24: bundles.panel: 1: expected an object',
      'android.keys.json:2:10: host: a text of 2 characters: expected 64 digits 0 to 9, a to f: openssl rand -hex 32',
    ]);
  });

  it('is an empty password', () => {
    write('password', '\n', 0o600);
    expect(check('agent.json').lines).toEqual([
      'agent.json:7:21: transport.passwordFile: "password": empty: expected a file with the password',
    ]);
  });
});

it('follows a host’s configuration to its enforcer and its keys', () => {
  write('host.json', HOST().replace(at('program'), '/no/such/program').replace('"vault"', '"wault"'));
  write('host.keys.json', `{"vault":"${'1'.repeat(64)}"}`, 0o600);
  expect(check('host.json').lines).toEqual([
    'host.json:4:48: enforcer.command.0: "/no/such/program": no such file: expected a program that this user may run',
    'host.json:3:11: keys: no key for "android", the owner of panel: expected one in host.keys.json',
    'host.json:5:70: transport.listen.wault: no key for "wault", for which the host listens here: expected ' +
      'one in host.keys.json',
  ]);
});

describe('an enforcer that cannot keep what a bundle asks', () => {
  const hostWith = (enforcer: string) => {
    write('host.json', HOST().replace(/\{ "kind": "command".*\}/, enforcer));
    return check('host.json').lines;
  };

  it('is trusted-touch with streams, resets, another keeper', () => {
    write('bundles.json', bundleFileText([{ ...PANEL, keeper: 'hypervisor' }]));
    const enforcer =
      '{ "kind": "trusted-touch", "incarnations": { "kind": "fixed", "vms": ["android", "volt"] } }';
    expect(hostWith(enforcer)).toEqual([
      'host.json:4:17: enforcer.kind: trusted-touch moves no DMA, and panel has touch.stream0: expected no streams',
      'host.json:4:17: enforcer.kind: trusted-touch resets nothing, and a residual state of panel.touch is ' +
        'cleared by reset: expected "clearedBy": "driver"',
      'host.json:4:17: enforcer.kind: trusted-touch has the owner keep the supplies of panel on: ' +
        'expected "keeper": "owner"',
      'host.json:4:96: enforcer.incarnations.vms.1: no key for "volt", a VM: expected one in host.keys.json',
    ]);
  });

  it('is qmp with an input of no bundle, a bundle without input, a VM without key', () => {
    const vms = '"android": "unix:/a.qmp", "volt": "unix:/v.qmp"';
    write('bundles.json', bundleFileText([withResidualStates('driver')]));
    expect(hostWith(`{ "kind": "qmp", "vms": { ${vms} }, "inputs": { "pannel": "unix:/p" } }`)).toEqual([
      'host.json:4:104: enforcer.inputs.pannel: no bundle of this name: expected "panel"',
      'host.json:4:92: enforcer.inputs: no address for panel: qmp moves nothing but input events',
      'host.json:4:67: enforcer.vms.volt: no key for "volt", a VM: expected one in host.keys.json',
    ]);
    const long = `"vms": { "android": "unix:/${'ä'.repeat(60)}" }, "inputs": { "panel": "unix:/p" }`;
    expect(hostWith(`{ "kind": "qmp", ${long} }`)[0]).toContain(
      'has 121 bytes: expected the path of a socket',
    );
    const sound = '"vms": { "android": "unix:/a.qmp" }, "inputs": { "panel": "unix:/p" }';
    expect(hostWith(`{ "kind": "qmp", ${sound} }`)).toEqual([
      'host.json: a sound configuration of baton-host',
      'host.json:1:1: warning: panel is never lent: only a driver clears what stays in it, and ' +
        '"acceptDriverResidualState" is not set',
    ]);
  });

  it('is qmp with a residual state that only a reset would clear', () => {
    write('bundles.json', bundleFileText([withResidualStates('reset')]));
    const sound = '"vms": { "android": "unix:/a.qmp" }, "inputs": { "panel": "unix:/p" }';
    expect(hostWith(`{ "kind": "qmp", ${sound} }`)).toEqual([
      'host.json:4:17: enforcer.kind: qmp resets nothing, and a residual state of panel.touch is cleared by ' +
        'reset: expected "clearedBy": "driver"',
    ]);
  });

  it('is none when its bundles are of registers and interrupts alone', () => {
    const devices = PANEL.devices.map((device) => ({
      ...device,
      residualStates: [],
      resources: device.resources.filter(({ kind }) => kind !== 'stream'),
    }));
    write('bundles.json', bundleFileText([{ ...PANEL, devices }]));
    const program = `{ "kind": "command", "command": ["${at('program')}"] }`;
    for (const incarnations of [program, '{ "kind": "fixed", "vms": ["android"] }']) {
      expect(hostWith(`{ "kind": "trusted-touch", "incarnations": ${incarnations} }`)).toEqual([
        'host.json: a sound configuration of baton-host',
      ]);
    }
    expect(
      hostWith('{ "kind": "trusted-touch", "incarnations": { "kind": "command", "command": ["/no/vms"] } }'),
    ).toEqual([
      'host.json:4:91: enforcer.incarnations.command.0: "/no/vms": no such file: ' +
        'expected a program that this user may run',
    ]);
  });
});

it.each([
  ['{"vm":"a"', 'x.json:1:10: not JSON: close brace expected'],
  ['{"enforcr":{}, "times":{}}', 'x.json:1:2: enforcr: unknown key'],
  ['{"bundels":{}}', 'x.json:1:2: bundels: unknown key: expected "bundles"; did you mean "bundles"?'],
])('takes %s for what it is most like', (text, message) => {
  write('x.json', text);
  expect(check('x.json').lines.join('\n')).toContain(message);
});

it('says the same as JSON', () => {
  const world = { ...FILES, out: (line: string) => lines.push(line) };
  const lines: string[] = [];
  write('password', '', 0o600);
  checkConfig(world as unknown as FileWorld, ['--json', at('agent.json')]);
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    {
      ok: false,
      complaints: [expect.stringContaining('agent.json:7:21: transport.passwordFile')],
      warnings: [],
    },
  ]);
});

describe('warns', () => {
  const warnings = (...names: string[]) => {
    const { status, lines } = check(...names);
    expect(status).toBe(0);
    return lines.filter((line) => line.includes('warning: '));
  };

  it('of an owner without policy and of devices without hooks', () => {
    write('agent.json', AGENT().replace(/,\n {2}"policy"[\s\S]*/, '\n}'));
    expect(warnings('agent.json')).toEqual([
      'agent.json:2:9: vm: warning: no policy: panel is lent to nobody',
      'agent.json:2:9: vm: warning: no hooks for panel.touch, panel.display: handed over as the driver left it',
    ]);
  });

  it('of attributes that are not on this machine', () => {
    const steps = [
      '{ "kind": "input-inhibit", "input": "input987654" }',
      '{ "kind": "fb-blank", "fb": "fb987654" }',
      `{ "kind": "sysfs", "path": "${at('password')}", "write": "1", "expect": { "path": "/no/such", "value": "1" } }`,
    ];
    write('agent.json', AGENT().replace('{ "kind": "socket", "path": "/no/such/socket" }', steps.join(', ')));
    expect(warnings('agent.json').map((line) => line.split(': ').slice(1).join(': '))).toEqual([
      'hooks.panel: warning: no hooks for panel.display: handed over as the driver left it',
      'hooks.panel.touch.suspend.0.input: warning: /sys/class/input/input987654: not on this machine now',
      'hooks.panel.touch.suspend.0.input: warning: "input987654" has another number next time: name ' +
        'the device above it, or use "find"',
      'hooks.panel.touch.suspend.1.fb: warning: /sys/class/graphics/fb987654: not on this machine now',
      'hooks.panel.touch.suspend.1.fb: warning: "fb987654" has another number next time: name the ' +
        'device above it, or write "fb*"',
      'hooks.panel.touch.suspend.2.expect: warning: /no/such: not on this machine now',
    ]);
  });

  it('of a host whose VMs are not those of its bundles', () => {
    const none = HOST().replace(/\{ "kind": "command".*\}/, '{ "kind": "none", "vms": ["vault"] }');
    write('host.json', none);
    write('bundles.json', bundleFileText([PANEL]).replaceAll('"vault"', '"safe"'));
    expect(warnings('host.json')).toEqual([
      'host.json:3:11: keys: warning: no key for "safe", which the bundle file names: it cannot take part',
      'host.json:4:40: enforcer.vms: warning: "android", the owner of panel, is missing: it counts as not running',
    ]);
  });
});

it('refuses names and addresses by which nobody would come', () => {
  expect(agentWith('"vm": "android"', '"vm": "host"').join('\n')).toContain(
    'agent.json:2:9: vm: "host": reserved for the host and enforcers',
  );
  write('host.json', HOST().replace('"android": "unix:/a", ', ''));
  expect(check('host.json').lines.join('\n')).toContain(
    'transport.listen: no address for "android", the owner of panel',
  );
  write('host.json', HOST().replace('unix:/v', 'unix:/a'));
  expect(check('host.json').lines.join('\n')).toContain(
    'transport.listen.vault: the same address as that of "android"',
  );
});

it('takes a key file for one, and says who may read it', () => {
  write('android.keys.json', `{"host":"${'0'.repeat(63)}"}`, 0o600);
  expect(check('android.keys.json').lines[0]).toContain('android.keys.json:1:9: host: ');
  write('host.keys.json', `{"android":"${'0'.repeat(64)}"}`, 0o644);
  expect(check('host.keys.json')).toEqual({
    status: 78,
    lines: ['host.keys.json: others may read it (mode 0644): expected 0600; do chmod 600 host.keys.json'],
  });
});

it('takes a file of texts for keys also when most are none', () => {
  write('bad.keys.json', '{"host":"secret","vault":"hunter2"}', 0o600);
  expect(check('bad.keys.json').lines.join('\n')).toContain('bad.keys.json:1:9: host: ');
  expect(check('bad.keys.json').lines.join('\n')).not.toMatch(/secret|hunter2/);
});

it('takes it for one also when names and keys were swapped, or one key is no text', () => {
  const key = '3f9c5b27'.repeat(8);
  for (const text of [`{"${key}":"host"}`, `{"${key}":"host","${'c0'.repeat(32)}":null}`]) {
    write('bad.keys.json', text, 0o600);
    const { status, lines } = check('bad.keys.json');
    expect({ status, first: lines[0] }).toEqual({
      status: 78,
      first: expect.stringContaining('bad.keys.json:1:2: a text of 64 characters as a name: expected a name'),
    });
    expect(lines.join()).not.toMatch(/[0-9a-f]{9}/);
  }
});

it('says of a folder that it is one', () => {
  expect(check('.').lines.join()).toContain(': a folder: expected a file');
});

describe('a fault is said once', () => {
  it('in a file that the command line names, and a configuration too', () => {
    write('bundles.json', '{}');
    const here = process.cwd();
    const spelt = join(relative(here, folder), 'bundles.json');
    const lines: string[] = [];
    const world = { ...FILES, out: (line: string) => lines.push(line) } as unknown as FileWorld;
    expect(checkConfig(world, [spelt, at('host.json'), at('agent.json')])).toBe(78);
    expect(lines.filter((line) => line.includes('bundles.json:'))).toHaveLength(1);
    expect(lines[0]).toMatch(new RegExp(`^${spelt.replaceAll('.', '[.]')}:1:1: `));
  });

  it('in a file that is named twice, warnings included', () => {
    const once = check('agent.json').lines;
    expect(once).toHaveLength(2);
    expect(check('agent.json', 'agent.json', './agent.json').lines).toEqual(once);
  });
});

/** The same files for a user who may not look into `dark`. */
function darkened(dark: string): FileWorld & { readonly lines: string[] } {
  const lines: string[] = [];
  const isDark = (path: string) => path.startsWith(`${dark}/`);
  return {
    ...FILES,
    look: (path: string) => (isDark(path) ? undefined : FILES.look(path)),
    list: (path: string) => (isDark(path) || path === dark ? [] : FILES.list(path)),
    hidden: (path: string) => (isDark(path) || path === dark ? dark : undefined),
    out: (line: string) => lines.push(line),
    lines,
  } as unknown as FileWorld & { lines: string[] };
}

describe('a folder that this user may not look into', () => {
  const why = (dark: string) =>
    `this user may not look into ${dark}; run this as the user of the daemon, or as root`;

  it('is not one in which nothing is', () => {
    const dark = at('dark');
    write(
      'agent.json',
      AGENT().replace('"android.keys.json"', '"dark/keys.json"').replace('/no/such/state', `${dark}/a`),
    );
    const world = darkened(dark);
    expect(checkConfig(world, [at('agent.json')])).toBe(78);
    expect(world.lines).toEqual([
      expect.stringContaining(
        `keys: "dark/keys.json": ${why(dark)}: expected the key file at ${dark}/keys.json`,
      ),
      expect.stringContaining(`state: ${dark}/a: ${why(dark)}`),
    ]);
  });

  it('is told where attributes are looked for, by name or by pattern', () => {
    const dark = '/sys/dark';
    const step = (path: string) => ({ kind: 'sysfs', path, write: '1', undo: '0' });
    const hooks = { panel: { touch: { suspend: [step(`${dark}/state`), step(`${dark}/*/state`)] } } };
    write('agent.json', JSON.stringify({ ...JSON.parse(AGENT()), hooks }));
    const world = darkened(dark);
    const status = checkConfig(world, [at('agent.json')]);
    expect([status, ...(status === 0 ? [] : world.lines)]).toEqual([0]);
    const said = world.lines.filter((line) => line.includes(dark) && line.includes('path'));
    expect(said).toEqual([
      expect.stringContaining(`suspend.0.path: warning: ${dark}/state: ${why(dark)}`),
      expect.stringContaining(`suspend.1.path: warning: ${dark}/*/state: ${why(dark)}`),
    ]);
  });
});
