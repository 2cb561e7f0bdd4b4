/** Sockets to an MQTT broker on Node, for the transport of src/transport/mqtt.ts: TCP or UNIX, never delayed. */

import { connect } from 'node:net';
import type { MqttBroker } from '../../src/transport/mqtt.ts';
import { parseAddress } from './streams.ts';

/** What an agent or the host is told about its broker. */
export interface MqttSettings {
  /** `mqtt://host:port` or `mqtt+unix:///path`. */
  readonly url: string;
  readonly protocol?: MqttBroker['protocol'];
  readonly username?: string;
  readonly password?: string;
}

/** Port of MQTT without TLS, as IANA registered it. */
const MQTT_PORT = 1883;

/** Returns the broker of these settings; protocol 3.1.1 unless told otherwise. Throws an Error for other URLs. */
export function mqttBroker(settings: MqttSettings): MqttBroker {
  const where = parseAddress(addressOf(settings.url));
  return {
    where: `the broker at ${settings.url}`,
    connect: () => connect(where),
    protocol: settings.protocol ?? '3.1.1',
    username: settings.username,
    password: settings.password,
  };
}

/** Returns the stream address of a broker's URL. */
function addressOf(url: string): string {
  const unix = /^mqtt\+unix:\/\/(\/.+)$/.exec(url);
  if (unix) return `unix:${unix[1]}`;
  const tcp = /^mqtt:\/\/([^/:@]+)(?::(\d{1,5}))?\/?$/.exec(url);
  if (tcp) return `tcp:${tcp[1]}:${tcp[2] ?? MQTT_PORT}`;
  throw new Error(
    `${JSON.stringify(url)} is no broker: expected mqtt://host:port or mqtt+unix:///path, user and password apart`,
  );
}
