/**
 * Every message of the protocol: its number, its sender and receiver, and its fields. Pure data.
 *
 * An imperative name is a request or command; a past participle is a report. Numbers and field keys are pinned by
 * test vectors.
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
import { QUEUE_MESSAGES } from './queue-messages.ts';
import { RENEWAL_MESSAGES } from './renewal-messages.ts';
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
  HOST_TIME_BYTES,
  type Proof,
  STEP_NAME_BYTES_MAX,
  STEPS_MAX,
  type StepTime,
  TEXT_BYTES_MAX,
} from './message-parts.ts';

/** One message type. */
export interface MessageType {
  readonly number: number;
  readonly from: string;
  readonly to: string;
  /** One sentence: what it asks or reports. */
  readonly says: string;
  readonly fields: Fields;
}

/**
 * All message types by name. Those in later-messages.ts are specified but refused (later.ts), since they are not
 * implemented yet. A new message also goes to the list of messages in the state file of its receiver (owner-state.ts,
 * borrower-state.ts, host-state.ts), and to a file of rows there.
 */
export const MESSAGES = {
  requestBorrow: {
    number: 1,
    from: 'borrower',
    to: 'owner',
    says: 'Asks for the bundle. A sealed consent, which accepts the lease, is enclosed.',
    fields: {
      bundle,
      /** The purpose; a policy may use it. */
      purpose: required(2, text(TEXT_BYTES_MAX)),
      leaseMs: required(3, uint()),
      /** How long the borrower waits for an answer. */
      waitMs: required(4, uint()),
      consent: required(5, bytes(1, CONSENT_BYTES_MAX)),
      minHoldMs: required(6, uint()),
      noticeMs: required(7, uint()),
      /** The borrower's number of this request, unique in its running process. */
      requestId: required(8, uint()),
    },
  },
  borrowDeclined: {
    number: 2,
    from: 'owner',
    to: 'borrower',
    says: 'Declines the request.',
    fields: {
      bundle,
      reason: required(2, names<DeclineReason>(DECLINE_REASONS)),
      /** 0: a retry is useless. */
      retryAfterMs: required(3, uint()),
      /** The host's refusal code, if the host refused. */
      refusal: optional(4, names<RefusalCode>(REFUSAL_CODES)),
      detail: optional(5, text(TEXT_BYTES_MAX)),
      /** Of the declined request. */
      requestId: required(6, uint()),
    },
  },
  withdrawBorrow: {
    number: 6,
    from: 'borrower',
    to: 'owner',
    says: 'Withdraws the request.',
    fields: {
      bundle,
      /** Of the withdrawn request. */
      requestId: required(2, uint()),
    },
  },
  recallDevice: {
    number: 7,
    from: 'owner',
    to: 'borrower',
    says: 'Asks the borrower to return the bundle within graceMs. The borrower must act.',
    fields: { bundle, epoch, graceMs: required(3, uint()) },
  },
  prepare: {
    number: 16,
    from: 'owner',
    to: 'host',
    says: 'Asks for a reservation. Consent, digest and state are checked before any driver suspends.',
    fields: {
      bundle,
      /** The epoch at which the owner holds. */
      epoch,
      digest: required(3, bytes(DIGEST_BYTES)),
      borrower: required(4, id<VmId>()),
      consent: required(5, bytes(1, CONSENT_BYTES_MAX)),
      /** The longest times that the owner's policy allows. A consent beyond them is refused. */
      leaseMs: required(6, uint()),
      minHoldMs: required(7, uint()),
      noticeMs: required(8, uint()),
      /** Of the request. The consent must contain the same. */
      requestId: required(9, uint()),
      /** Of the request, for the host's handover records. */
      purpose: optional(10, text(TEXT_BYTES_MAX)),
      steps: optional(11, STEP_TIMES),
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
    says: 'A handover to the borrower has started; its prepare hook may run. It does not hold the bundle yet.',
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
    says: 'Cancels the attempt, unless the point of no return has passed.',
    fields: { bundle, epoch },
  },
  reclaim: {
    number: 21,
    from: 'owner',
    to: 'host',
    says: 'Starts the forced return early, as far as the consent allows.',
    fields: { bundle, epoch },
  },
  claim: {
    number: 22,
    from: 'owner',
    to: 'host',
    says: 'The owner asks for its parked bundle. `epoch` is the highest that was reported to it.',
    fields: { bundle, epoch },
  },
  release: {
    number: 23,
    from: 'borrower',
    to: 'host',
    says: 'The borrower’s drivers are suspended, or it does not want the bundle: return it to the owner.',
    fields: { bundle, epoch, steps: optional(3, STEP_TIMES) },
  },
  remapped: {
    number: 24,
    from: 'host',
    to: 'owner and borrower',
    says: 'The remap is done and the enforcer has acknowledged it. Only now may the holder resume.',
    fields: {
      bundle,
      epoch,
      digest: required(3, bytes(DIGEST_BYTES)),
      cause: required(4, names<MoveCause>(MOVE_CAUSES)),
      /** Absent: none; the bundle is parked. */
      holder: optional(5, id<VmId>()),
      incarnation: optional(6, uint<Incarnation>()),
      /** To the holder only. */
      proof: optional(7, PROOF),
      /** Lease left at the moment of sending, for a borrower; 0 for the owner. */
      leaseMs: required(8, uint()),
      /** To a borrower that holds: id of its request. */
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
    says: 'The evidence differs from what the holder expects. It has not resumed and will not.',
    fields: { bundle, epoch, what: required(3, text(TEXT_BYTES_MAX)) },
  },
  queryState: {
    number: 28,
    from: 'agent',
    to: 'host',
    says: 'Asks who holds the bundle. `epoch` is the highest that the sender has seen.',
    fields: { bundle, epoch, challenge: required(3, bytes(CHALLENGE_BYTES)) },
  },
  stateReported: {
    number: 29,
    from: 'host',
    to: 'agent',
    says: 'Reports who holds the bundle. The holder also gets the proof, as in `remapped`.',
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
      /** The receiver's incarnation, as the host counts it. */
      yourIncarnation: required(12, uint<Incarnation>()),
      /** Whether the bundle is reserved for the receiver, or moving to it. */
      pending: required(13, BOOL),
      /** To the holder after notice was given: as in `leaseEnding`, with the remaining time. */
      ending: optional(14, names<MoveCause>(MOVE_CAUSES)),
      noticeMs: optional(15, uint()),
      /** Id of the request by which the receiver holds, or to which `pending` belongs. */
      requestId: optional(16, uint()),
      /** Whether the enforcer can force a return, and the evidence that it gives. */
      forces: optional(17, BOOL),
      declared: optional(18, oneOf(EVIDENCE_LEVELS)),
    },
  },
  refused: {
    number: 30,
    from: 'host',
    to: 'agent',
    says: 'Refuses a command.',
    fields: {
      bundle,
      /** The epoch that the refused command named. */
      epoch,
      command: required(3, uint()),
      code: required(4, names<RefusalCode>(REFUSAL_CODES)),
      /** Epoch of the holder, or of the attempt under way. */
      currentEpoch: required(5, uint<Epoch>()),
      holder: optional(6, id<VmId>()),
      /** Of a refused `prepare`; to a borrower whose handover is cancelled, of its request. */
      requestId: optional(7, uint()),
    },
  },
  leaseEnding: {
    number: 31,
    from: 'host',
    to: 'borrower',
    says: 'The return is forced after noticeMs. Release the bundle before. Repeated until it is returned.',
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
    says: 'An access was refused. `vm` is absent when it is unattributed.',
    fields: {
      bundle,
      epoch,
      resource: required(3, resource<ResourceId>()),
      by: required(4, oneOf(['cpu', 'dma'] as const)),
      /** Absent when the hardware does not report it. */
      write: optional(5, BOOL),
      vm: optional(6, id<VmId>()),
      incarnation: optional(7, uint<Incarnation>()),
      /** Page number of the refused address; absent when the hardware does not report it. */
      page: optional(8, uint()),
      /** Number of equal faults in this report. */
      count: required(9, uint()),
    },
  },
  heartbeat: {
    number: 33,
    from: 'host',
    to: 'agent',
    says: 'The host is alive. Carries a fresh timestamp token.',
    fields: {},
  },
  ...QUEUE_MESSAGES,
  ...RENEWAL_MESSAGES,
  ...LATER_MESSAGES,
} as const satisfies Record<string, MessageType>;

/** Reserved for `enableStreams`. */
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
  | 'reject'
  | 'renewLease';
/** Commands to the host that are not implemented yet: always refused (later.ts). */
export type LaterCommand = 'lendNext' | 'cancelNext';
