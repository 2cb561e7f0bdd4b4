/** What a link is made of, who is told what arrives, and what it counts. Types only. */

import type { BundleId, Incarnation, VmId } from '../../core/protocol/ids.ts';
import type { Message } from '../../core/protocol/messages.ts';
import type { BundleDigest } from '../../core/wire/handshake.ts';
import type { PairKeys } from '../../core/wire/pair-keys.ts';
import type { Clock, Entropy, Log, Transport } from '../../ports/world.ts';

/** What a link is made of. */
export interface LinkParts {
  readonly self: VmId;
  /** Name of the machine that all parties are part of; DEFAULT_MACHINE if absent. */
  readonly machine?: string;
  /** 32-byte keys shared with each peer. Nobody else is talked to. */
  readonly pairKeys: ReadonlyMap<VmId, PairKeys>;
  readonly bootId: Uint8Array;
  readonly bundles: readonly BundleDigest[];
  readonly transport: Transport;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
  readonly versions?: { readonly min: number; readonly max: number };
}

/** Who is told what arrives. */
export interface LinkListener {
  onMessage(from: VmId, message: Message, hostTime: Uint8Array | undefined): void;
  /**
   * A session came up, or was replaced: what was sent before may be lost. `isNewBoot`: of the peer, after a session
   * with another one. `tableId`: of the host's table, 8 bytes; zeros of another peer.
   */
  onUp(peer: VmId, isNewBoot?: boolean, tableId?: Uint8Array): void;
  onDown(peer: VmId, reason: string): void;
  /** The peer means something else by this bundle. */
  onDigestMismatch(peer: VmId, bundle: BundleId): void;
  /** At the host: which incarnation of `vm` runs; 0: none. */
  incarnationOf?(vm: VmId): Incarnation;
  /** At the host: the id of its table, 8 bytes. */
  tableId?(): Uint8Array;
}

/** Counters for people; they only rise. */
export interface LinkCounts {
  sent: number;
  received: number;
  dropped: number;
  /** Of those, frames of a peer that sends more than its turns allow. */
  shed: number;
  /** Messages that could not be sealed or handed over. */
  unsent: number;
}
