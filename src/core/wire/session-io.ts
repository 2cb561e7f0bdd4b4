/** Inputs and outputs of a session, for its drivers. Types only. */

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

/** Configuration of a session. */
export interface SessionConfig {
  readonly us: VmId;
  readonly peer: VmId;
  /** Name of the machine of both parties; default DEFAULT_MACHINE. */
  readonly machine?: string | undefined;
  /** The configured keys: 32 bytes for each valid generation. */
  readonly pairKeys: PairKeys;
  /** 16 random bytes, new for every start of the process. */
  readonly bootId: Uint8Array;
  /** Our incarnation; 0 if an agent has not learned it from the host yet. */
  readonly incarnation: Incarnation;
  /** The peer's incarnation. Only the host counts them; 0 at an agent. */
  readonly peerIncarnation: Incarnation;
  readonly versions: VersionRange;
  /** Digests of our bundles, at most HELLO_BUNDLES_MAX. */
  readonly bundles: readonly BundleDigest[];
  /** Id of the host's table, 8 bytes; absent or zeros at agents. */
  readonly tableId?: Uint8Array | undefined;
}

/** A bundle that the two parties define differently. */
export interface DigestMismatch {
  readonly bundle: BundleId;
  readonly ours: Uint8Array;
  readonly theirs: Uint8Array;
}

/** Events for the driver. */
export type SessionEvent =
  | {
      /** A session was installed; messages can be sealed. It may replace an earlier one. */
      readonly kind: 'up';
      readonly version: number;
      readonly peerBootId: Uint8Array;
      readonly peerIncarnation: Incarnation;
      /** Our incarnation; as the host counts it, if the peer is the host. */
      readonly incarnation: Incarnation;
      /** Whether an earlier session was with another boot of the peer. */
      readonly peerRestarted: boolean;
      /** Id of the host's table, 8 bytes; zeros if the peer is not the host. */
      readonly tableId: Uint8Array;
      /** Generation of the session's pair key. */
      readonly generation: number;
    }
  /** No common version. At the responder a replayed hello may be the cause; no state was changed. */
  | { readonly kind: 'versionUnsupported'; readonly ours: VersionRange; readonly theirs: VersionRange }
  /** The session is up, but these bundles must not be lent between the two parties. */
  | { readonly kind: 'digestMismatch'; readonly mismatches: readonly DigestMismatch[] };

/** Why a frame was dropped. */
export type DropReason =
  /** It did not verify: forged, damaged, of another pair, direction, channel or boot, or there is no session. */
  | 'unverified'
  /** It verified, but is no known message; `detail` names the fault. */
  | 'malformed'
  /** Its sequence number was seen before, or is too old. */
  | 'replayed'
  /** An answer to no open hello. */
  | 'stale'
  /** A hello arrived, but the driver gave no challenge. */
  | 'challengeMissing';

/** Result of a received frame. */
export interface Received {
  /** Frames to send to the peer now. */
  readonly frames: readonly Uint8Array[];
  readonly events: readonly SessionEvent[];
  /** The message for the protocol, if the frame contained one. */
  readonly message?: { readonly message: Message; readonly seq: number; readonly hostTime?: Uint8Array };
  readonly drop?: DropReason;
  readonly detail?: string;
}

/** A sealed frame, or why there is none. */
export type Sealed =
  | { readonly ok: true; readonly frame: Uint8Array; readonly seq: number }
  | {
      readonly ok: false;
      /**
       * `down`: no session. `exhausted`: no sequence number is left; start a new session. Otherwise a bug of ours.
       */
      readonly reason: 'down' | 'exhausted' | 'hostTimeNotHost' | PayloadFault['reason'];
      readonly field: string;
    };
