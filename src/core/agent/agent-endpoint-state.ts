/** State of an agent's endpoint (agent-endpoint.ts). Immutable, so that a search can store and compare it. Pure. */

import type { BundleId, Epoch } from '../protocol/ids.ts';
import type { BorrowerState } from './borrower-state.ts';
import type { HostWatch } from './host-watch.ts';
import type { OwnerState } from './owner-state.ts';
import type { Question } from './question.ts';
import type { StepTimes } from './step-times.ts';

/** One bundle, by the role of this VM. */
export type AgentBundle =
  | { readonly role: 'owner'; readonly state: OwnerState }
  | { readonly role: 'borrower'; readonly state: BorrowerState };

/** A sleep request that is not done yet. */
export interface SleepRequest {
  readonly graceMs: number;
  /** Leases already recalled for it. Each is recalled once: a second recall would grant the grace again. */
  readonly recalled: readonly string[];
}

/** Since when the borrower of this epoch holds, on our clock: a restart of this agent begins anew. */
export interface LentSince {
  readonly epoch: Epoch;
  readonly sinceMs: number;
}

/** All state of an endpoint. Immutable. */
export interface AgentEndpointState {
  readonly bundles: Readonly<Record<BundleId, AgentBundle>>;
  readonly questions: Readonly<Record<BundleId, Question>>;
  /** By bundle: number of the query that a status request started; 0: none. */
  readonly looks: Readonly<Record<BundleId, number>>;
  /** Queries sent so far. */
  readonly asked: number;
  /** By bundle: how long policy and hooks took. For people; no decision depends on it. */
  readonly times: Readonly<Record<BundleId, StepTimes>>;
  readonly watch: HostWatch;
  /** Id of the host's table, from the last session with the host. */
  readonly tableId: string | undefined;
  readonly isAsleep: boolean;
  readonly sleepRequest: SleepRequest | undefined;
  /** By bundle: when the present lease ends at the latest, on our clock, in ms. For people. */
  readonly leaseEnds: Readonly<Record<BundleId, number>>;
  /** Of our bundles that are or were lent. */
  readonly lentSince: Readonly<Record<BundleId, LentSince>>;
}

/** Returns since when a bundle is lent; the last loan while it is not. */
export function lentSince(
  before: LentSince | undefined,
  { name, borrower, epoch }: OwnerState,
  nowMs: number,
): LentSince | undefined {
  const isLent = name === 'lent' && borrower !== undefined;
  return isLent && before?.epoch !== epoch ? { epoch, sinceMs: nowMs } : before;
}

/** States of an owner in which its bundle is neither lent nor moving. */
export const NOT_LENT: ReadonlySet<string> = new Set(['held', 'parked', 'failed', 'quarantined']);
/** States of an owner or borrower in which nothing waits for the host. */
const IDLE: ReadonlySet<string> = new Set([
  'starting',
  'held',
  'failed',
  'idle',
  'quarantined',
  'parked',
  'unknown',
]);

/** Returns whether this bundle needs the host to be watched for silence. */
export function isAwake({ role, state }: AgentBundle): boolean {
  return role === 'borrower' ? !IDLE.has(state.name) || state.name === 'held' : !IDLE.has(state.name);
}
