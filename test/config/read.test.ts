/** What a person reads who wrote a configuration wrong: file, line, column, what was found, what was expected. */

import { parse } from 'jsonc-parser';
import type { TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { describe, expect, it, test } from 'vitest';
import { nearestKey } from '../../src/common/near.ts';
import { AGENT_EXAMPLE, AGENT_SCHEMA } from '../../src/config/agent-config.ts';
import { BUNDLE_FILE_SCHEMA, bundleFileText, readBundleFile } from '../../src/config/bundle-file.ts';
import { faultsOf } from '../../src/config/faults.ts';
import { HOST_EXAMPLE, HOST_SCHEMA } from '../../src/config/host-config.ts';
import { readConfig, refuseAt } from '../../src/config/read.ts';
import { KEYS_SCHEMA } from '../../src/config/shared-parts.ts';
import { PANEL } from '../../targets/lab/machine/board.ts';
import { complaint } from '../support/complaint.ts';

/** A sound configuration of an agent; each case changes one line of it. */
const AGENT = `{
  "vm": "vault", // a comment
  "bundles": "bundles.json",
  "keys": "vault.keys.json",
  "transport": { "kind": "stream", "address": "unix:/run/baton/vault.sock" },
  "state": "/var/lib/baton",
  "control": "/run/baton/agent.sock",
  "policy": { "kind": "list", "allow": [] },
  "hooks": { "panel": { "touch": { "suspend": [{ "kind": "sysfs", "path": "/sys/a", "write": "1" }] } } },
}`;
const AGENT_KEYS =
  '"vm", "bundles", "keys", "machine", "transport", "state", "control", "policy", "hooks", "tree" or "logLevel"';
const STEP_KINDS =
  '"command", "socket", "sysfs", "input-inhibit", "runtime-pm", "fb-blank", "unbind" or "trusted-touch"';
const NAME = 'a name: a to z first, then a to z, 0 to 9, ".", "_", "-", at most 32 in all';

/** The complaint about the configuration with `from` replaced by `to`. */
function of(from: string, to: string): string {
  expect(AGENT).toContain(from);
  return complaint(() => readConfig(AGENT_SCHEMA, 'a.json', AGENT.replace(from, to)));
}

describe('an agent’s configuration', () => {
  it('is taken with comments and a comma at the end', () => {
    expect(readConfig(AGENT_SCHEMA, 'a.json', AGENT)).toMatchObject({ vm: 'vault' });
  });

  it.each([
    // Keys.
    ['"state":', '"stat":', `a.json:6:3: stat: unknown key: expected ${AGENT_KEYS}; did you mean "state"?`],
    ['"state":', '"x": 1, "state":', `a.json:6:3: x: unknown key: expected ${AGENT_KEYS}`],
    [
      '"policy": {',
      '"policy": { "limitMS": 5,',
      'a.json:8:15: policy.limitMS: unknown key: expected "kind" or "allow"',
    ],
    [
      '"allow": []',
      '"alow": []',
      'a.json:8:31: policy.alow: unknown key: expected "kind" or "allow"; did you mean "allow"?',
    ],
    [
      '"write": "1"',
      '"write": "1", "expct": {}',
      'a.json:9:99: hooks.panel.touch.suspend.0.expct: unknown key: expected "name", "limitMs", ' +
        '"kind", "path", "write", "undo" or "expect"; did you mean "expect"?',
    ],
    ['"state":', '"vm": "b", "state":', 'a.json:6:3: vm: stands twice: expected it once'],
    ['"panel"', '"Panel"', `a.json:9:14: hooks.Panel: "Panel": expected ${NAME}`],
    // Missing.
    ['"vm": "vault", ', '', `a.json:1:1: missing "vm": expected ${NAME}`],
    [
      ', "address": "unix:/run/baton/vault.sock"',
      '',
      'a.json:5:16: transport: missing "address": expected unix:/path (at most 107 bytes), ' +
        'tcp:host:port (at most 65535), vsock:CID:port, or vsock-unix:/path:port of Firecracker and ' +
        'Cloud Hypervisor',
    ],
    ['"kind": "stream", ', '', 'a.json:5:16: transport: missing "kind": expected "mqtt" or "stream"'],
    [
      '"kind": "list", "allow": []',
      '"kind": "program"',
      'a.json:8:13: policy: missing "command": expected a list of at least 1 (program and its ' +
        'arguments, run for each request)',
    ],
    // Values.
    ['"vault",', '"Vault",', `a.json:2:9: vm: "Vault": expected ${NAME}`],
    ['"vault",', '5,', `a.json:2:9: vm: 5: expected ${NAME}`],
    [
      '"bundles.json"',
      'null',
      'a.json:3:14: bundles: null: expected a text (the bundle file, the same for all parties)',
    ],
    ['"stream"', '"vsock"', 'a.json:5:26: transport.kind: "vsock": expected "mqtt" or "stream"'],
    [
      'unix:/run/baton/vault.sock',
      'vault.sock',
      'a.json:5:47: transport.address: "vault.sock": expected unix:/path (at most 107 bytes), ' +
        'tcp:host:port (at most 65535), vsock:CID:port, or vsock-unix:/path:port of Firecracker and ' +
        'Cloud Hypervisor',
    ],
    [
      'unix:/run/baton/vault.sock',
      'tcp:10.0.0.1:65536',
      'a.json:5:47: transport.address: "tcp:10.0.0.1:65536": expected unix:/path (at most 107 ' +
        'bytes), tcp:host:port (at most 65535), vsock:CID:port, or vsock-unix:/path:port of ' +
        'Firecracker and Cloud Hypervisor',
    ],
    [
      '"kind": "list", "allow": []',
      '"kind": "program", "command": [""]',
      'a.json:8:46: policy.command.0: "": expected a text of at least 1 characters',
    ],
    ['"list"', '"List"', 'a.json:8:23: policy.kind: "List": expected "list" or "program"'],
    ['[]', '{}', 'a.json:8:40: policy.allow: {}: expected a list (entries; one that matches is enough)'],
    [
      '[]',
      '[{ "bundle": "panel", "borrower": "b", "leaseMaxMs": 0 }]',
      'a.json:8:93: policy.allow.0.leaseMaxMs: 0: expected an integer from 1 to 4294967295 (milliseconds)',
    ],
    ['"sysfs"', '"sysf"', `a.json:9:58: hooks.panel.touch.suspend.0.kind: "sysf": expected ${STEP_KINDS}`],
    [
      '"/sys/a"',
      '"sys/a"',
      'a.json:9:75: hooks.panel.touch.suspend.0.path: "sys/a": expected an absolute path',
    ],
    [
      '"state":',
      '"logLevel": "loud", "state":',
      'a.json:6:15: logLevel: "loud": expected "debug", "info", "warn" or "error" (the lowest ' +
        'level that is logged)',
    ],
    [
      '{ "kind": "list", "allow": [] }',
      '"list"',
      'a.json:8:13: policy: "list": expected an object of "kind" "list" or "program"',
    ],
    // Not JSON.
    ['"vault",', '"vault"', 'a.json:3:3: not JSON: comma expected'],
    ['"vault",', 'vault,', 'a.json:2:9: not JSON: invalid symbol'],
  ])('with %s become %s', (from, to, message) => {
    expect(of(from, to)).toBe(message);
  });

  it('is told all that is wrong with it, in the order of the file', () => {
    const text = AGENT.replace('"vault"', '7').replace('"list"', '"none"').replace('"touch"', '"Touch"');
    const message = complaint(() => readConfig(AGENT_SCHEMA, 'a.json', text));
    expect(message.split('\n').map((line) => line.split(': ').slice(0, 2).join(' '))).toEqual([
      'a.json:2:9 vm',
      'a.json:8:23 policy.kind',
      'a.json:9:25 hooks.panel.Touch',
    ]);
  });
});

test.each([
  ['no evidence', '{"enforcer":{"kind":"nnoe"}}', 'h.json:1:21: enforcer.kind: "nnoe"'],
  ['a VM', '{"enforcer":{"kind":"none","vms":["A"]}}', 'h.json:1:35: enforcer.vms.0: "A"'],
])('a host’s configuration is told of %s', (_, text, message) => {
  expect(complaint(() => readConfig(HOST_SCHEMA, 'h.json', text)).split('\n')).toContainEqual(
    expect.stringContaining(message),
  );
});

test('a bundle file is told of a view under a name that no VM can have', () => {
  const text = bundleFileText([PANEL]).replace('"vault": "0x', '"Vault": "0x');
  expect(complaint(() => readBundleFile('b.json', text))).toMatch(
    /^b\.json:\d+:\d+: bundles\.panel\.devices\.touch\.mmio\.0\.views\.Vault: "Vault": expected a name/,
  );
});

test('a key file is told of a key that is too short', () => {
  const message =
    'k.json:1:9: host: a text of 2 characters: expected 64 digits 0 to 9, a to f: openssl rand -hex 32';
  expect(complaint(() => readConfig(KEYS_SCHEMA, 'k.json', '{"host":"00"}'))).toBe(message);
});

test('a check beyond the schema names the value, or what is around it', () => {
  expect(complaint(() => refuseAt('a.json', AGENT, ['policy', 'allow'], 'why'))).toBe(
    'a.json:8:40: policy.allow: why',
  );
  expect(complaint(() => refuseAt('a.json', AGENT, ['policy', 'limitMs'], 'why'))).toBe(
    'a.json:8:13: policy.limitMs: why',
  );
});

test.each([
  ['leaseMs', 'leaseMaxMs'],
  ['sokcet', 'socket'],
  ['KEYS', 'keys'],
  ['x', undefined],
  ['hello', undefined],
])('nearest to %s is %s', (word, meant) => {
  expect(nearestKey(word, ['vm', 'keys', 'socket', 'leaseMaxMs', 'minHoldMaxMs'])).toBe(meant);
});

/** Every copy of `value` with one value in it replaced, or one key added. */
function mutants(value: unknown): unknown[] {
  const odd = [null, true, -1, 1.5, 7, '', 'x', 'X/', '/x', 'none', [], [1], {}, { kind: 'command' }];
  if (typeof value !== 'object' || value === null) return odd;
  const copies = Object.entries(value).flatMap(([key, inner]) =>
    mutants(inner).map((mutant) => {
      if (Array.isArray(value)) return value.map((item, index) => (String(index) === key ? mutant : item));
      return { ...value, [key]: mutant };
    }),
  );
  return Array.isArray(value) ? [...odd, ...copies] : [...odd, { ...value, Odd: 1 }, ...copies];
}

test.each<[string, TSchema, string]>([
  ['an agent’s configuration', AGENT_SCHEMA, AGENT_EXAMPLE],
  ['another agent’s configuration', AGENT_SCHEMA, AGENT],
  ['a host’s configuration', HOST_SCHEMA, HOST_EXAMPLE],
  ['a bundle file', BUNDLE_FILE_SCHEMA, bundleFileText([PANEL])],
])('finds fault with just those variants of %s that the schema refuses', (_, schema, text) => {
  const values = mutants(parse(text, [], { allowTrailingComma: true }));
  const differ = values.filter(
    (value) => (faultsOf(schema, value).length === 0) !== Value.Check(schema, value),
  );
  expect(differ).toEqual([]);
  expect(values.length).toBeGreaterThan(100);
});

it.each([
  'unix:/run/a.sock',
  `unix:/${'a'.repeat(106)}`,
  'tcp:h:0',
  'tcp:h:65535',
  'tcp:h:59999',
  'tcp:h:8080',
])('%s is an address', (address) => {
  const text = AGENT.replace('unix:/run/baton/vault.sock', address);
  expect(() => readConfig(AGENT_SCHEMA, 'a.json', text)).not.toThrow();
});

it.each([`unix:/${'a'.repeat(107)}`, 'tcp:h:65536', 'tcp:h:99999', 'tcp:h:70000', 'tcp:h:655350'])(
  '%s is none',
  (address) => {
    const text = AGENT.replace('unix:/run/baton/vault.sock', address);
    expect(() => readConfig(AGENT_SCHEMA, 'a.json', text)).toThrow('transport.address');
  },
);

test('a host may listen for every guest; an agent dials one CID', () => {
  const replaced = (example: string, transport: object) =>
    example.replace(/^ {2}"transport": .*$/m, `  "transport": ${JSON.stringify(transport)},`);
  const host = replaced(HOST_EXAMPLE, { kind: 'stream', listen: { android: 'vsock:any:7000' } });
  expect(readConfig(HOST_SCHEMA, 'h', host).transport).toMatchObject({ kind: 'stream' });
  const agent = (address: string) => replaced(AGENT_EXAMPLE, { kind: 'stream', address });
  expect(readConfig(AGENT_SCHEMA, 'a', agent('vsock:2:7000')).transport).toMatchObject({ kind: 'stream' });
  expect(() => readConfig(AGENT_SCHEMA, 'a', agent('vsock:any:7000'))).toThrow(
    /transport\.address: "vsock:any:7000": expected .*vsock:CID:port/,
  );
});
