/**
 * What a kind of transport is: one object per folder of `kinds/`, with its schemas (whose descriptions make the tables
 * of docs/CONFIG.md) and how an agent and the host open it.
 */

import type { Static, TSchema } from '../../common/schema.ts';
import type { VmId } from '../../core/protocol/ids.ts';
import type { Clock, Entropy, Log, StreamNetwork, Transport } from '../../ports/world.ts';

/** How a broker is reached; `password`: its text. */
export interface MqttSettings {
  readonly url: string;
  /** Absent: 3.1.1. */
  readonly protocol?: '3.1.1' | '5';
  readonly username?: string;
  readonly password?: string;
}

/** What a transport is opened with. */
export interface TransportParts {
  /** The VM of the agent, or the host as a party. */
  readonly self: VmId;
  readonly machine: string;
  readonly streams: StreamNetwork;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
  /**
   * Opens a transport over an MQTT broker (kinds/mqtt/mqtt-transport.ts). A port, since its library is large and a
   * program may be built without it. Throws an Error for URLs that it does not know.
   */
  mqtt(settings: MqttSettings): Transport;
  /** Text of the file that `key` of the part `transport` names. Throws a ConfigError that does not show `path`. */
  secret(key: string, path: string): string;
}

/** One kind. `A`, `H`: schemas of the part `transport` of an agent and of the host. */
export interface TransportKind<A extends TSchema = TSchema, H extends TSchema = TSchema> {
  readonly agent: A;
  readonly host: H;
  openAgent(config: Static<A>, parts: TransportParts): Transport;
  openHost(config: Static<H>, parts: TransportParts): Transport;
}

/** Types a kind by its schemas. */
export function transportKind<A extends TSchema, H extends TSchema>(
  kind: TransportKind<A, H>,
): TransportKind<A, H> {
  return kind;
}
