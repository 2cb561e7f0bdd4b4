/**
 * Specified messages that are not implemented yet: the next borrower. Part of MESSAGES (messages.ts); later.ts refuses
 * them. Pure data.
 */

import type { VmId } from './ids.ts';
import { bundle, CONSENT_BYTES_MAX, DIGEST_BYTES, epoch } from './message-parts.ts';
import { bytes, id, required, uint } from './schema.ts';

/** By name, as in MESSAGES. */
export const LATER_MESSAGES = {
  lendNext: {
    number: 35,
    from: 'owner',
    to: 'host',
    says: 'At its return the bundle goes directly to this borrower, if the consent is still valid.',
    fields: {
      bundle,
      /** The epoch of the present holder. */
      epoch,
      digest: required(3, bytes(DIGEST_BYTES)),
      borrower: required(4, id<VmId>()),
      /** A consent of use `next`. */
      consent: required(5, bytes(1, CONSENT_BYTES_MAX)),
      leaseMs: required(6, uint()),
      minHoldMs: required(7, uint()),
      noticeMs: required(8, uint()),
      requestId: required(9, uint()),
    },
  },
  nextLent: {
    number: 38,
    from: 'host',
    to: 'owner',
    says: 'The next borrower is stored, for as long as its consent is valid.',
    fields: {
      bundle,
      epoch,
      borrower: required(3, id<VmId>()),
      requestId: required(4, uint()),
      validMs: required(5, uint()),
    },
  },
  cancelNext: {
    number: 39,
    from: 'owner',
    to: 'host',
    says: 'Cancels `lendNext`, after a recall or a withdrawal.',
    fields: { bundle, epoch, requestId: required(3, uint()) },
  },
} as const;
