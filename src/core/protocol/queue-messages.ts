/** Messages of the owner's queue and of its offers. Part of MESSAGES (messages.ts). Pure data. */

import { bundle, CONSENT_BYTES_MAX, epoch, TEXT_BYTES_MAX } from './message-parts.ts';
import { bytes, optional, required, text, uint } from './schema.ts';

/** By name, as in MESSAGES. */
export const QUEUE_MESSAGES = {
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
      /** Sum of the leases before it: it may be served sooner. */
      expectedMs: required(4, uint()),
    },
  },
} as const;
