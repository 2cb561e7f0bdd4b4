/**
 * A real broker under the files of docs/mosquitto: the compliance suite, and what its access list refuses.
 *
 * Run by `npm run test:mosquitto`.
 */

import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HOST } from '../../src/core/protocol/ids.ts';
import { FRAME_BYTES_MAX } from '../../src/core/wire/limits.ts';
import { describeWire, type WireWorld } from '../edges/transport/compliance.ts';
import { ANDROID, counts, longestFrame, numbered, type Party, VAULT } from '../edges/transport/party.ts';
import { mqttWorld, rawClient, temporaryFolder, until } from '../edges/transport/worlds.ts';
import { prepareMosquitto } from './mosquitto.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());
const mosquitto = await prepareMosquitto(folder.path);

describeWire('MQTT 3.1.1 over mosquitto, TCP', () => mqttWorld(mosquitto.tcp, { protocol: '3.1.1' }));
describeWire('MQTT 5 over mosquitto, TCP', () => mqttWorld(mosquitto.tcp, { protocol: '5' }));
describeWire('MQTT 3.1.1 over mosquitto, UNIX socket', () =>
  mqttWorld(mosquitto.unix, { protocol: '3.1.1' }),
);
describeWire('MQTT 5 over mosquitto, UNIX socket', () => mqttWorld(mosquitto.unix, { protocol: '5' }));
describeWire('MQTT 5 over mosquitto, UNIX socket, QoS 0', () =>
  mqttWorld(mosquitto.unix, { protocol: '5', qos: 0 }),
);

describe.each([4, 5] as const)('the access list as shipped, MQTT level %i', (protocolVersion) => {
  let world: WireWorld;
  let vault: Party;
  beforeEach(async () => {
    world = await mqttWorld(mosquitto.tcp, { protocol: protocolVersion === 5 ? '5' : '3.1.1' });
    vault = world.party(VAULT);
    await until('vault is up', () => vault.isUp);
  });
  afterEach(() => world.close());

  test('a message under the name of another is not delivered', async () => {
    const android = await rawClient(mosquitto.tcp, ANDROID, { protocolVersion });
    const spoofed = Buffer.from(numbered(HOST, VAULT, 1));
    // Level 5 tells the sender, level 3.1.1 cannot.
    await android.publishAsync(`baton/machine/${VAULT}/in/${HOST}`, spoofed, { qos: 1 }).catch(() => {});
    await android.publishAsync(
      `baton/machine/${VAULT}/in/${ANDROID}`,
      Buffer.from(numbered(ANDROID, VAULT, 2)),
      {
        qos: 1,
      },
    );
    await until('the honest one arrived', () => vault.heard(ANDROID, 2));
    expect(vault.frames).toHaveLength(1);
    await android.endAsync(true);
  });

  test('nobody reads the inbox of another', async () => {
    const android = await rawClient(mosquitto.tcp, ANDROID, { protocolVersion });
    const read: string[] = [];
    android.on('message', (topic) => read.push(topic));
    for (const topic of [
      `baton/machine/${VAULT}/in/+`,
      `baton/machine/${ANDROID}/in/+`,
      'baton/#',
      '#',
      '$SYS/#',
    ]) {
      await android.subscribeAsync(topic, { qos: 1 }).catch(() => {});
    }
    const host = world.party(HOST);
    await until('host is up', () => host.isUp);
    host.say(VAULT, 1);
    host.say(ANDROID, 2);
    await until(
      'both arrived',
      () => vault.heard(HOST, 1) && read.includes(`baton/machine/${ANDROID}/in/${HOST}`),
    );
    expect(new Set(read)).toEqual(new Set([`baton/machine/${ANDROID}/in/${HOST}`]));
    await android.endAsync(true);
  });

  test('nobody gets in without a password', async () => {
    await expect(rawClient(mosquitto.tcp, 'mallory', { protocolVersion })).rejects.toThrow();
    await expect(rawClient(mosquitto.tcp, '', { protocolVersion })).rejects.toThrow();
  });

  test('a message that is longer than any frame is counted and goes no further', async () => {
    const android = await rawClient(mosquitto.tcp, ANDROID, { protocolVersion });
    const tooLong = Buffer.concat([longestFrame(ANDROID, VAULT), Buffer.alloc(1)]);
    await android.publishAsync(`baton/machine/${VAULT}/in/${ANDROID}`, tooLong, { qos: 1 });
    await until('it is counted', () => counts(vault).malformed === 1);
    expect(vault.frames).toEqual([]);
    await android.endAsync(true);
  });

  test('who sends more than the longest message is cut off, and nobody gets it', async () => {
    const android = await rawClient(mosquitto.tcp, ANDROID, { protocolVersion });
    const closed = new Promise((resolve) => android.once('close', () => resolve('closed')));
    android.on('error', () => {});
    android.publish(`baton/machine/${VAULT}/in/${ANDROID}`, Buffer.alloc(2 * FRAME_BYTES_MAX), { qos: 1 });
    expect(await closed).toBe('closed');
    const host = world.party(HOST);
    await until('host is up', () => host.isUp);
    host.say(VAULT, 1);
    await until('the next one arrived', () => vault.heard(HOST, 1));
    expect(counts(vault)).toMatchObject({ malformed: 0, received: 1 });
  });
});

test('mosquitto takes every line of the shipped configuration without complaint', () => {
  // It warns once that the test is root, and for each UNIX socket that there is no TCP to set up.
  const complaints = mosquitto
    .output()
    .split('\n')
    .filter((line) => /warning|error|note|invalid|unknown config/i.test(line))
    .filter((line) => !/should not be run as root|Unable to set TCP_NODELAY/.test(line));
  expect(complaints).toEqual([]);
});
