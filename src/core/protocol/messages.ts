/**
 * Every message of the protocol: its number, who sends it to whom, and its fields.
 *
 * Imperative names ask, past participles tell. Numbers and field keys are pinned by test vectors.
 */

import {
  DECLINE_REASONS,
  type DeclineReason,
  EVIDENCE_LEVELS,
  MOVE_CAUSES,
  type MoveCause,
  PHASES,
  QUARANTINE_CAUSES,
  type QuarantineCause,
  REFUSAL_CODES,
  type RefusalCode,
} from './codes.ts';
import type { Epoch, Incarnation, ResourceId, VmId } from './ids.ts';
import { LATER_MESSAGES } from './later-messages.ts';
import {
  bundle,
  CHALLENGE_BYTES,
  CONSENT_BYTES_MAX,
  DIGEST_BYTES,
  epoch,
  names,
  PROOF,
  STEP_TIMES,
  TEXT_BYTES_MAX,
} from './message-parts.ts';
import {
  BOOL,
  bytes,
  type Fields,
  id,
  oneOf,
  optional,
  required,
  resource,
  text,
  uint,
  type ValueOf,
} from './schema.ts';

export {
  CHALLENGE_BYTES,
  CONSENT_BYTES_MAX,
  CONSENT_FIELDS,
  type ConsentClaims,
  DIGEST_BYTES,
  ENTRY_BYTES_MAX,
  type GrantedResource,
  type Proof,
  STAMP_BYTES,
  STEPS_MAX,
  TEXT_BYTES_MAX,
} from './message-parts.ts';

/** One message type. */
export interface MessageType {
  readonly number: number;
  readonly from: string;
  readonly to: string;
  /** One sentence: what it asks or tells. */
  readonly says: string;
  readonly fields: Fields;
}

