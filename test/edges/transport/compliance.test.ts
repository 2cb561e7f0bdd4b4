/** Every transport that needs nothing but Node passes the compliance suite. */

import { afterAll } from 'vitest';
import { type Broker, startBroker } from '../../../targets/lab/simulator/broker.ts';
import { describeTransport, describeWire } from './compliance.ts';
import { GUESTS } from './party.ts';
import {
  freePorts,
  memoryWorld,
  mqttWorld,
  randomPasswords,
  streamWorld,
  type TestBroker,
  temporaryFolder,
  unixAddresses,
} from './worlds.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

describeTransport('memory', memoryWorld);
describeWire('streams over UNIX sockets', async () => streamWorld(unixAddresses(folder.path)));
describeWire('streams over TCP', async () => {
  const ports = await freePorts(GUESTS.length);
  return streamWorld(new Map(GUESTS.map((vm, index) => [vm, `tcp:127.0.0.1:${ports[index]}`])));
});
describeWire('MQTT 3.1.1 over aedes, QoS 1', () => mqttWorld(aedes(), { protocol: '3.1.1' }));
describeWire('MQTT 3.1.1 over aedes, QoS 0', () => mqttWorld(aedes(), { protocol: '3.1.1', qos: 0 }));

/** The embedded broker on a UNIX socket. */
function aedes(): TestBroker {
  const passwords = randomPasswords();
  let broker: Broker | undefined;
  return {
    url: `mqtt+unix://${folder.path}/broker`,
    passwords,
    start: async () => {
      broker = await startBroker(`unix:${folder.path}/broker`, passwords);
    },
    stop: async () => {
      await broker?.close();
      broker = undefined;
    },
  };
}
