/** `baton doctor` and a real broker: none of its checks fails under the files of docs/mosquitto, and each without. */

import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ANDROID } from '../edges/transport/party.ts';
import { temporaryFolder } from '../edges/transport/worlds.ts';
import { DoctorWorld } from '../node/doctor/world.ts';
import { type Mosquitto, prepareMosquitto } from './mosquitto.ts';

const BROKER = [
  'broker-reached',
  'broker-login',
  'broker-anonymous',
  'acl-inbox',
  'acl-sender',
  'acl-others',
  'broker-nagle',
];

let folder: ReturnType<typeof temporaryFolder>;
let mosquitto: Mosquitto;
let world: DoctorWorld;
beforeEach(async () => {
  folder = temporaryFolder();
  mosquitto = await prepareMosquitto(folder.path);
  world = await new DoctorWorld().start();
});
afterEach(async () => {
  await mosquitto.tcp.stop();
  await world.end();
  folder.remove();
});

/** Changes a file of the broker. */
function edit(name: string, from: RegExp | string, to: string): void {
  const path = join(folder.path, name);
  const text = readFileSync(path, 'utf8');
  expect(text).toMatch(from);
  writeFileSync(path, text.replace(from, to));
  chmodSync(path, 0o600);
}

async function faults(over: 'tcp' | 'unix', version: string): Promise<string[]> {
  const { url, passwords, start } = mosquitto[over];
  await start();
  world.write('android.password', passwords.get(ANDROID)!, 0o600);
  world.transport({ url, version });
  const { checks } = await world.lines(['agent'], ...BROKER.flatMap((name) => ['--only', name]));
  expect(checks.map(({ check }) => check)).toEqual(BROKER);
  return checks.flatMap(({ check, result }) => (result === 'ok' ? [] : [check]));
}

describe.each(['3.1.1', '5'])('over MQTT %s', (version) => {
  it.each(['tcp', 'unix'] as const)('and %s, as shipped, all is well', async (over) => {
    expect(await faults(over, version)).toEqual([]);
  });

  it('without set_tcp_nodelay Nagle’s algorithm is found', async () => {
    edit('baton.conf', 'set_tcp_nodelay true', '');
    expect(await faults('tcp', version)).toEqual(['broker-nagle']);
  });

  it('with allow_anonymous that is found', async () => {
    edit('baton.conf', 'allow_anonymous false', 'allow_anonymous true');
    expect(await faults('tcp', version)).toEqual(['broker-anonymous']);
  });

  it('with a line that does not pin the sender that is found', async () => {
    edit('acl', /^pattern write .*$/m, 'pattern write baton/machine/+/in/+');
    expect(await faults('tcp', version)).toEqual(['acl-sender']);
  });

  it('with a line that opens every inbox that is found', async () => {
    edit('acl', /^pattern read .*$/m, 'pattern read baton/machine/+/in/+');
    expect(await faults('tcp', version)).toEqual(['acl-others']);
  });

  it('with lines of another machine the inbox does not work', async () => {
    edit('acl', /^pattern write .*$/m, 'pattern write baton/m2/+/in/%u');
    expect(await faults('tcp', version)).toEqual(['acl-inbox', 'acl-sender', 'acl-others']);
  });

  it('with another password the login is refused', async () => {
    edit('passwords', /^android:/m, 'nobody:');
    const found = await faults('tcp', version);
    expect(found).toEqual(['broker-login', 'acl-inbox', 'acl-sender', 'acl-others', 'broker-nagle']);
  });
});
