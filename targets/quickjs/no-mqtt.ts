/** Stands for the transport `mqtt` and targets/node/net/mqtt.ts in a program that is built without MQTT. */

import { ConfigError } from '../../src/config/read.ts';

/** Why this program cannot speak MQTT: told of a configuration that names a broker. */
export const MQTT_FAULT: string | undefined =
  'this baton-agent is built without MQTT: expected "stream", or baton-agent-mqtt';

/** Never asked for: the configuration was refused. */
export function mqttBroker(): never {
  throw new ConfigError(`transport: ${MQTT_FAULT}`);
}

/** Never made: it takes a broker. */
export const MqttTransport = undefined;
