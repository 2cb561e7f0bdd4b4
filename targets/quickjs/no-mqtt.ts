/** Replaces the transport `mqtt` and targets/node/net/mqtt.ts in a program without MQTT. */

import { ConfigError } from '../../src/config/read.ts';

/** Why this program cannot use MQTT: the complaint about a configuration with a broker. */
export const MQTT_FAULT: string | undefined =
  'this baton-agent is built without MQTT: expected "stream", or baton-agent-mqtt';

/** Never called: the configuration was refused. */
export function mqttBroker(): never {
  throw new ConfigError(`transport: ${MQTT_FAULT}`);
}

/** Never constructed: it needs a broker. */
export const MqttTransport = undefined;
