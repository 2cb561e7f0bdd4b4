/** Parameters, listener and counters of a link. Types only. */

import type { BundleId, Incarnation, VmId } from '../../core/protocol/ids.ts';
import type { Message } from '../../core/protocol/messages.ts';
import type { BundleDigest } from '../../core/wire/handshake.ts';
import type { PairKeys } from '../../core/wire/pair-keys.ts';
import type { Clock, Entropy, Log, Transport } from '../../ports/world.ts';

/** Parameters of a link. */
export interface LinkParts {
  readonly self: VmId;
  /** Name of the machine of all parties; default DEFAULT_MACHINE. */
  readonly machine?: string;
  /** 32-byte keys shared with each peer. Other parties are ignored. */
  readonly pairKeys: ReadonlyMap<VmId, PairKeys>;
  readonly bootId: Uint8Array;
  readonly bundles: readonly BundleDigest[];
  readonly transport: Transport;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
  readonly versions?: { readonly min: number; readonly max: number };
}

/** Listener of a link. */
export interface LinkListener {
  onMessage(from: VmId, message: Message, hostTime: Uint8Array | undefined): void;
  /**
   * A session came up or was replaced: messages sent before may be lost. `isNewBoot`: another boot of the peer than
   * in the last session. `tableId`: id of the host's table, 8 bytes; zeros from other peers.
   */
  onUp(peer: VmId, isNewBoot?: boolean, tableId?: Uint8Array): void;
  onDown(peer: VmId, reason: string): void;
  /** The peer has a different definition of this bundle. */
  onDigestMismatch(peer: VmId, bundle: BundleId): void;
  /** At the host: the running incarnation of `vm`; 0: none. */
  incarnationOf?(vm: VmId): Incarnation;
  /** At the host: the id of its table, 8 bytes. */
  tableId?(): Uint8Array;
}

/** Counters for people. They only rise. */
export interface LinkCounts {
  sent: number;
  received: number;
  dropped: number;
  /** Of those, frames of a peer beyond its share. */
  shed: number;
  /** Messages that could not be sealed or sent. */
  unsent: number;
}
