/** State of the connection to a peer, as `status` shows it. Pure. */

import type { VmId } from '../protocol/ids.ts';
import type { VersionRange } from './session-io.ts';

/** State of the connection to a peer, for people. */
export interface PeerView {
  readonly peer: VmId;
  /** A session exists, no obstacle is known, and the last probe was answered. */
  readonly up: boolean;
  /** Duration of this state, in ms. */
  readonly forMs: number;
  /** Age of the peer's last frame in a session, in ms; null: none since our start. */
  readonly heardMs: number | null;
  /** What may be wrong: while it is down, and when two processes share one name. */
  readonly hint?: string;
}

/** What a transport says is in the way of a peer; times of our clock, in ms. */
export interface Obstruction {
  readonly reason: string | undefined;
  readonly sinceMs: number | undefined;
}

/** The known state of a peer. Times are of our clock, in ms. */
export interface PeerFacts {
  readonly peer: VmId;
  readonly hasSession: boolean;
  /** Start of the present session, or of the time without one. */
  readonly sinceMs: number;
  readonly heardMs: number | undefined;
  /** A probe had time to be answered. */
  readonly isSilent: boolean;
  readonly obstacle: Obstruction | undefined;
  /** Two processes share its name, or ours. */
  readonly twins: string | undefined;
  /** What was wrong with its frames. */
  readonly trouble: string | undefined;
}

/** Hints: while a peer does not answer, and while its frames do not verify. */
export const SILENT_HINT = 'no answer: does it run, reach the same broker or host, and know this party?';
export const UNVERIFIED_HINT =
  'its frames do not verify: do both key files contain the same key for this pair?';

/**
 * Names the older of two parties without a common protocol version: guest images are updated separately. Both ends
 * give the same answer.
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

/** Returns the view of a peer. */
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
