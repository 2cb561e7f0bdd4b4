/** What an agent shows of its bundles: the view for `status` and `describe`, and its notices as text. Pure. */

import type { DriverStatus } from '../../ports/world.ts';
import type { Phase } from '../protocol/codes.ts';
import type { BundleId, VmId } from '../protocol/ids.ts';
import type { MessageOf } from '../protocol/messages.ts';
import type { AgentNotice } from './agent-io.ts';
import type { BorrowerState, BorrowerStateName } from './borrower-state.ts';
import type { OwnerState, OwnerStateName } from './owner-state.ts';

/** A bundle as this agent sees it. */
export interface BundleView {
  readonly bundle: BundleId;
  readonly role: 'owner' | 'borrower';
  /** VM with title to the bundle. */
  readonly owner: VmId;
  readonly state: string;
  readonly epoch: number;
  readonly holder: VmId | null;
  readonly driver: DriverStatus;
  /** The last event, which explains the state. */
  readonly reason: string;
  /** Lease left, estimated on our clock; null for an owner or when not held. */
  readonly leaseLeftMs: number | null;
  /** The last events, oldest first. */
  readonly events: readonly string[];
  /** Whether another party has a different definition under this name. */
  readonly definitionDiffers: boolean;
  /** The parties with a different definition. */
  readonly definitionDiffersFrom: readonly VmId[];
  /** Evidence level that the enforcer gives. */
  readonly evidence: string | null;
  /** State of the bundle; `unknown` until the host or the own state tells. `holder` is null unless it is held. */
  readonly phase: Phase | 'unknown';
  /** Age of the host's last ownership report, in ms; null: none yet. */
  readonly toldMs: number | null;
  /** Whether the enforcer can force a return; null: not known yet. */
  readonly forceRevoke: boolean | null;
  /** Of an owner: who waits for it, in the order of their turns. */
  readonly waiting: readonly VmId[];
  /** Of a request that waits at the owner: borrowers before it, and the longest time of their leases. */
  readonly place: { readonly position: number; readonly expectedMs: number } | null;
}

/** The host's last ownership report of a bundle, and when it came, on our clock. */
export interface LastReport {
  readonly phase: Phase;
  readonly holder: VmId | undefined;
  readonly atMs: number;
}

/** State of a bundle, and its holder. */
export interface Standing {
  readonly phase: Phase | 'unknown';
  readonly holder: VmId | undefined;
}

const UNKNOWN: Standing = { phase: 'unknown', holder: undefined };

/** Returns the state of the bundle that the ownership report `message` gives. */
export function reportedBy(
  message: MessageOf<'remapped'> | MessageOf<'stateReported'>,
  atMs: number,
): LastReport {
  const { holder } = message;
  const phase = message.kind === 'stateReported' ? message.phase : holder ? 'held' : 'parked';
  return { phase, holder: phase === 'held' ? holder : undefined, atMs };
}

/** Returns the state of the bundle as the owner knows it from its own state. */
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

/** Returns the state of the bundle as a borrower knows it from its own state. */
export function seenByBorrower(self: VmId, state: BorrowerState): Standing {
  const { name, known } = state;
  if (name === 'starting' || name === 'unknown') return UNKNOWN;
  if (name === 'held' || ((name === 'resuming' || name === 'suspending') && !state.overtaken))
    return { phase: 'held', holder: self };
  if (known.holder) return { phase: 'held', holder: known.holder };
  return known.epoch > 0 ? { phase: 'parked', holder: undefined } : UNKNOWN;
}

/** Each state in words, for `status`: what the agent waits for or does. */
const STATE_TEXTS: Readonly<Record<OwnerStateName | BorrowerStateName, string>> = {
  starting: 'inspects its driver',
  unknown: 'waits for the host to report the holder',
  held: 'holds it, driver active',
  offering: 'has offered it',
  preparing: 'waits for the host’s reservation',
  suspending: 'the driver suspends',
  lending: 'the host moves it',
  lent: 'the borrower holds it, or it is moving',
  parked: 'no VM holds it; claims it',
  resuming: 'the driver resumes',
  failed: 'holds it, but its driver did not resume; tries again',
  quarantined: 'quarantined; an operator lifts it at the host',
  idle: 'not requested',
  asking: 'asks the host who holds it',
  requesting: 'waits for the owner’s answer',
  queued: 'waits for its turn at the owner',
  pending: 'the handover is announced',
  releasing: 'waits until the host has taken it back',
};

/** Returns the words for a state of either role. */
export function stateText(name: OwnerStateName | BorrowerStateName): string {
  return STATE_TEXTS[name];
}

/** Why an unasked offer came to nothing. */
export const OFFER_TEXTS = {
  notNow: 'this VM does not hold it, or somebody waits',
  declined: 'its agent declined',
  notAnswered: 'nobody there asked for it in time',
} as const;

/** Returns the words for a notice. */
export function noticeText(notice: AgentNotice): string {
  switch (notice.notice) {
    case 'granted':
      return `granted at epoch ${notice.epoch} for ${notice.leaseMs} ms`;
    case 'declined':
      return `declined: ${notice.reason}${notice.detail === undefined ? '' : `: ${notice.detail}`}`;
    case 'timedOut':
      return notice.isQueued ? 'its turn did not come in time' : 'the owner did not answer in time';
    case 'queued':
      return `waits for its turn: ${notice.position} before it, ${notice.expectedMs} ms at most`;
    case 'offered':
      return `offered by the owner for ${notice.leaseMs} ms`;
    case 'notOffered':
      return `not offered to ${notice.to}: ${OFFER_TEXTS[notice.reason]}`;
    case 'renewed':
      return `renewed at epoch ${notice.epoch}: ${notice.leaseMs} ms are left`;
    case 'renewalDeclined':
      return `not renewed: ${notice.reason}${notice.detail === undefined ? '' : `: ${notice.detail}`}`;
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

/** Returns the words for a refused access, as far as it is known. */
export function faultVerb(write: boolean | undefined): string {
  if (write === undefined) return 'used';
  return write ? 'wrote' : 'read';
}
