/** Stands for src/transport/mqtt.ts and targets/node/mqtt.ts in a program that is built without MQTT. */

import { ConfigError } from '../../src/config/read.ts';

/** The first that is asked for when a configuration names a broker. */
export function mqttBroker(): never {
  throw new ConfigError(
    'transport: this baton-agent is built without MQTT: use baton-agent-mqtt, or "kind": "stream"',
  );
}

/** Never made: it takes a broker. */
export const MqttTransport = undefined;
