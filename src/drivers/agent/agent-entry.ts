/** The view of one bundle at an agent, from the orders of its endpoint. No decision depends on it. Pure. */

import type { AgentEndpointState } from '../../core/agent/agent-endpoint-state.ts';
import {
  type BundleView,
  type LastReport,
  reportedBy,
  seenByBorrower,
  seenByOwner,
} from '../../core/agent/agent-view.ts';
import { inTurn } from '../../core/agent/owner-queue.ts';
import type { BundleDefinition } from '../../core/protocol/bundle.ts';
import type { VmId } from '../../core/protocol/ids.ts';
import type { MessageOf } from '../../core/protocol/messages.ts';
import type { EventLog } from './event-log.ts';

/** One bundle as users see it. Times are of our clock, in ms. */
export interface Entry {
  readonly definition: BundleDefinition;
  readonly eventLog: EventLog;
  evidence: string | null;
  /** Peers with a different definition under its name. */
  differs: readonly VmId[];
  told: LastReport | undefined;
  forces: boolean | undefined;
  /** When its table last changed state. */
  movedMs: number;
}

/** Returns an entry for a bundle without any report. */
export function newEntry(definition: BundleDefinition, eventLog: EventLog): Entry {
  return {
    definition,
    eventLog,
    evidence: null,
    differs: [],
    told: undefined,
    forces: undefined,
    movedMs: Number.NEGATIVE_INFINITY,
  };
}

/** Stores an ownership report. */
export function noteTold(
  entry: Entry,
  message: MessageOf<'remapped'> | MessageOf<'stateReported'>,
  nowMs: number,
): void {
  entry.told = reportedBy(message, nowMs);
  entry.evidence = message.proof?.evidence ?? entry.evidence;
  if (message.kind === 'remapped') return;
  entry.forces = message.forces ?? entry.forces;
  entry.evidence = message.proof?.evidence ?? message.declared ?? entry.evidence;
}

/** Returns the view of a bundle at the agent of `self`, whose endpoint has this state. */
export function bundleView(
  entry: Entry,
  endpoint: AgentEndpointState,
  self: VmId,
  nowMs: number,
): BundleView {
  const { definition, told } = entry;
  const bundle = endpoint.bundles[definition.id]!;
  const leaseEndsMs = endpoint.leaseEnds[definition.id];
  const { role, state } = bundle;
  const holds = state.name === 'held' || state.name === 'suspending' || state.name === 'resuming';
  const own = bundle.role === 'owner' ? seenByOwner(self, bundle.state) : seenByBorrower(self, bundle.state);
  // The host's report counts until we change the state ourselves.
  const { phase, holder } = told && told.atMs >= entry.movedMs ? told : own;
  return {
    bundle: definition.id,
    role,
    owner: definition.owner,
    state: state.name,
    epoch: state.epoch,
    holder: holder ?? null,
    driver: state.driver,
    reason: entry.eventLog.reason,
    leaseLeftMs:
      role === 'borrower' && holds && leaseEndsMs !== undefined
        ? Math.max(0, Math.round(leaseEndsMs - nowMs))
        : null,
    events: [...entry.eventLog.events],
    definitionDiffers: entry.differs.length > 0,
    definitionDiffersFrom: entry.differs,
    evidence: entry.evidence,
    phase,
    toldMs: told ? Math.round(nowMs - told.atMs) : null,
    forceRevoke: entry.forces ?? null,
    waiting: bundle.role === 'owner' ? inTurn(bundle.state.waiting).map(({ borrower }) => borrower) : [],
    place: (bundle.role === 'borrower' ? bundle.state.place : undefined) ?? null,
  };
}
