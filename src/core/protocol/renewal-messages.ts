/** Messages that extend a lease in place. Part of MESSAGES (messages.ts). Pure data. */

import type { VmId } from './ids.ts';
import { bundle, CONSENT_BYTES_MAX, epoch, TEXT_BYTES_MAX } from './message-parts.ts';
import { bytes, id, required, text, uint } from './schema.ts';

/** By name, as in MESSAGES. */
export const RENEWAL_MESSAGES = {
  renew: {
    number: 8,
    from: 'borrower',
    to: 'owner',
    says: 'Asks for a longer lease at the same epoch, holder and proof.',
    fields: {
      bundle,
      epoch,
      /** The new lease, counted from the renewal. */
      leaseMs: required(3, uint()),
      /** A consent of use `renew`, given at this epoch. */
      consent: required(4, bytes(1, CONSENT_BYTES_MAX)),
      requestId: required(5, uint()),
      renewal: required(6, uint()),
      purpose: required(7, text(TEXT_BYTES_MAX)),
    },
  },
  renewLease: {
    number: 36,
    from: 'owner',
    to: 'host',
    says: 'The owner agrees to a renewal: extend the lease in place.',
    fields: {
      bundle,
      epoch,
      borrower: required(3, id<VmId>()),
      consent: required(4, bytes(1, CONSENT_BYTES_MAX)),
      /** The longest lease to which the owner's policy agreed. */
      leaseMs: required(5, uint()),
      requestId: required(6, uint()),
      renewal: required(7, uint()),
    },
  },
  renewed: {
    number: 37,
    from: 'host',
    to: 'owner and borrower',
    says: 'The lease was extended in place.',
    fields: {
      bundle,
      epoch,
      /** Lease left at the moment of sending. */
      leaseMs: required(3, uint()),
      requestId: required(4, uint()),
      renewal: required(5, uint()),
    },
  },
} as const;
