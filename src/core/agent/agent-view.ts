/**
 * What an agent shows of its bundles: the view for `status` and `describe`, and its notices as words. Pure.
 */

import type { DriverStatus } from '../../ports/world.ts';
import type { Phase } from '../protocol/codes.ts';
import type { BundleId, VmId } from '../protocol/ids.ts';
import type { MessageOf } from '../protocol/messages.ts';
import type { AgentNotice } from './agent-io.ts';
import type { BorrowerState, BorrowerStateName } from './borrower-state.ts';
import type { OwnerState, OwnerStateName } from './owner-state.ts';

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
  /** Whether somebody means another definition by this name, */
  readonly definitionDiffers: boolean;
  /** and who. */
  readonly definitionDiffersFrom: readonly VmId[];
  /** What the enforcer proves. */
  readonly evidence: string | null;
  /** How the bundle stands; `unknown` before anybody has told. `holder` is null unless it is held. */
  readonly phase: Phase | 'unknown';
  /** How long ago the host last said how it stands, in ms; null: never. */
  readonly toldMs: number | null;
  /** Whether the enforcer takes a bundle from a borrower that does not give it back; null: not told. */
  readonly forceRevoke: boolean | null;
}

/** What the host last said of a bundle, and when, on our clock. */
export interface LastReport {
  readonly phase: Phase;
  readonly holder: VmId | undefined;
  readonly atMs: number;
}

/** How a bundle stands, and with whom. */
export interface Standing {
  readonly phase: Phase | 'unknown';
  readonly holder: VmId | undefined;
}

const UNKNOWN: Standing = { phase: 'unknown', holder: undefined };

/** What `message` of the host says of how a bundle stands. */
export function reportedBy(
  message: MessageOf<'remapped'> | MessageOf<'stateReported'>,
  atMs: number,
): LastReport {
  const { holder } = message;
  const phase = message.kind === 'stateReported' ? message.phase : holder ? 'held' : 'parked';
  return { phase, holder: phase === 'held' ? holder : undefined, atMs };
}

/** How the bundle stands, as the owner can tell by itself. */
export function seenByOwner(self: VmId, state: OwnerState): Standing {
  switch (state.name) {
    case 'starting':
    case 'unknown':
      return UNKNOWN;
    case 'lending':
      return { phase: 'moving', holder: undefined };
    case 'parked':
    case 'quarantined':
      return { phase: state.name, holder: undefined };
    case 'lent':
      return { phase: state.borrower ? 'held' : 'moving', holder: state.borrower };
    default:
      return state.overtaken ? UNKNOWN : { phase: 'held', holder: self };
  }
}

/** How the bundle stands, as a borrower can tell by itself. */
export function seenByBorrower(self: VmId, state: BorrowerState): Standing {
  const { name, known } = state;
  if (name === 'starting' || name === 'unknown') return UNKNOWN;
  if (name === 'held' || ((name === 'resuming' || name === 'suspending') && !state.overtaken))
    return { phase: 'held', holder: self };
  if (known.holder) return { phase: 'held', holder: known.holder };
  return known.epoch > 0 ? { phase: 'parked', holder: undefined } : UNKNOWN;
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

/** What a refused access did, as far as it is known. */
export function faultVerb(write: boolean | undefined): string {
  if (write === undefined) return 'used';
  return write ? 'wrote' : 'read';
}
