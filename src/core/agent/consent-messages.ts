/** Consents: their claims, and the messages that enclose them once they are sealed. Pure. */

import type { AgentConfig } from '../protocol/evidence.ts';
import type { ConsentClaims, MessageOf } from '../protocol/messages.ts';
import type { AgentOrder } from './agent-facts.ts';
import type { AgentEffect } from './agent-io.ts';

/** Validity of a consent on the host's clock, in ms. Covers the request, the policy and the preparation. */
const CONSENT_VALID_MS = 10_000;

/** What a consent is given to, of the effects that need one. */
type Consenting = Omit<Extract<AgentEffect<never>, { do: 'request' }>, 'do'>;

/** Returns the claims of a consent to a lease, or to its renewal. `hostTime`: the newest timestamp token. */
export function claimsOf(
  { definition, digest }: AgentConfig,
  hostTime: Uint8Array,
  { terms, epoch, incarnation, requestId }: Consenting,
  use: ConsentClaims['use'],
  renewal: number,
): ConsentClaims {
  const { leaseMs, minHoldMs, noticeMs, evidence } = terms;
  return {
    ...{ bundle: definition.id, epoch, digest, owner: definition.owner, incarnation },
    ...{ hostTime, validMs: CONSENT_VALID_MS },
    ...{ leaseMs, minHoldMs, noticeMs, evidence, use, renewal, requestId },
  };
}

type Order<K extends AgentOrder['do']> = Extract<AgentOrder, { do: K }>;

/** Returns the message for a `request` order: a request, or the answer to an offer. */
export function requestMessage(
  { bundle, claims, terms, offerId }: Order<'request'>,
  consent: Uint8Array,
): MessageOf<'requestBorrow'> | MessageOf<'acceptLease'> {
  const { requestId } = claims;
  const { waitMs, ...others } = terms;
  return offerId === undefined
    ? { kind: 'requestBorrow', bundle, ...others, waitMs, consent, requestId }
    : { kind: 'acceptLease', bundle, offerId, ...others, consent, requestId };
}

/** Returns the message for a `requestRenewal` order. */
export function renewalMessage(
  { bundle, claims, purpose }: Order<'requestRenewal'>,
  consent: Uint8Array,
): MessageOf<'renew'> {
  const { epoch, leaseMs, requestId, renewal } = claims;
  return { kind: 'renew', bundle, epoch, leaseMs, consent, requestId, renewal, purpose };
}
