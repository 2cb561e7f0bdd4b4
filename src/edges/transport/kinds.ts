/** The kinds of transports, a line each, in the order in which docs/CONFIG.md lists them. */

import { type Static, type TSchema, type TUnsafe, Type } from '../../common/schema.ts';
import type { TransportKind } from './kind.ts';
import { MQTT } from './kinds/mqtt/mqtt.ts';
import { STREAM } from './kinds/stream/stream.ts';

const KINDS = {
  mqtt: MQTT,
  stream: STREAM,
} as const;

type Kinds = (typeof KINDS)[keyof typeof KINDS];
/** The part `transport` of an agent's configuration. */
export type AgentTransport = Static<Kinds['agent']>;
/** The part `transport` of a host's configuration. */
export type HostTransport = Static<Kinds['host']>;

const ALL = KINDS as unknown as Readonly<Record<string, TransportKind>>;
const SAYS = { description: 'how messages are transported; the same for all parties' };

/** Forms of the part `transport` of an agent. */
export const AGENT_TRANSPORT_SCHEMA = Type.Union(
  Object.values(ALL).map(({ agent }): TSchema => agent),
  SAYS,
) as unknown as TUnsafe<AgentTransport>;
/** Forms of the part `transport` of the host. */
export const HOST_TRANSPORT_SCHEMA = Type.Union(
  Object.values(ALL).map(({ host }): TSchema => host),
  SAYS,
) as unknown as TUnsafe<HostTransport>;

/** The kind that a configuration chooses. */
export function transportKindOf({ kind }: AgentTransport | HostTransport): TransportKind {
  return ALL[kind]!;
}
