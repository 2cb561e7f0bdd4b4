/**
 * Every reason, cause and error code of the protocol: its number is its place in the list, so names are only
 * ever appended. Each has one sentence for people; docs/PROTOCOL.md is rendered from here.
 */

/** Why an owner does not lend, told to the borrower. */
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

/** Why the host does not carry out a command. */
export const REFUSAL_CODES = {
  unknownBundle: 'no bundle of this name is configured at the host',
  digestMismatch: 'the bundle definitions differ between the parties; deploy the same file everywhere',
  notHolder: 'the sender’s incarnation does not hold the bundle',
  notOwner: 'the sender does not hold title to the bundle',
  epochStale: 'the command names an epoch that is over; currentEpoch says which one counts',
  busy: 'another command for the bundle is being carried out',
  consentInvalid: 'the consent is missing, broken or does not verify under the borrower’s key',
  consentStale: 'the consent was given at another epoch, incarnation or boot, or its time is over',
  consentTerms: 'the consent’s terms contradict each other or what this enforcer can keep',
  evidenceTooWeak: 'the enforcer cannot give the evidence that the consent asks for',
  borrowerAbsent: 'the borrower VM is not running',
  barred:
    'this borrower rejected its last grant; mend its tree or the bundle file, restart its agent, ' +
    'then lift it at the host',
  reservationLapsed: 'the reservation’s time is over; nothing was changed',
  cancelled: 'the owner or the borrower withdrew before anything was changed',
  tooLate: 'the point of no return has passed',
  quarantined: 'the bundle is in quarantine; an operator must lift it',
  epochsExhausted: 'no epoch is left; the bundle is quarantined',
  unresettable:
    'only a driver clears a residual state of it, which the host does not accept (acceptDriverResidualState)',
  notSupported: 'this version of the host does not carry out the command yet; update it',
} as const;
export type RefusalCode = keyof typeof REFUSAL_CODES;

/** Time after which a borrower should ask again for a busy bundle, in milliseconds: one typical PIN entry. */
export const BUSY_RETRY_MS = 3_000;

/** Refusals that asking again does not change: somebody has to change a definition, a term or a configuration. */
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

/** Returns after how many milliseconds a borrower may ask again; 0: asking again is useless. */
export function retryAfter(code: RefusalCode): number {
  return FOR_GOOD.has(code) ? 0 : BUSY_RETRY_MS;
}

/** Why a bundle moves. */
export const MOVE_CAUSES = {
  lend: 'the owner lends it',
  release: 'the borrower gave it back',
  expiry: 'the lease is over',
  reclaim: 'the owner called it in',
  noConfirm: 'the borrower did not confirm in time',
  rejected: 'the new holder’s check of the evidence failed',
  exit: 'the holder’s VM ended',
  supplyLost: 'the keeper of the bundle’s supplies ended',
  claim: 'the owner claims the parked bundle',
  start: 'the owner VM starts',
  guard: 'the dark time after a forced return is over',
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
  unresettable: 'a residual state that only the holder’s driver can clear was left behind',
  evidenceMismatch: 'the owner’s own check of the evidence failed',
  tableLost: 'the host lost its table; nobody knows who held the bundle',
  inspectFailed: 'the machine’s own state could not be read back',
  epochsExhausted: 'the bundle has used up all epochs',
  grantFailed: 'the bundle could not even be granted to its owner',
  recordStale: 'after a restart the machine contradicts the record: what happened last could not be written',
} as const;
export type QuarantineCause = keyof typeof QUARANTINE_CAUSES;

/** How good the proof is that isolation holds, weakest first. */
export const EVIDENCE_LEVELS = ['none', 'asserted', 'observed', 'attested'] as const;
export type EvidenceLevel = (typeof EVIDENCE_LEVELS)[number];

/** The stable and passing states of a bundle at the host. */
export const PHASES = ['parked', 'held', 'moving', 'quarantined'] as const;
export type Phase = (typeof PHASES)[number];

/** Returns whether evidence `have` is at least as strong as `need`. */
export function isEvidenceEnough(have: EvidenceLevel, need: EvidenceLevel): boolean {
  return EVIDENCE_LEVELS.indexOf(have) >= EVIDENCE_LEVELS.indexOf(need);
}
