/** How the way to a peer stands, as `status` shows it: known fresh, or said to be old. Pure. */

import type { VmId } from '../../core/protocol/ids.ts';
import type { VersionRange } from '../../core/wire/session-io.ts';
import type { Obstacle } from '../../ports/world.ts';

/** How the way to a peer stands, for people. */
export interface PeerView {
  readonly peer: VmId;
  /** There is a session, nothing is known to be in the way, and the peer has not left a question unanswered. */
  readonly up: boolean;
  /** How long it has been so, in ms. */
  readonly forMs: number;
  /** How long ago the peer was last heard in a session, in ms; null: never since we started. */
  readonly heardMs: number | null;
  /** What may be wrong: while it is not up, and when two take turns at one name. */
  readonly hint?: string;
}

/** What is known of a peer. Times are of our clock, in ms. */
export interface PeerFacts {
  readonly peer: VmId;
  readonly hasSession: boolean;
  /** Since when it has one, or has none. */
  readonly sinceMs: number;
  readonly heardMs: number | undefined;
  /** It was asked whether it lives and had time to answer. */
  readonly isSilent: boolean;
  readonly obstacle: Obstacle | undefined;
  /** Two take turns at its name, or at ours. */
  readonly twins: string | undefined;
  /** What was found wrong by what it sent. */
  readonly trouble: string | undefined;
}

/** What may be wrong while a peer answers nothing, and while what it sends does not verify. */
export const SILENT_HINT = 'no answer: does it run, reach the same broker or host, and know this party?';
export const UNVERIFIED_HINT =
  'what it sends does not verify: do both key files hold the same key for this pair?';

/**
 * Which of two parties without a common version of the protocol is the older one: guests' images are updated alone.
 * Both ends say the same.
 */
export function versionHint(
  peer: VmId,
  { ours, theirs }: { readonly ours: VersionRange; readonly theirs: VersionRange },
): string {
  const older =
    ours.max < theirs.min ? 'this party is the older one: update it' : `${peer} is the older one: update it`;
  return `no common protocol version: we speak ${rangeText(ours)}, the peer ${rangeText(theirs)}; ${older}`;
}

function rangeText({ min, max }: VersionRange): string {
  return min === max ? `${min}` : `${min} to ${max}`;
}

/** Makes the view of a peer. */
export function peerView(facts: PeerFacts, nowMs: number): PeerView {
  const { peer, hasSession, sinceMs, heardMs, isSilent, obstacle, twins, trouble } = facts;
  const up = hasSession && !obstacle && !isSilent;
  const brokenMs = obstacle ? (obstacle.sinceMs ?? heardMs ?? sinceMs) : (heardMs ?? sinceMs);
  const fromMs = hasSession && !up ? brokenMs : Math.min(sinceMs, obstacle?.sinceMs ?? sinceMs);
  const view = {
    peer,
    up,
    forMs: Math.max(0, Math.round(nowMs - fromMs)),
    heardMs: heardMs === undefined ? null : Math.max(0, Math.round(nowMs - heardMs)),
  };
  const hint = obstacle?.reason ?? twins ?? (up ? undefined : (trouble ?? SILENT_HINT));
  return hint === undefined ? view : { ...view, hint };
}
