/** What `check-config` finds between the files of several daemons. */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bundleFileText } from '../../src/config/bundle-file.ts';
import { PANEL } from '../../targets/lab/machine/board.ts';
import { checkConfig } from '../../targets/node/cli/verbs/check-config.ts';
import type { FileWorld } from '../../targets/node/cli/world.ts';
import { FILES } from '../../targets/node/config/sound-config.ts';
import { agent, type Config, folder, host, mqtt, write } from './config-folder.ts';

describe('given several files, check-config', () => {
  const files = (change: (configs: Record<'host' | 'android' | 'vault', Config>) => void): string[] => {
    const configs = {
      host: {
        ...host(),
        transport: { kind: 'stream', listen: { android: 'unix:/run/a', vault: 'unix:/run/v' } },
      } as Config,
      android: { ...agent(), transport: { kind: 'stream', address: 'unix:/run/a' } } as Config,
      vault: {
        ...agent(),
        vm: 'vault',
        keys: 'vault.keys.json',
        transport: { kind: 'stream', address: 'unix:/run/v' },
        state: 'vault-state',
        control: 'vault.sock',
      } as Config,
    };
    write('android.keys.json', JSON.stringify({ host: 'a'.repeat(64), vault: 'b'.repeat(64) }), 0o600);
    write('vault.keys.json', JSON.stringify({ host: 'c'.repeat(64), android: 'b'.repeat(64) }), 0o600);
    write('host.keys.json', JSON.stringify({ android: 'a'.repeat(64), vault: 'c'.repeat(64) }), 0o600);
    change(configs);
    for (const [name, config] of Object.entries(configs)) write(`${name}.json`, JSON.stringify(config));
    const lines: string[] = [];
    const world = { ...FILES, out: (line: string) => lines.push(line.replaceAll(`${folder}/`, '')) };
    const status = checkConfig(
      world as unknown as FileWorld,
      ['host', 'android', 'vault'].map((name) => join(folder, `${name}.json`)),
    );
    const complaints = lines.filter((line) => !line.includes('a sound') && !line.includes('warning: no '));
    expect(status).toBe(complaints.some((line) => !line.includes('warning: ')) ? 78 : 0);
    return complaints;
  };

  it.each<[string, (configs: Record<'host' | 'android' | 'vault', Config>) => void]>([
    [
      'a VM that the host has no key for',
      () => write('host.keys.json', JSON.stringify({ android: 'a'.repeat(64) }), 0o600),
    ],
    [
      'an owner that the host has no key for',
      () => write('host.keys.json', JSON.stringify({ vault: 'c'.repeat(64) }), 0o600),
    ],
    [
      'an agent without a key for its host',
      () => write('vault.keys.json', JSON.stringify({ android: 'b'.repeat(64) }), 0o600),
    ],
    [
      'a borrower that the owner names twice and has no key for',
      ({ android }) => {
        write('android.keys.json', JSON.stringify({ host: 'a'.repeat(64) }), 0o600);
        const rule = { bundle: PANEL.id, borrower: 'vault' };
        android['policy'] = { kind: 'list', allow: [rule, { ...rule, purposes: ['pin'] }] };
      },
    ],
    [
      'an owner that the host listens for nowhere',
      ({ host: h }) => (h['transport'] = { kind: 'stream', listen: { vault: 'unix:/run/v' } }),
    ],
  ])('says once: %s', (_, change) => {
    expect(files(change)).toHaveLength(1);
  });

  it('finds nothing between those that fit', () => {
    expect(files(() => {})).toEqual([]);
  });

  it.each<[string, (configs: Record<'host' | 'android' | 'vault', Config>) => void, string]>([
    [
      'two names of one machine',
      ({ vault }) => {
        vault['machine'] = 'm1';
      },
      'machine: "m1", and "machine" in host.json: expected the same for all parties of a machine',
    ],
    [
      'keys of a pair that differ',
      () =>
        write('vault.keys.json', JSON.stringify({ host: 'd'.repeat(64), android: 'b'.repeat(64) }), 0o600),
      'keys: the key for "host" is not the one that host.json has for "vault"',
    ],
    [
      'keys between agents that differ',
      () =>
        write('vault.keys.json', JSON.stringify({ host: 'c'.repeat(64), android: 'e'.repeat(64) }), 0o600),
      'keys: the key for "android" is not the one that android.json has for "vault"',
    ],
    [
      'a VM that the host has no key for',
      () => write('host.keys.json', JSON.stringify({ android: 'a'.repeat(64) }), 0o600),
      'no key for "vault", a VM: expected one in host.keys.json',
    ],
    [
      'a borrower that the owner has no key for',
      () => write('android.keys.json', JSON.stringify({ host: 'a'.repeat(64) }), 0o600),
      'a key for "android", and android.json has none for "vault"',
    ],
    [
      'bundle files that differ',
      ({ vault }) => {
        write(
          'other.json',
          bundleFileText([{ ...PANEL, keeper: PANEL.keeper === 'owner' ? 'hypervisor' : 'owner' }]),
        );
        vault['bundles'] = 'other.json';
      },
      'bundles: panel is defined otherwise than for host.json',
    ],
    [
      'a bundle that the host lacks',
      ({ host: h }) => {
        write('other.json', bundleFileText([{ ...PANEL, id: 'camera' as never }]));
        h['bundles'] = 'other.json';
      },
      'bundles: panel is missing in the bundle file of host.json',
    ],
    [
      'two of one name',
      ({ vault }) => (vault['vm'] = 'android'),
      '"android" is the name in android.json as well',
    ],
    [
      'a VM that the enforcer does not know',
      ({ host: h }) => (h['enforcer'] = { kind: 'none', vms: ['android'] }),
      '"vault" is none of the VMs that the enforcer of the host names',
    ],
    [
      'another kind of transport',
      ({ vault }) => Object.assign(vault, mqtt({})),
      'transport.kind: "mqtt", and "stream" in host.json',
    ],
    [
      'another address than the host listens at',
      ({ vault }) => (vault['transport'] = { kind: 'stream', address: 'unix:/run/a' }),
      'the agent dials unix:/run/a, and the host listens for it at unix:/run/v',
    ],
    [
      'another port',
      ({ host: h, vault }) => {
        h['transport'] = { kind: 'stream', listen: { android: 'unix:/run/a', vault: 'tcp:[::]:7002' } };
        vault['transport'] = { kind: 'stream', address: 'tcp:192.168.7.1:7001' };
      },
      'the agent dials tcp:192.168.7.1:7001, and the host listens for it at tcp:[::]:7002',
    ],
    [
      'a loopback that no guest reaches',
      ({ host: h, vault }) => {
        h['transport'] = { kind: 'stream', listen: { android: 'unix:/run/a', vault: 'tcp:127.0.0.1:7001' } };
        vault['transport'] = { kind: 'stream', address: 'tcp:192.168.7.1:7001' };
      },
      'the host listens for it at tcp:127.0.0.1:7001',
    ],
    [
      'one state folder for two',
      ({ vault }) => (vault['state'] = 'state'),
      'state is that of android.json as well',
    ],
    [
      'one control socket for two',
      ({ vault }) => (vault['control'] = './host.sock'),
      'host.sock is that of host.json as well',
    ],
    [
      'brokers that differ',
      (configs) => {
        for (const config of Object.values(configs)) Object.assign(config, mqtt({}));
        Object.assign(configs.vault, mqtt({ url: 'mqtt://localhost:1884' }));
      },
      'transport.url: mqtt://localhost:1884, and mqtt://127.0.0.1 in host.json: is it the same broker?',
    ],
    [
      'brokers that may differ, as a warning',
      (configs) => {
        Object.assign(configs.host, mqtt({ url: 'mqtt://192.168.7.1' }));
        Object.assign(configs.android, mqtt({ url: 'mqtt://192.168.7.1' }));
        Object.assign(configs.vault, mqtt({ url: 'mqtt://192.168.8.1' }));
      },
      'warning: mqtt://192.168.8.1, and mqtt://192.168.7.1 in host.json: is it the same broker?',
    ],
  ])('finds %s', (_, change, words) => {
    const text = files(change).join('\n');
    expect(text).toContain(words);
    expect(text).not.toMatch(/[0-9a-f]{9}/);
  });

  it('says nothing of guests that see one broker at another address, and have paths of their own', () => {
    const complaints = files((configs) => {
      Object.assign(configs.host, mqtt({ url: 'mqtt://127.0.0.1' }));
      for (const guest of [configs.android, configs.vault])
        Object.assign(guest, mqtt({ url: 'mqtt://10.0.2.2' }), {
          state: '/var/lib/baton',
          control: '/run/baton/agent.sock',
        });
    });
    expect(complaints).toEqual([]);
  });

  it('takes the ends of a vsock for what they are', () => {
    for (const address of [
      'vsock:3:7000',
      'vsock-unix:/run/v.sock:7000',
      'unix:/run/v.sock_7000',
      'vsock:any:7000',
    ]) {
      const change = ({ host: h, vault }: Record<'host' | 'vault', Config>) => {
        h['transport'] = { kind: 'stream', listen: { android: 'unix:/run/a', vault: address } };
        vault['transport'] = { kind: 'stream', address: 'vsock:2:7000' };
      };
      expect(files(change)).toEqual([]);
    }
  });
});

it('no folder is made by a check', () => {
  mkdirSync(join(folder, 'empty'));
  write('x.json', JSON.stringify({ ...agent(), state: 'empty/a/b', control: 'empty/c/d.sock' }));
  const lines: string[] = [];
  checkConfig({ ...FILES, out: (line: string) => lines.push(line) } as unknown as FileWorld, [
    join(folder, 'x.json'),
  ]);
  expect(FILES.look(join(folder, 'empty/a'))).toBeUndefined();
  expect(FILES.look(join(folder, 'empty/c'))).toBeUndefined();
});
