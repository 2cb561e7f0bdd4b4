/**
 * What an agent shows of its bundles: the view for `status` and `describe`, and its notices as words. Pure.
 */

import type { DriverStatus } from '../ports.ts';
import type { AgentNotice } from '../protocol/agent-io.ts';
import type { BundleId, OwnerState, VmId } from '../protocol/index.ts';

/** How a bundle stands, as this agent sees it. */
export interface BundleView {
  readonly bundle: BundleId;
  readonly role: 'owner' | 'borrower';
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
      return `declined: ${notice.reason}`;
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
