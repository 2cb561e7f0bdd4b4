/** Sockets to an MQTT broker on Node, for src/edges/transport/kinds/mqtt: TCP or UNIX, never delayed. */

import { connect } from 'node:net';
import type { MqttSettings } from '../../../src/edges/transport/kind.ts';
import type { MqttBroker } from '../../../src/edges/transport/kinds/mqtt/mqtt-transport.ts';
import { brokerAddress } from './mqtt-address.ts';
import { parseAddress } from './streams.ts';

/** Why this program cannot use MQTT; undefined: it can. */
export const MQTT_FAULT: string | undefined = undefined;

/** Returns the broker of these settings; by default with protocol 3.1.1. Throws an Error for other URLs. */
export function mqttBroker(settings: MqttSettings): MqttBroker {
  const where = parseAddress(brokerAddress(settings.url));
  return {
    where: `the broker at ${settings.url}`,
    connect: () => connect(where),
    protocol: settings.protocol ?? '3.1.1',
    username: settings.username,
    password: settings.password,
  };
}
