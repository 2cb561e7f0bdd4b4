/** What the host checks about every consent, whatever it is for. Pure. */

import { isEvidenceEnough, type RefusalCode } from '../protocol/codes.ts';
import { sameBytes } from '../protocol/evidence.ts';
import type { VmId } from '../protocol/ids.ts';
import type { ConsentClaims } from '../protocol/messages.ts';
import type { HostSeen } from './host-attempt.ts';
import type { OpenedConsent } from './host-state.ts';

/** Who must have given it, and for what. */
interface Wanted extends Pick<ConsentClaims, 'use' | 'renewal'> {
  readonly vm: VmId;
}

/**
 * Returns why a consent does not count for a command, or undefined. It serves once: it names the present epoch, and a
 * renewal its number, and it expires by the timestamp token in it.
 */
export function whyNotClaims(
  { state, input, config }: HostSeen<'prepare' | 'renewLease'>,
  { claims, sameBoot, ageMs }: OpenedConsent,
  { vm, use, renewal }: Wanted,
): RefusalCode | undefined {
  if (claims.bundle !== config.bundle || claims.owner !== config.owner) return 'consentInvalid';
  if (claims.requestId !== input.message.requestId) return 'consentInvalid';
  if (!sameBytes(claims.digest, config.digest)) return 'digestMismatch';
  if (claims.epoch !== state.holder?.epoch) return 'consentStale';
  if (claims.incarnation !== state.running[vm]) return 'consentStale';
  if (!sameBoot || ageMs < 0 || ageMs > claims.validMs) return 'consentStale';
  if (claims.use !== use || claims.renewal !== renewal || claims.leaseMs === 0) return 'consentTerms';
  if (!isEvidenceEnough(config.evidence, claims.evidence)) return 'evidenceTooWeak';
  return undefined;
}
