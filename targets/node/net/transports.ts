/** Makes the transport that a configuration names. */

import type { AgentFile, HostFile } from '../../../src/config/daemon-config.ts';
import { ConfigError } from '../../../src/config/read.ts';
import { HOST, type VmId, vmId } from '../../../src/core/protocol/ids.ts';
import { MqttTransport } from '../../../src/edges/transport/mqtt.ts';
import { StreamTransport } from '../../../src/edges/transport/stream.ts';
import { StreamRouter } from '../../../src/edges/transport/stream-router.ts';
import type { Log, Transport } from '../../../src/ports/world.ts';
import { readText } from '../config/files.ts';
import { CLOCK } from '../system/clock.ts';
import { ENTROPY } from '../system/entropy.ts';
import { mqttBroker } from './mqtt.ts';
import { STREAMS } from './streams.ts';

type Beside = (path: string) => string;
type MqttPart = Extract<AgentFile['transport'], { kind: 'mqtt' }>;

/** The transport of the agent of `self`. */
export function agentTransport(
  self: VmId,
  machine: string,
  config: AgentFile['transport'],
  beside: Beside,
  log: Log,
): Transport {
  if (config.kind === 'mqtt') return mqtt(self, machine, config, beside, log);
  return new StreamTransport({
    self,
    address: config.address,
    streams: STREAMS,
    clock: CLOCK,
    entropy: ENTROPY,
    log,
  });
}

/** The transport of the host. */
export function hostTransport(
  machine: string,
  config: HostFile['transport'],
  beside: Beside,
  log: Log,
): Transport {
  if (config.kind === 'mqtt') return mqtt(HOST, machine, config, beside, log);
  const listen = Object.entries(config.listen).map(([vm, address]) => ({
    vm: vmId(vm),
    address: String(address),
  }));
  return new StreamRouter({ listen, streams: STREAMS, clock: CLOCK, log });
}

function mqtt(self: VmId, machine: string, config: MqttPart, beside: Beside, log: Log): Transport {
  const { url, username, passwordFile, version } = config;
  const settings = {
    url,
    ...(version ? { protocol: version as '3.1.1' | '5' } : {}),
    ...(username ? { username } : {}),
    ...(passwordFile ? { password: readPassword(beside(passwordFile)) } : {}),
  };
  return new MqttTransport({
    self,
    machine,
    broker: mqttBroker(settings),
    clock: CLOCK,
    entropy: ENTROPY,
    log,
  });
}

/** Node's message would have the path: where the file was taken for the password itself, that is the password. */
function readPassword(path: string): string {
  try {
    return readText(path).trimEnd();
  } catch {
    throw new ConfigError('transport.passwordFile: the file with the password cannot be read');
  }
}
