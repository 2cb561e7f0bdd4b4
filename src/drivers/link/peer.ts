/** State that a link keeps of one peer. Pure. */

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
  /** Start of the present session, or of the time without one. */
  sinceMs: number;
  /** When a frame of it was last accepted in a session. */
  heardMs: number | undefined;
  /** Since when a probe waits for an answer. */
  askedMs: number | undefined;
  /** When it was last probed. */
  probedMs: number | undefined;
  /** What was wrong with its last invalid frames, for people. */
  trouble: string | undefined;
  /** Bundles with a different definition at the peer, by its last session. */
  differs: readonly BundleId[];
  readonly twins: TwinWatch;
  cancelRetry: (() => void) | undefined;
}

/** Returns a peer without a session. */
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

/** Returns whether a probe is open for longer than an answer takes. */
export function isSilent({ askedMs }: Peer, nowMs: number): boolean {
  return askedMs !== undefined && nowMs - askedMs >= LOOK_MS;
}

/**
 * Returns whether a peer may be probed: once in LOOK_MS, however many status requests come. Frames to a slow VM wait
 * in its socket, and each costs it a MAC later.
 */
export function mayAsk({ probedMs }: Peer, nowMs: number): boolean {
  return probedMs === undefined || nowMs - probedMs >= LOOK_MS;
}
