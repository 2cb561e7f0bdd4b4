/**
 * What goes into a session and what comes out of it, for those who drive it. Types only.
 */

import type { BundleId, Incarnation, VmId } from '../protocol/ids.ts';
import type { Message } from '../protocol/messages.ts';
import type { BundleDigest } from './handshake.ts';
import type { PairKeys } from './pair-keys.ts';
import type { PayloadFault } from './payload.ts';

/** Lowest and highest protocol version that a party speaks. */
export interface VersionRange {
  readonly min: number;
  readonly max: number;
}

/** What a party knows before it has heard of its peer. */
export interface SessionConfig {
  readonly us: VmId;
  readonly peer: VmId;
  /** Name of the machine that both are part of; DEFAULT_MACHINE if absent. */
  readonly machine?: string | undefined;
  /** What both were configured with: 32 bytes for each valid generation. */
  readonly pairKeys: PairKeys;
  /** 16 random bytes, new for every start of the process. */
  readonly bootId: Uint8Array;
  /** Our incarnation; 0 while an agent has not learned it from the host. */
  readonly incarnation: Incarnation;
  /** The peer's incarnation, at the host, which alone counts them; 0 at an agent. */
  readonly peerIncarnation: Incarnation;
  readonly versions: VersionRange;
  /** Digests of the bundles that we know, at most HELLO_BUNDLES_MAX. */
  readonly bundles: readonly BundleDigest[];
  /** Id of the host's table, 8 bytes; zeros if absent, and at agents. */
  readonly tableId?: Uint8Array | undefined;
}

/** A bundle that the two parties define differently. */
export interface DigestMismatch {
  readonly bundle: BundleId;
  readonly ours: Uint8Array;
  readonly theirs: Uint8Array;
}

/** What a driver has to know. */
export type SessionEvent =
  | {
      /** A session was installed; messages can be sealed. It may have replaced one. */
      readonly kind: 'up';
      readonly version: number;
      readonly peerBootId: Uint8Array;
      readonly peerIncarnation: Incarnation;
      /** Ours, as the host counts it if the peer is the host. */
      readonly incarnation: Incarnation;
      /** Whether there was a session with another boot of the peer before. */
      readonly peerRestarted: boolean;
      /** Id of the host's table, 8 bytes; zeros of a peer that is not the host. */
      readonly tableId: Uint8Array;
      /** Generation of the pair key that the session was made from. */
      readonly generation: number;
    }
  /** There is no common version. At the responder the cause may be a replayed hello; nothing was changed. */
  | { readonly kind: 'versionUnsupported'; readonly ours: VersionRange; readonly theirs: VersionRange }
  /** The session is up, but these bundles must not be lent between the two. */
  | { readonly kind: 'digestMismatch'; readonly mismatches: readonly DigestMismatch[] };

/** Why a frame had no effect. */
export type DropReason =
  /** It did not verify: forged, damaged, of another pair, direction, channel or boot, or there is no session. */
  | 'unverified'
  /** The peer's own bytes, but not a message that we know; `detail` says where. */
  | 'malformed'
  /** Its sequence number was seen before, or lies too far back. */
  | 'replayed'
  /** An answer that nobody waits for. */
  | 'stale'
  /** A hello came, but the driver gave no challenge. */
  | 'challengeMissing';

/** What a received frame led to. */
export interface Received {
  /** Frames to send to the peer now. */
  readonly frames: readonly Uint8Array[];
  readonly events: readonly SessionEvent[];
  /** The message, if the frame brought one for the protocol. */
  readonly message?: { readonly message: Message; readonly seq: number; readonly hostTime?: Uint8Array };
  readonly drop?: DropReason;
  readonly detail?: string;
}

/** A sealed frame, or why there is none. */
export type Sealed =
  | { readonly ok: true; readonly frame: Uint8Array; readonly seq: number }
  | {
      readonly ok: false;
      /** `down`: no session. `exhausted`: it has no number left; start a new one. Else our own mistake. */
      readonly reason: 'down' | 'exhausted' | 'hostTimeNotHost' | PayloadFault['reason'];
      readonly field: string;
    };
