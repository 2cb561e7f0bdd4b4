/** Opens the transport of a configuration, with its needs from Node. */

import { ConfigError } from '../../../src/config/read.ts';
import { HOST, type VmId } from '../../../src/core/protocol/ids.ts';
import type { TransportParts } from '../../../src/edges/transport/kind.ts';
import { MqttTransport } from '../../../src/edges/transport/kinds/mqtt/mqtt-transport.ts';
import {
  type AgentTransport,
  type HostTransport,
  transportKindOf,
} from '../../../src/edges/transport/kinds.ts';
import type { Log, Transport } from '../../../src/ports/world.ts';
import { readText } from '../config/files.ts';
import { CLOCK } from '../system/clock.ts';
import { ENTROPY } from '../system/entropy.ts';
import { mqttBroker } from './mqtt.ts';
import { STREAMS } from './streams.ts';

/** Returns a path in the configuration file as an absolute one. */
type Beside = (path: string) => string;

/** Opens the transport of the agent of `self`. */
export function agentTransport(
  self: VmId,
  machine: string,
  config: AgentTransport,
  beside: Beside,
  log: Log,
): Transport {
  return transportKindOf(config).openAgent(config, partsOf(self, machine, beside, log));
}

/** Opens the transport of the host. */
export function hostTransport(machine: string, config: HostTransport, beside: Beside, log: Log): Transport {
  return transportKindOf(config).openHost(config, partsOf(HOST, machine, beside, log));
}

function partsOf(self: VmId, machine: string, beside: Beside, log: Log): TransportParts {
  return {
    self,
    machine,
    streams: STREAMS,
    clock: CLOCK,
    entropy: ENTROPY,
    log,
    mqtt: (settings) =>
      new MqttTransport({ self, machine, broker: mqttBroker(settings), clock: CLOCK, entropy: ENTROPY, log }),
    secret: (key, path) => {
      try {
        return readText(beside(path));
      } catch {
        // Node's message contains the path, which may be the password itself if the field was misunderstood.
        throw new ConfigError(`transport.${key}: the file with the password cannot be read`);
      }
    },
  };
}
