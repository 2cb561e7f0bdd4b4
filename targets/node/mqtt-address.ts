/** Where an MQTT broker is, by its URL. */

import { withoutSecret } from '../../src/config/secrets.ts';
import type { MqttBroker } from '../../src/transport/mqtt.ts';

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

/** Returns the stream address of a broker's URL. Throws an Error for other URLs. */
export function brokerAddress(url: string): string {
  const unix = /^mqtt\+unix:\/\/(\/.+)$/.exec(url);
  if (unix) return `unix:${unix[1]}`;
  const tcp = /^mqtt:\/\/([^/:@]+)(?::(\d{1,5}))?\/?$/.exec(url);
  if (tcp) return `tcp:${tcp[1]}:${tcp[2] ?? MQTT_PORT}`;
  throw new Error(
    `${JSON.stringify(withoutSecret(url))} is no broker: expected mqtt://host:port or mqtt+unix:///path, user and password apart`,
  );
}
