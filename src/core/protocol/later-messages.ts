/**
 * Specified messages that are not implemented yet: offers, the queue, the next borrower. Part of MESSAGES
 * (messages.ts); later.ts refuses them. Pure data.
 */

import type { VmId } from './ids.ts';
import { bundle, CONSENT_BYTES_MAX, DIGEST_BYTES, epoch, TEXT_BYTES_MAX } from './message-parts.ts';
import { bytes, id, optional, required, text, uint } from './schema.ts';

/** By name, as in MESSAGES. */
export const LATER_MESSAGES = {
  offerLease: {
    number: 3,
    from: 'owner',
    to: 'borrower',
    says: 'Offers the bundle to the receiver for reservedMs, at its turn in the queue or unasked.',
    fields: {
      bundle,
      /** The epoch at which a consent must be given. */
      epoch,
      /** Validity of the offer; then the next one in the queue gets it. */
      reservedMs: required(3, uint()),
      /** The owner's number of this offer. */
      offerId: required(4, uint()),
      /** Request id of the queued request; absent when the owner offers unasked. */
      requestId: optional(5, uint()),
      /** The longest lease that the owner's policy allows now. */
      leaseMs: required(6, uint()),
    },
  },
  acceptLease: {
    number: 4,
    from: 'borrower',
    to: 'owner',
    says: 'Accepts an offer; the consent is enclosed as in `requestBorrow`.',
    fields: {
      bundle,
      offerId: required(2, uint()),
      consent: required(3, bytes(1, CONSENT_BYTES_MAX)),
      requestId: required(4, uint()),
      leaseMs: required(5, uint()),
      minHoldMs: required(6, uint()),
      noticeMs: required(7, uint()),
      purpose: required(8, text(TEXT_BYTES_MAX)),
    },
  },
  declineOffer: {
    number: 5,
    from: 'borrower',
    to: 'owner',
    says: 'Declines an offer; the next borrower in the queue gets it.',
    fields: { bundle, offerId: required(2, uint()) },
  },
  queued: {
    number: 9,
    from: 'owner',
    to: 'borrower',
    says: 'The bundle is not available; the request is queued. Its consent is void: an offer asks for another.',
    fields: {
      bundle,
      requestId: required(2, uint()),
      /** Number of borrowers before it; 0: it is next. */
      position: required(3, uint()),
      expectedMs: required(4, uint()),
    },
  },
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
