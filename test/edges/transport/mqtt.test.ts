/** What only MQTT has: brokers that refuse, the rules of the embedded one, retained messages, hostile brokers. */

import { createServer } from 'node:net';
import { Aedes, type AedesOptions } from 'aedes';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HOST } from '../../../src/core/protocol/ids.ts';
import type { MqttSettings } from '../../../src/edges/transport/kind.ts';
import { MqttTransport } from '../../../src/edges/transport/kinds/mqtt/mqtt-transport.ts';
import { type Broker, startBroker } from '../../../targets/lab/simulator/broker.ts';
import { mqttBroker } from '../../../targets/node/net/mqtt.ts';
import { CLOCK } from '../../../targets/node/system/clock.ts';
import { ENTROPY } from '../../../targets/node/system/entropy.ts';
import { floodingBroker } from './flooding-broker.ts';
import { ANDROID, counts, numbered, Party, VAULT } from './party.ts';
import { randomPasswords, rawClient, temporaryFolder, until } from './worlds.ts';

/** What a broker that floods sends at a time. */
const FLOOD = new Uint8Array(64 * 1024);
const passwords = randomPasswords();
const cleanups: (() => unknown)[] = [];
let broker: Broker;
beforeEach(async () => {
  broker = await startBroker('tcp:127.0.0.1:0', passwords);
  cleanups.push(() => broker.close());
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function open(settings: Partial<MqttSettings>, vm = VAULT): Party {
  const login = { username: vm, password: passwords.get(vm)! };
  const parts = { self: vm, clock: CLOCK, entropy: ENTROPY, log: () => {} };
  const party = new Party(
    vm,
    new MqttTransport({ ...parts, broker: mqttBroker({ url: broker.url, ...login, ...settings }) }),
  );
  cleanups.push(() => party.transport.close());
  return party;
}

describe('what a party asks of a broker', () => {
  test.each(['3.1.1', '5'] as const)(
    'is a session that begins with nothing and leaves no will: %s',
    async (protocol) => {
      let connect: Uint8Array | undefined;
      const server = createServer((socket) => socket.on('data', (bytes) => (connect ??= bytes)));
      cleanups.push(() => server.close());
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as { port: number };
      open({ url: `mqtt://127.0.0.1:${port}`, protocol });
      await until('it asks', () => connect !== undefined);
      const name = Buffer.from(connect!).indexOf('MQTT');
      const [version, flags] = [connect![name + 4], connect![name + 5]!];
      expect(version).toBe(protocol === '5' ? 5 : 4);
      // MQTT 3.1.1, 3.1.2.3: clean session is bit 1, a will bit 2.
      expect(flags & 0b110).toBe(0b010);
    },
  );
});

describe('a broker that refuses', () => {
  test.each([
    ['a wrong password', { password: 'wrong' }, /Bad username or password.*check user name/],
    ['a version that it does not speak', { protocol: '5' as const }, /does not speak this version of MQTT/],
    ['everything, for it is not there', { url: 'mqtt://127.0.0.1:1' }, /ECONNREFUSED/],
    ['everything, for its socket is not there', { url: 'mqtt+unix:///nowhere/broker' }, /ENOENT/],
  ])('%s: the reason is told once and the trying goes on', async (_what, settings, reason) => {
    const party = open(settings);
    await until('it is told', () => party.downs.length > 0);
    expect(party.downs[0]).toMatch(reason);
    expect([party.ups, party.downs.length, party.say(HOST, 1)]).toEqual([0, 1, false]);
  });

  test('at first, and comes up later', async () => {
    const folder = temporaryFolder();
    cleanups.push(() => folder.remove());
    const party = open({ url: `mqtt+unix://${folder.path}/broker` });
    await until('it failed', () => party.downs.length > 0);
    const late = await startBroker(`unix:${folder.path}/broker`, passwords);
    cleanups.push(() => late.close());
    await until('it is up', () => party.isUp);
  });

  test.each([
    ['bytes that are no MQTT', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['nothing and closes', ''],
  ])('by sending %s', async (_what, answer) => {
    const server = createServer((socket) => socket.on('error', () => {}).end(answer));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => server.close());
    const { port } = server.address() as { port: number };
    const party = open({ url: `mqtt://127.0.0.1:${port}` });
    await until('it failed', () => party.downs.length > 0);
    expect(party.ups).toBe(0);
  });
});

test.each(['3.1.1', '5'] as const)(
  'a broker that announces 256 MiB and sends them is left long before (version %s)',
  async (protocol) => {
    let sent = 0;
    const server = createServer((socket) => {
      const flood = () => {
        while (!socket.destroyed && sent < 0x0fff_ffff && socket.write(FLOOD)) sent += FLOOD.length;
      };
      socket.on('error', () => {}).on('drain', flood);
      // CONNACK of either version, then a PUBLISH of the greatest length.
      const connack = protocol === '5' ? [0x20, 3, 0, 0, 0] : [0x20, 2, 0, 0];
      socket.once('data', () => {
        socket.write(Uint8Array.of(...connack, 0x30, 0xff, 0xff, 0xff, 0x7f));
        flood();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => server.close());
    const { port } = server.address() as { port: number };
    const party = open({ url: `mqtt://127.0.0.1:${port}`, protocol });
    await until('it is left', () => party.downs.length > 0);
    expect(party.downs[0]).toMatch(/bytes without a whole packet/);
    // What sockets keep is among it.
    expect(sent).toBeLessThan(32 * 1024 * 1024);
  },
);
test.each([
  ['messages and reads no acknowledgement', 1, /packets came while the broker read none of ours/],
  ['messages of QoS 2, of which each would be kept', 2, /QoS 2/],
] as const)('a broker that sends %s is left', async (_what, qos, reason) => {
  const server = floodingBroker('a', qos);
  const folder = temporaryFolder();
  cleanups.push(() => folder.remove());
  await new Promise<void>((resolve) => server.listen(`${folder.path}/broker`, resolve));
  cleanups.push(() => server.close());
  const party = open({ url: `mqtt+unix://${folder.path}/broker` });
  await until('it is left', () => party.downs.length > 0);
  expect(party.downs[0]).toMatch(reason);
});

describe('a broker without rules', () => {
  /** Starts one at which `forward` decides what a receiver gets. */
  async function lawless(forward: AedesOptions['authorizeForward']): Promise<string> {
    const aedes = await Aedes.createBroker({ authorizeForward: forward! });
    const server = createServer({ noDelay: true }, aedes.handle);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => {
      aedes.close();
      server.close();
    });
    return `mqtt://127.0.0.1:${(server.address() as { port: number }).port}`;
  }

  test('a retained message is dropped: it may be from another boot', async () => {
    const url = await lawless((_client, packet) => packet);
    const android = await rawClient({ url, passwords }, ANDROID);
    const topic = `baton/machine/${VAULT}/in/${ANDROID}`;
    await android.publishAsync(topic, Buffer.from(numbered(ANDROID, VAULT, 1)), { qos: 1, retain: true });
    const vault = open({ url });
    await until('it is counted', () => counts(vault).malformed === 1);
    await android.publishAsync(topic, Buffer.from(numbered(ANDROID, VAULT, 2)), { qos: 1 });
    await until('a fresh one arrived', () => vault.heard(ANDROID, 2));
    expect(vault.frames).toHaveLength(1);
    await android.endAsync(true);
  });

  test.each([
    ['another topic', 'elsewhere'],
    ['the inbox of another', `baton/machine/${ANDROID}/in/${HOST}`],
    ['a machine of another name', `baton/other/${VAULT}/in/${HOST}`],
    ['no name', `baton/machine/${VAULT}/in/`],
    ['a name that is none', `baton/machine/${VAULT}/in/No Name`],
    ['a deeper topic', `baton/machine/${VAULT}/in/${HOST}/x`],
    ['the inbox of the receiver, from another than the frame says', `baton/machine/${VAULT}/in/${ANDROID}`],
  ])('a message on %s is dropped', async (_what, topic) => {
    let isDiverted = true;
    const url = await lawless((_client, packet) => (isDiverted ? Object.assign(packet, { topic }) : packet));
    const [vault, host] = [open({ url }), open({ url }, HOST)];
    await until('both are up', () => vault.isUp && host.isUp);
    host.say(VAULT, 1);
    await until('it is counted', () => counts(vault).malformed === 1);
    isDiverted = false;
    host.say(VAULT, 2);
    await until('the next one arrived', () => vault.heard(HOST, 2));
    expect(vault.frames).toHaveLength(1);
  });
});

describe('the embedded broker', () => {
  test('cuts off who sends under another name, and delivers nothing of it', async () => {
    const vault = open({});
    await until('vault is up', () => vault.isUp);
    const android = await rawClient({ url: broker.url, passwords }, ANDROID);
    const closed = new Promise((resolve) => android.once('close', () => resolve('closed')));
    android.publish(`baton/machine/${VAULT}/in/${HOST}`, Buffer.from(numbered(HOST, VAULT, 1)), { qos: 1 });
    expect(await closed).toBe('closed');
    const host = open({}, HOST);
    await until('the host is heard', () => host.say(VAULT, 2) && vault.heard(HOST, 2));
    expect(vault.heard(HOST, 1)).toBe(false);
  });

  test.each([`baton/machine/${VAULT}/in/+`, 'baton/#', '#', `baton/machine/${ANDROID}/in/${HOST}`])(
    'lets android not subscribe to %s',
    async (topic) => {
      const android = await rawClient({ url: broker.url, passwords }, ANDROID);
      await expect(android.subscribeAsync(topic)).rejects.toThrow();
      await android.endAsync(true);
    },
  );

  test('takes no retained message', async () => {
    const android = await rawClient({ url: broker.url, passwords }, ANDROID);
    const closed = new Promise((resolve) => android.once('close', () => resolve('closed')));
    const frame = Buffer.from(numbered(ANDROID, VAULT, 1));
    android.publish(`baton/machine/${VAULT}/in/${ANDROID}`, frame, { qos: 1, retain: true });
    expect(await closed).toBe('closed');
  });

  test.each([
    'other',
    `baton/machine/${VAULT}/out/${ANDROID}`,
    `baton/machine/${VAULT}/in/${ANDROID}/more`,
    `baton/machine//in/${ANDROID}`,
  ])('takes nothing on %s', async (topic) => {
    const android = await rawClient({ url: broker.url, passwords }, ANDROID);
    const closed = new Promise((resolve) => android.once('close', () => resolve('closed')));
    android.publish(topic, 'x', { qos: 1 });
    expect(await closed).toBe('closed');
  });
});

test.each(['tcp://host:1', 'mqtts://host', 'mqtt://user:pass@host', 'mqtt+unix://', 'mqtt://host:123456'])(
  '%s is no broker',
  (url) => {
    expect(() => mqttBroker({ url })).toThrow(/ is not the URL of a broker: .*expected /);
  },
);