/** All message types by name. Those that later.ts names are specified, and refused until they are carried out. */
export const MESSAGES = {
  requestBorrow: {
    number: 1,
    from: 'borrower',
    to: 'owner',
    says: 'Asks for the bundle; the acceptance is already enclosed as a sealed consent.',
    fields: {
      bundle,
      /** What for; policy may look at it. */
      purpose: required(2, text(TEXT_BYTES_MAX)),
      leaseMs: required(3, uint()),
      /** How long the borrower waits for an answer. */
      waitMs: required(4, uint()),
      consent: required(5, bytes(1, CONSENT_BYTES_MAX)),
      minHoldMs: required(6, uint()),
      noticeMs: required(7, uint()),
      /** The borrower's number of this request: of its running process, no other has it. */
      requestId: required(8, uint()),
    },
  },
  borrowDeclined: {
    number: 2,
    from: 'owner',
    to: 'borrower',
    says: 'The request comes to nothing.',
    fields: {
      bundle,
      reason: required(2, names<DeclineReason>(DECLINE_REASONS)),
      /** 0: asking again is useless. */
      retryAfterMs: required(3, uint()),
      /** The host's code, where it was the one who refused. */
      refusal: optional(4, names<RefusalCode>(REFUSAL_CODES)),
      detail: optional(5, text(TEXT_BYTES_MAX)),
      /** Of the request that is declined. */
      requestId: required(6, uint()),
    },
  },
  withdrawBorrow: {
    number: 6,
    from: 'borrower',
    to: 'owner',
    says: 'The borrower no longer wants what it asked for.',
    fields: {
      bundle,
      /** Of the request that is withdrawn. */
      requestId: required(2, uint()),
    },
  },
  recallDevice: {
    number: 7,
    from: 'owner',
    to: 'borrower',
    says: 'Asks the borrower to give the bundle back within graceMs. The borrower must act.',
    fields: { bundle, epoch, graceMs: required(3, uint()) },
  },
  prepare: {
    number: 16,
    from: 'owner',
    to: 'host',
    says: 'Asks for a reservation: consent, digest and state are checked before anything goes dark.',
    fields: {
      bundle,
      /** The epoch at which the owner holds. */
      epoch,
      digest: required(3, bytes(DIGEST_BYTES)),
      borrower: required(4, id<VmId>()),
      consent: required(5, bytes(1, CONSENT_BYTES_MAX)),
      /** The longest times to which the owner's policy agreed. A consent that goes beyond is refused. */
      leaseMs: required(6, uint()),
      minHoldMs: required(7, uint()),
      noticeMs: required(8, uint()),
      /** Of the request. The consent must claim the same. */
      requestId: required(9, uint()),
    },
  },
  prepared: {
    number: 17,
    from: 'host',
    to: 'owner',
    says: 'The bundle is reserved for reserveMs under the new epoch.',
    fields: {
      bundle,
      epoch,
      reserveMs: required(3, uint()),
      borrower: required(4, id<VmId>()),
      /** Of the request for which it is reserved. */
      requestId: required(5, uint()),
    },
  },
  handoverPending: {
    number: 18,
    from: 'host',
    to: 'borrower',
    says: 'The bundle is about to come; the borrower may warm up. It is not there yet.',
    fields: {
      bundle,
      epoch,
      reserveMs: required(3, uint()),
      /** Of the request for which it is reserved. */
      requestId: required(4, uint()),
    },
  },
  lend: {
    number: 19,
    from: 'owner',
    to: 'host',
    says: 'The owner’s drivers are suspended: move the bundle to the borrower of the reservation.',
    fields: { bundle, epoch, steps: optional(3, STEP_TIMES) },
  },
  cancel: {
    number: 20,
    from: 'owner',
    to: 'host',
    says: 'Drops the attempt, if the point of no return has not passed.',
    fields: { bundle, epoch },
  },
  reclaim: {
    number: 21,
    from: 'owner',
    to: 'host',
    says: 'Brings the forced return forward, as far as the consent allows.',
    fields: { bundle, epoch },
  },
  claim: {
    number: 22,
    from: 'owner',
    to: 'host',
    says: 'The owner asks for its parked bundle. `epoch` is the highest it was told.',
    fields: { bundle, epoch },
  },
  release: {
    number: 23,
    from: 'borrower',
    to: 'host',
    says: 'The borrower’s drivers are suspended, or it never wanted the bundle: take it back.',
    fields: { bundle, epoch, steps: optional(3, STEP_TIMES) },
  },
  remapped: {
    number: 24,
    from: 'host',
    to: 'owner and borrower',
    says: 'The remap is done and acknowledged by the enforcer. Only now may the holder resume.',
    fields: {
      bundle,
      epoch,
      digest: required(3, bytes(DIGEST_BYTES)),
      cause: required(4, names<MoveCause>(MOVE_CAUSES)),
      /** Absent: nobody; the bundle is parked. */
      holder: optional(5, id<VmId>()),
      incarnation: optional(6, uint<Incarnation>()),
      /** Told to the holder only. */
      proof: optional(7, PROOF),
      /** Lease left at the moment of sending, for a borrower; 0 for the owner. */
      leaseMs: required(8, uint()),
      /** To a borrower that holds: of the request by which it does. */
      requestId: optional(9, uint()),
    },
  },
  confirm: {
    number: 25,
    from: 'holder',
    to: 'host',
    says: 'The holder checked the evidence and resumed. Repeated until answered.',
    fields: { bundle, epoch, steps: optional(3, STEP_TIMES) },
  },
  confirmed: {
    number: 26,
    from: 'host',
    to: 'holder',
    says: 'The confirmation arrived.',
    fields: { bundle, epoch },
  },
  reject: {
    number: 27,
    from: 'holder',
    to: 'host',
    says: 'The evidence is not what the holder expected; it has not resumed and will not.',
    fields: { bundle, epoch, what: required(3, text(TEXT_BYTES_MAX)) },
  },
  queryState: {
    number: 28,
    from: 'agent',
    to: 'host',
    says: 'Asks who holds the bundle. `epoch` is the highest the asker has seen.',
    fields: { bundle, epoch, challenge: required(3, bytes(CHALLENGE_BYTES)) },
  },
  stateReported: {
    number: 29,
    from: 'host',
    to: 'agent',
    says: 'Who holds the bundle, with the same proof as `remapped` when the asker is the holder.',
    fields: {
      bundle,
      /** Of the holder, of the attempt under way, or of the last attempt. */
      epoch,
      challenge: required(3, bytes(CHALLENGE_BYTES)),
      phase: required(4, oneOf(PHASES)),
      digest: required(5, bytes(DIGEST_BYTES)),
      holder: optional(6, id<VmId>()),
      incarnation: optional(7, uint<Incarnation>()),
      confirmed: required(8, BOOL),
      leaseMs: required(9, uint()),
      proof: optional(10, PROOF),
      cause: optional(11, names<QuarantineCause>(QUARANTINE_CAUSES)),
      /** The asker's own incarnation, as the host counts it. */
      yourIncarnation: required(12, uint<Incarnation>()),
      /** The bundle is reserved for the asker, or on its way to it. */
      pending: required(13, BOOL),
      /** To the holder, once notice was given: what `leaseEnding` said, with the time that is left. */
      ending: optional(14, names<MoveCause>(MOVE_CAUSES)),
      noticeMs: optional(15, uint()),
      /** Of the request by which the asker holds, or for which `pending` is said. */
      requestId: optional(16, uint()),
      /** Whether the enforcer takes a bundle from a holder that does not give it back, and the evidence it declares. */
      forces: optional(17, BOOL),
      declared: optional(18, oneOf(EVIDENCE_LEVELS)),
    },
  },
  refused: {
    number: 30,
    from: 'host',
    to: 'agent',
    says: 'The command is not carried out, now or later.',
    fields: {
      bundle,
      /** The epoch that the refused command named. */
      epoch,
      command: required(3, uint()),
      code: required(4, names<RefusalCode>(REFUSAL_CODES)),
      /** Epoch of the holder, or of the attempt under way. */
      currentEpoch: required(5, uint<Epoch>()),
      holder: optional(6, id<VmId>()),
      /** Of a refused `prepare`, and of a handover that is off as told to the borrower. */
      requestId: optional(7, uint()),
    },
  },
  leaseEnding: {
    number: 31,
    from: 'host',
    to: 'borrower',
    says: 'The return is forced after noticeMs; give the bundle back before. Repeated until it is back.',
    fields: {
      bundle,
      epoch,
      noticeMs: required(3, uint()),
      cause: required(4, names<MoveCause>(MOVE_CAUSES)),
    },
  },
  faultReported: {
    number: 32,
    from: 'host',
    to: 'owner and holder',
    says: 'An access was refused. `vm` is absent when it cannot be attributed.',
    fields: {
      bundle,
      epoch,
      resource: required(3, resource<ResourceId>()),
      by: required(4, oneOf(['cpu', 'dma'] as const)),
      /** Absent when the hardware does not say. */
      write: optional(5, BOOL),
      vm: optional(6, id<VmId>()),
      incarnation: optional(7, uint<Incarnation>()),
      /** Page number of the refused address; absent when the hardware does not say. */
      page: optional(8, uint()),
      /** How many alike this report stands for. */
      count: required(9, uint()),
    },
  },
  heartbeat: {
    number: 33,
    from: 'host',
    to: 'agent',
    says: 'The host lives; brings a fresh timestamp token.',
    fields: {},
  },
  ...LATER_MESSAGES,
} as const satisfies Record<string, MessageType>;

/** Kept free for `enableStreams`. */
export const RESERVED_NUMBERS: readonly number[] = [34];

export type MessageKind = keyof typeof MESSAGES;
/** The fields of a message of kind `K`. */
export type BodyOf<K extends MessageKind> = ValueOf<(typeof MESSAGES)[K]['fields']>;
/** A message: its kind and its fields. */
export type Message = { readonly [K in MessageKind]: { readonly kind: K } & BodyOf<K> }[MessageKind];
/** A message of kind `K`. */
export type MessageOf<K extends MessageKind> = Extract<Message, { kind: K }>;
/** Commands that the host answers with `refused` when it does not carry them out. */
export type CommandKind =
  | 'prepare'
  | 'lend'
  | 'cancel'
  | 'reclaim'
  | 'claim'
  | 'release'
  | 'confirm'
  | 'reject';
/** Their requests to the host too are answered with `refused`, all of them as yet (later.ts). */
export type LaterCommand = 'lendNext' | 'renewLease' | 'cancelNext';
