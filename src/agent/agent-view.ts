/**
 * What an agent shows of its bundles: the view for `status` and `describe`, and its notices as words. Pure.
 */

import type { DriverStatus } from '../ports.ts';
import type { AgentNotice } from '../protocol/agent-io.ts';
import type { BorrowerStateName } from '../protocol/borrower-state.ts';
import type { BundleId, OwnerState, VmId } from '../protocol/index.ts';
import type { OwnerStateName } from '../protocol/owner-state.ts';

/** How a bundle stands, as this agent sees it. */
export interface BundleView {
  readonly bundle: BundleId;
  readonly role: 'owner' | 'borrower';
  /** VM with title to the bundle. */
  readonly owner: VmId;
  readonly state: string;
  readonly epoch: number;
  readonly holder: VmId | null;
  readonly driver: DriverStatus;
  /** Why it is as it is: the last thing that happened. */
  readonly reason: string;
  /** Lease left, estimated on our clock; null for an owner or when not held. */
  readonly leaseLeftMs: number | null;
  /** The last events, oldest first. */
  readonly events: readonly string[];
  /** Set when the host means another definition by this name. */
  readonly definitionDiffers: boolean;
  /** What the back end proves. */
  readonly evidence: string | null;
}

/** A state in words, for `status`: what the agent waits for or does. */
const STATE_TEXTS: Readonly<Record<OwnerStateName | BorrowerStateName, string>> = {
  starting: 'starting: looks what the driver does',
  unknown: 'waits for the host to say who holds it',
  held: 'holds it, driver active',
  deciding: 'its policy decides about a request',
  preparing: 'waits for the host’s reservation',
  suspending: 'the driver suspends',
  lending: 'the host moves it',
  lent: 'with its borrower, or on its way',
  parked: 'with nobody; asks for it',
  resuming: 'the driver resumes',
  failed: 'holds it, but its driver did not resume; tries again',
  quarantined: 'in quarantine; an operator lifts it at the host',
  idle: 'wants nothing',
  asking: 'asks the host who holds it',
  requesting: 'asked the owner',
  pending: 'about to come',
  releasing: 'waits until the host has taken it back',
};

/** Returns a state of either role in words. */
export function stateText(name: OwnerStateName | BorrowerStateName): string {
  return STATE_TEXTS[name];
}

/** Who holds, as the owner can tell; undefined while it cannot. */
export function holderSeenByOwner(self: VmId, state: OwnerState): VmId | undefined {
  if (state.name === 'lent') return state.borrower;
  const away = ['starting', 'unknown', 'parked', 'quarantined', 'lending'].includes(state.name);
  return away || state.overtaken ? undefined : self;
}

/** A notice in words. */
export function noticeText(notice: AgentNotice): string {
  switch (notice.notice) {
    case 'granted':
      return `granted at epoch ${notice.epoch} for ${notice.leaseMs} ms`;
    case 'declined':
      return `declined: ${notice.reason}${notice.detail === undefined ? '' : `: ${notice.detail}`}`;
    case 'timedOut':
      return 'the owner did not answer in time';
    case 'recalled':
      return `to be given back within ${notice.ms} ms (${notice.cause})`;
    case 'returned':
      return 'given back';
    case 'lost':
      return `taken by force (${notice.cause ?? 'cause not told'})`;
    case 'evidenceMismatch':
      return `rejected: ${notice.what}`;
    case 'hookFailed':
      return `hook ${notice.hook} failed: ${notice.error}`;
    case 'resumed':
      return `resumed at epoch ${notice.epoch}`;
    case 'lent':
      return `lent to ${notice.borrower} at epoch ${notice.epoch}`;
  }
}
