/** No complaint about a configuration or a key file, and no --dump-config, repeats a key, a password or a login. */

import { describe, expect, it, test } from 'vitest';
import { AGENT_EXAMPLE, AGENT_SCHEMA } from '../../src/config/agent-config.ts';
import { parseConfig, readConfig } from '../../src/config/read.ts';
import { shapeOf, withoutSecrets } from '../../src/config/secrets.ts';
import { KEYS_SCHEMA } from '../../src/config/shared-parts.ts';
import { dumpable } from '../../targets/node/config/files.ts';
import { brokerAddress } from '../../targets/node/net/mqtt-address.ts';
import { complaint } from '../support/complaint.ts';

const KEY = '3f9c5b27d1e84a60b7c2f5198e4d3a6c0b1f7e95d2846cab13507fe9c8d2b4a6';
const BASE64 = 'P5xbJ9HoSmC3wvUZjk06bAsffpXShGyrE1B/6cjStKY=';
const PASSWORD = 'correct horse battery staple';

describe('a key file', () => {
  it.each<[string, unknown, string]>([
    [
      'a key in capitals',
      { host: KEY.toUpperCase() },
      'host: a text of 64 characters, with capitals: expected 64 digits',
    ],
    ['a digit too few', { host: KEY.slice(1) }, 'host: a text of 63 characters: expected 64 digits'],
    ['a space', { host: `${KEY} ` }, 'host: a text of 65 characters, with white space: expected'],
    ['groups of four', { host: KEY.replace(/(....)/g, '$1:') }, 'with other signs than digits'],
    ['base64', { host: BASE64 }, 'host: a text of 44 characters'],
    ['a passphrase', { host: PASSWORD }, 'host: a text of 28 characters'],
    ['name and key swapped', { [KEY]: 'host' }, 'a text of 64 characters as a name: expected a name'],
    ['half a key as a name', { [`abc${KEY.slice(0, 29)}`]: KEY.slice(32) }, '(32 hexadecimal digits)'],
    ['a passphrase as a name', { [PASSWORD]: KEY }, 'a text of 28 characters'],
    ['an object', { host: { key: KEY } }, 'host: an object: expected 64 digits'],
    ['a list', { host: [KEY] }, 'host: a list: expected 64 digits'],
    ['nothing', { host: null }, 'host: null: expected 64 digits'],
    ['a list at its top', [KEY], 'expected an object'],
    ['a text at its top', KEY, 'expected an object'],
  ])('with %s is told its shape alone', (_, value, words) => {
    const text = complaint(() => readConfig(KEYS_SCHEMA, 'k.json', JSON.stringify(value)));
    expect(text).toContain(words);
    hidesSecrets(text);
  });

  it('with a name twice, which is a key, does not say which', () => {
    const text = complaint(() => readConfig(KEYS_SCHEMA, 'k.json', `{"${KEY}":"host","${KEY}":"vault"}`));
    expect(text).toContain('k.json:1:76: …: stands twice: expected it once');
    hidesSecrets(text);
  });

  it('that is no JSON is told where, without what stands there', () => {
    const text = complaint(() => readConfig(KEYS_SCHEMA, 'k.json', `{"host": ${KEY}}`));
    expect(text).toBe('k.json:1:11: not JSON: invalid symbol');
  });
});

describe('a configuration', () => {
  const of = (change: (config: Record<string, unknown>) => void): string => {
    const config = parseConfig('a', AGENT_EXAMPLE) as Record<string, unknown>;
    change(config);
    return complaint(() => readConfig(AGENT_SCHEMA, 'a.json', JSON.stringify(config)));
  };
  it.each<[string, (config: Record<string, unknown>) => void]>([
    ['keys in place of the key file', (c) => (c['keys'] = { host: KEY })],
    ['a key as the name of the VM', (c) => (c['vm'] = KEY)],
    ['a key where no key of ours is', (c) => (c[KEY] = 'host')],
    [
      'a login in a URL of another kind',
      (c) => (c['transport'] = { kind: 'mqtt', url: `mqtts://u:${PASSWORD}@h` }),
    ],
    ['a URL with a login as the transport', (c) => (c['transport'] = 'mqtt://u:p@ss/w@h')],
    [
      'a password where its file belongs',
      (c) => (c['transport'] = { kind: 'mqtt', url: 'x', passwordFile: [PASSWORD] }),
    ],
    [
      'a password under another key',
      (c) => (c['transport'] = { kind: 'mqtt', url: 'mqtt://h', password: PASSWORD }),
    ],
    ['a key as the level of the log', (c) => (c['logLevel'] = KEY)],
  ])('with %s does not repeat it', (_, change) => {
    hidesSecrets(of(change));
  });
});

test('a broker with a login is refused without it', () => {
  for (const url of ['mqtt://u:p@ss/w@h', `mqtt://u:${PASSWORD}@h:1883`]) {
    expect(() => brokerAddress(url)).toThrow(/^"mqtt:\/\/\(login\)@h.* is not the URL of a broker/);
  }
});

test('--dump-config prints neither a key in the wrong place, nor a password in place of its file', () => {
  const dumped = JSON.stringify(
    dumpable('/no/such/agent.json', {
      keys: KEY,
      transport: { kind: 'mqtt', url: `mqtt://u:${PASSWORD}@h`, username: 'android', passwordFile: PASSWORD },
    }),
  );
  hidesSecrets(dumped);
  expect(dumped).toContain('"username":"android"');
});

test('what is no secret stays', () => {
  for (const text of [
    '"/nix/store/9c0b8ahw5ij8lsw1bb4hwvp3xq0kl3d1-baton-0.1.0/bin/baton-agent"',
    '/sys/devices/platform/soc/a90000.i2c/i2c-3/3-0020',
    'touch@b900000, display@ae00000',
    '"vsock-unix:/run/firecracker/android/v.sock:7000"',
    'mqtt://192.168.7.1:1883',
    '/usr/lib/aarch64-linux-gnu/qemu/AnotherFolderWithALongName/AndOneMore2',
  ])
    expect(withoutSecrets(text)).toBe(text);
  expect(shapeOf('0'.repeat(64))).toBe('a text of 64 characters');
});

/** Neither a secret of this file, nor a part of it that is worth something. */
function hidesSecrets(text: string): void {
  expect(/[0-9a-fA-F]{9,}/.exec(text)?.[0]).toBeUndefined();
  for (const secret of [PASSWORD, 'correct', 'staple', BASE64.slice(0, 9), 'p@ss', 'ss/w'])
    expect(text).not.toContain(secret);
}
