/** What a link keeps of one peer. */

import type { BundleId, VmId } from '../../core/protocol/ids.ts';
import type { PairKeys } from '../../core/wire/pair-keys.ts';
import type { Session } from '../../core/wire/session.ts';
import { LOOK_MS } from './looks.ts';
import { TwinWatch } from './twins.ts';

/** First wait for an answer to a hello, in ms. */
export const RETRY_MIN_MS = 200;

/** One peer. Times are of our clock, in ms. */
export interface Peer {
  readonly id: VmId;
  readonly pairKeys: PairKeys;
  session: Session | undefined;
  retryMs: number;
  renewedMs: number;
  /** Since when its session is up, or has not come up. */
  sinceMs: number;
  /** When it was last heard in a session. */
  heardMs: number | undefined;
  /** Since when a question whether it lives waits for an answer. */
  askedMs: number | undefined;
  /** When it was asked last. */
  probedMs: number | undefined;
  /** What was wrong with what it sent since, for people. */
  trouble: string | undefined;
  /** Bundles by which it means something else, as its last session says. */
  differs: readonly BundleId[];
  readonly twins: TwinWatch;
  cancelRetry: (() => void) | undefined;
}

/** Returns a peer without a session, of which nothing is known. */
export function newPeer(id: VmId, pairKeys: PairKeys, nowMs: number): Peer {
  return {
    id,
    pairKeys,
    session: undefined,
    retryMs: RETRY_MIN_MS,
    renewedMs: Number.NEGATIVE_INFINITY,
    sinceMs: nowMs,
    heardMs: undefined,
    askedMs: undefined,
    probedMs: undefined,
    trouble: undefined,
    differs: [],
    twins: new TwinWatch(),
    cancelRetry: undefined,
  };
}

/** Whether a question that the peer had time to answer is open. */
export function isSilent({ askedMs }: Peer, nowMs: number): boolean {
  return askedMs !== undefined && nowMs - askedMs >= LOOK_MS;
}

/**
 * Whether a peer may be asked whether it lives: once in LOOK_MS, however often somebody looks. Frames to a VM that is
 * slow wait in its socket, and each costs it a MAC when it goes on.
 */
export function mayAsk({ probedMs }: Peer, nowMs: number): boolean {
  return probedMs === undefined || nowMs - probedMs >= LOOK_MS;
}
