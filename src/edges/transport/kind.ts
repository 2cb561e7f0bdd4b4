/**
 * Interface of a transport kind: one object per folder of `kinds/`, with its schemas (whose descriptions make the
 * tables of docs/CONFIG.md) and its opening for an agent and for the host.
 */

import type { Static, TSchema } from '../../common/schema.ts';
import type { VmId } from '../../core/protocol/ids.ts';
import type { Clock, Entropy, Log, StreamNetwork, Transport } from '../../ports/world.ts';

/** How to reach a broker; `password`: its text. */
export interface MqttSettings {
  readonly url: string;
  /** Absent: 3.1.1. */
  readonly protocol?: '3.1.1' | '5';
  readonly username?: string;
  readonly password?: string;
}

/** Parameters of opening a transport. */
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
   * program may be built without it. Throws an Error for unsupported URLs.
   */
  mqtt(settings: MqttSettings): Transport;
  /** Returns the text of the file that `key` of the part `transport` names. Throws a ConfigError without `path`. */
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
