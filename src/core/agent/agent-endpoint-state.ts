/** What an agent's endpoint knows (agent-endpoint.ts): immutable, so that a search can keep and compare it. Pure. */

import type { BundleId } from '../protocol/ids.ts';
import type { BorrowerState } from './borrower-state.ts';
import type { HostWatch } from './host-watch.ts';
import type { OwnerState } from './owner-state.ts';
import type { Question } from './question.ts';

/** A bundle by the role of this VM. */
export type AgentBundle =
  | { readonly role: 'owner'; readonly state: OwnerState }
  | { readonly role: 'borrower'; readonly state: BorrowerState };

/** A wish to sleep that is not fulfilled yet. */
export interface Falling {
  readonly graceMs: number;
  /** Leases that were called in: each once, or its borrower would be given the grace again. */
  readonly recalled: readonly string[];
}

/** All that an endpoint knows. Immutable. */
export interface AgentEndpointState {
  readonly bundles: Readonly<Record<BundleId, AgentBundle>>;
  readonly questions: Readonly<Record<BundleId, Question>>;
  /** Of a bundle that somebody looks at: the number of the question for it. */
  readonly looks: Readonly<Record<BundleId, number>>;
  /** Questions asked so far. */
  readonly asked: number;
  readonly watch: HostWatch;
  /** Of the host's table, as the last session with the host said. */
  readonly tableId: string | undefined;
  readonly isAsleep: boolean;
  readonly falling: Falling | undefined;
}

/** States of an owner in which nothing of its bundle is lent, or on its way to be. */
export const AT_REST: ReadonlySet<string> = new Set(['held', 'parked', 'failed', 'quarantined']);
/** States of an owner or borrower in which nobody waits for the host. */
const IDLE: ReadonlySet<string> = new Set([
  'starting',
  'held',
  'failed',
  'idle',
  'quarantined',
  'parked',
  'unknown',
]);

/** Whether this VM has to know all the time that the host lives. */
export function isAwake({ role, state }: AgentBundle): boolean {
  return role === 'borrower' ? !IDLE.has(state.name) || state.name === 'held' : !IDLE.has(state.name);
}
