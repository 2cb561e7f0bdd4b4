/**
 * Every reason, cause and error code of the protocol. A code's number is its position in the list, so names are only
 * appended. Each has one sentence for people; docs/PROTOCOL.md is rendered from here. Pure.
 */

/** Why an owner declines a request; sent to the borrower. */
export const DECLINE_REASONS = {
  policy: 'the owner’s policy does not allow this borrower, purpose or lease',
  busy: 'the bundle is lent or on its way to another borrower; ask again later',
  notReady: 'the owner’s agent has not yet learned the state of the bundle',
  notHolder: 'the owner does not hold the bundle now',
  policyTimeout: 'the owner’s policy program did not decide within its deadline',
  hookFailed: 'a driver hook of the owner failed; nothing was lent',
  hostSilent: 'the host did not answer the owner in time',
  refusedByHost: 'the host refused; the refusal code says why',
} as const;
export type DeclineReason = keyof typeof DECLINE_REASONS;

/** Why the host refuses a command. */
export const REFUSAL_CODES = {
  unknownBundle: 'no bundle of this name is configured at the host',
  digestMismatch: 'the bundle definitions differ between the parties; deploy the same file everywhere',
  notHolder: 'the sender’s incarnation does not hold the bundle',
  notOwner: 'the sender does not hold title to the bundle',
  epochStale: 'the command names a past epoch; currentEpoch is the present one',
  busy: 'another command for the bundle is being carried out',
  consentInvalid: 'the consent is missing, broken or does not verify under the borrower’s key',
  consentStale: 'the consent was given at another epoch, incarnation or boot, or has expired',
  consentTerms: 'the consent’s terms contradict each other, or the enforcer cannot keep them',
  evidenceTooWeak: 'the enforcer cannot give the evidence that the consent asks for',
  borrowerAbsent: 'the borrower VM is not running',
  barred:
    'this borrower rejected its last grant; fix its device tree or the bundle file, restart its agent, ' +
    'then lift it at the host',
  reservationLapsed: 'the reservation has expired; nothing was changed',
  cancelled: 'the owner or the borrower withdrew before anything was changed',
  tooLate: 'the point of no return has passed',
  quarantined: 'the bundle is in quarantine; an operator must lift it',
  epochsExhausted: 'no epoch is left; the bundle is quarantined',
  unresettable:
    'only a driver clears a residual state of the bundle, which the host’s configuration does not allow ' +
    '(acceptDriverResidualState)',
  notSupported: 'this version of the host does not carry out the command yet; update it',
} as const;
export type RefusalCode = keyof typeof REFUSAL_CODES;

/** Time after which a borrower should request a busy bundle again, in ms: one typical PIN entry. */
export const BUSY_RETRY_MS = 3_000;

/** Refusals that stay until a definition, a term or a configuration is changed: a retry is useless. */
const FOR_GOOD: ReadonlySet<RefusalCode> = new Set([
  'unknownBundle',
  'digestMismatch',
  'notOwner',
  'consentTerms',
  'evidenceTooWeak',
  'barred',
  'epochsExhausted',
  'unresettable',
  'notSupported',
]);

/** Returns the time after which a borrower may retry, in ms; 0: a retry is useless. */
export function retryAfter(code: RefusalCode): number {
  return FOR_GOOD.has(code) ? 0 : BUSY_RETRY_MS;
}

/** Why a bundle moves. */
export const MOVE_CAUSES = {
  lend: 'the owner lends it',
  release: 'the borrower released it',
  expiry: 'the lease is over',
  reclaim: 'the owner reclaimed it',
  noConfirm: 'the borrower did not confirm in time',
  rejected: 'the new holder’s check of the evidence failed',
  exit: 'the holder’s VM ended',
  supplyLost: 'the keeper of the bundle’s supplies ended',
  claim: 'the owner claims the parked bundle',
  start: 'the owner VM starts',
  guard: 'the guard time after a forced return is over',
  rollback: 'the remap failed before the point of no return',
  forwardBack: 'the remap failed after the point of no return',
  lift: 'an operator ended the quarantine',
  boot: 'the machine was rebooted',
  restart: 'the host was restarted',
} as const;
export type MoveCause = keyof typeof MOVE_CAUSES;

/** Why a bundle is in quarantine. */
export const QUARANTINE_CAUSES = {
  fenceFailed: 'blocking the old holder failed or was not acknowledged',
  settleFailed: 'a sync or invalidation failed or was not acknowledged',
  resetFailed: 'a reset failed, or the device was not idle after it',
  unresettable: 'a residual state that only the holder’s driver can clear remains',
  evidenceMismatch: 'the owner rejected the evidence',
  tableLost: 'the host lost its table; the last holder is unknown',
  inspectFailed: 'the machine’s state could not be read back',
  epochsExhausted: 'the bundle has used up all epochs',
  grantFailed: 'the bundle could not even be granted to its owner',
  recordStale: 'after a restart the machine contradicts the record: the last move could not be recorded',
} as const;
export type QuarantineCause = keyof typeof QUARANTINE_CAUSES;

/** How strong the proof of isolation is, weakest first. */
export const EVIDENCE_LEVELS = ['none', 'asserted', 'observed', 'attested'] as const;
export type EvidenceLevel = (typeof EVIDENCE_LEVELS)[number];

/** The states of a bundle at the host. `moving` is transient. */
export const PHASES = ['parked', 'held', 'moving', 'quarantined'] as const;
export type Phase = (typeof PHASES)[number];

/** Returns whether evidence `have` is at least as strong as `need`. */
export function isEvidenceEnough(have: EvidenceLevel, need: EvidenceLevel): boolean {
  return EVIDENCE_LEVELS.indexOf(have) >= EVIDENCE_LEVELS.indexOf(need);
}
