/** A session with known keys, and its operations without decisions: sealing, comparing. Pure. */

import { equalBytes } from './bytes.ts';
import { type Mac0Key, sealMac0 } from './cose.ts';
import type { BundleDigest } from './handshake.ts';
import type { SessionParty } from './keys.ts';
import { SESSION_CODEC } from './payload.ts';
import type { ReplayWindow, SendCounter } from './sequence.ts';
import type { DigestMismatch, Sealed } from './session-io.ts';

/** A session with known keys. */
export interface Keyed {
  readonly initiated: boolean;
  readonly version: number;
  readonly us: SessionParty;
  readonly peer: SessionParty;
  readonly peerBundles: readonly BundleDigest[];
  readonly peerTableId: Uint8Array;
  readonly generation: number;
  readonly sendKey: Mac0Key;
  readonly receiveKey: Mac0Key;
  /** From agent to host; absent between agents. */
  readonly consentKey: Mac0Key | undefined;
  readonly counter: SendCounter;
  readonly window: ReplayWindow;
}

/** What two hello messages agree on. */
export type Agreed = Pick<Keyed, 'initiated' | 'version' | 'us' | 'peer' | 'peerBundles' | 'peerTableId'>;

/** Seals a message under the session's next sequence number. */
export function sealIn(
  session: Keyed,
  message: Parameters<typeof SESSION_CODEC.encode>[0],
  hostTime?: Uint8Array,
): Sealed {
  const seq = session.counter.peek();
  if (seq === undefined) return { ok: false, reason: 'exhausted', field: '' };
  const payload = SESSION_CODEC.encode(message, seq, hostTime);
  if (!payload.ok) return payload;
  session.counter.take();
  return { ok: true, frame: sealMac0(session.sendKey, payload.bytes), seq };
}

/** Returns the bundles that two parties define differently. */
export function compareDigests(
  ours: readonly BundleDigest[],
  theirs: readonly BundleDigest[],
): DigestMismatch[] {
  const theirDigests = new Map(theirs.map(({ bundle, digest }) => [bundle, digest]));
  return ours.flatMap(({ bundle, digest }) => {
    const other = theirDigests.get(bundle);
    if (other === undefined || equalBytes(digest, other)) return [];
    return [{ bundle, ours: digest, theirs: other }];
  });
}
