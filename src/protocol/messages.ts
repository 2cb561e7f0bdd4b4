/**
 * Every message of the protocol: its number, who sends it to whom, and its fields.
 *
 * Imperative names ask, past participles tell. Numbers and field keys are pinned by test vectors.
 */

import { DEVICES_MAX, RESOURCES_MAX } from './bundle.ts';
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
import type { BundleId, DeviceId, Epoch, Incarnation, ResourceId, VmId } from './ids.ts';
import {
  BOOL,
  bytes,
  type Fields,
  type FieldType,
  id,
  list,
  oneOf,
  optional,
  required,
  resource,
  struct,
  text,
  uint,
  type ValueOf,
} from './schema.ts';

/** SHA-256 of the canonical bundle definition. */
export const DIGEST_BYTES = 32;
/** Challenge of a `queryState`: 64 bits from the system's entropy are not guessed within one session. */
export const CHALLENGE_BYTES = 8;
/** The hypervisor's stamp: its boot (8 bytes) and its monotonic milliseconds (8 bytes, big endian). */
export const STAMP_BYTES = 16;
/** Longest sealed consent: envelope and 14 claims. 264 bytes for names of 32 bytes and the first generation. */
export const CONSENT_BYTES_MAX = 320;
/** Longest text for people. Fits a line of a terminal. */
export const TEXT_BYTES_MAX = 96;
/** Most step times of one message: a chain of hooks has fewer, and a status line shows no more. */
export const STEPS_MAX = 16;
/** Longest entry as read back from an enforcer: words 0 to 3 of a stream table entry. */
export const ENTRY_BYTES_MAX = 32;

const names = <K extends string>(table: Readonly<Record<K, string>>): FieldType<K> =>
  oneOf(Object.keys(table) as K[]) as FieldType<K>;

const bundle = required(1, id<BundleId>());
const epoch = required(2, uint<Epoch>());

/**
 * One resource as the hypervisor service granted it: physical, and as the new holder sees it. Addresses are
 * page numbers (4096 bytes), so that they fit 32 bits.
 */
const GRANTED = struct('granted-resource', {
  resource: required(1, resource<ResourceId>()),
  kind: required(2, oneOf(['mmio', 'interrupt', 'stream'] as const)),
  /** Physical page number, INTID or stream ID. */
  physical: required(3, uint()),
  /** The same as the holder sees it: page number of the IPA, virtual INTID, virtual stream ID. */
  view: required(4, uint()),
  /** Pages of a register range; 0 for the others. */
  pages: required(5, uint()),
  /** Trigger of an interrupt; `none` for the others. */
  trigger: required(6, oneOf(['none', 'edge', 'level'] as const)),
  /** The table entry before and after, as the enforcer reads it back; empty where it cannot. */
  before: required(7, bytes(0, ENTRY_BYTES_MAX)),
  after: required(8, bytes(0, ENTRY_BYTES_MAX)),
  /** Page number of the registers of a stream's SMMU, where the definition names it. */
  smmu: optional(9, uint()),
  /** Bits of a stream's ID that are not compared, where there are any. */
  mask: optional(10, uint()),
});
export type GrantedResource = NonNullable<(typeof GRANTED)['of']>;

/** How long one step of a handover took at its sender, for people. Nothing is decided by it. */
const STEP_TIME = struct('step-time', {
  step: required(1, oneOf(['policy', 'prepare', 'quiesce', 'suspend', 'resume', 'hook'] as const)),
  /** The device, where the step is about one. */
  device: optional(2, id<DeviceId>()),
  ms: required(3, uint()),
});
export type StepTime = NonNullable<(typeof STEP_TIME)['of']>;
const STEP_TIMES = list(STEP_TIME, STEPS_MAX);

/** What a consent is for: a lease, a renewal of it in place, or the turn after the present holder. */
export const CONSENT_USES = ['borrow', 'renew', 'next'] as const;
export type ConsentUse = (typeof CONSENT_USES)[number];

/** What the hypervisor service proves about a grant. */
const PROOF = struct('proof', {
  /** How the enforcer knows. */
  evidence: required(1, oneOf(EVIDENCE_LEVELS)),
  resources: required(2, list(GRANTED, RESOURCES_MAX)),
  /** Syncs that completed in this attempt. */
  syncs: required(3, uint()),
  /** Devices that were reset in this attempt. */
  resets: required(4, list(id<DeviceId>(), DEVICES_MAX)),
});
export type Proof = NonNullable<(typeof PROOF)['of']>;

/** The claims of a consent: a borrower's statement to the hypervisor service. */
export const CONSENT_FIELDS = {
  bundle,
  epoch,
  digest: required(3, bytes(DIGEST_BYTES)),
  owner: required(4, id<VmId>()),
  incarnation: required(5, uint<Incarnation>()),
  stamp: required(6, bytes(STAMP_BYTES)),
  /** Milliseconds after the stamp, on the hypervisor's clock, for which the consent is good. */
  validMs: required(7, uint()),
  leaseMs: required(8, uint()),
  minTenureMs: required(9, uint()),
  /** Notice before a forced return; 0: none. */
  noticeMs: required(10, uint()),
  evidence: required(11, oneOf(EVIDENCE_LEVELS)),
  use: required(12, oneOf(CONSENT_USES)),
  /** Which renewal of the lease, from 1; 0 for another use. */
  renewal: required(13, uint()),
  /** The borrower's number of the request that it belongs to. */
  requestId: required(14, uint()),
} satisfies Fields;
export type ConsentClaims = ValueOf<typeof CONSENT_FIELDS>;

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
      minTenureMs: required(6, uint()),
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
      /** The hypervisor service's code, where it was the one who refused. */
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
      minTenureMs: required(7, uint()),
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
      /** The asker's own incarnation, as the hypervisor service counts it. */
      yourIncarnation: required(12, uint<Incarnation>()),
      /** The bundle is reserved for the asker, or on its way to it. */
      pending: required(13, BOOL),
      /** To the holder, once notice was given: what `leaseEnding` said, with the time that is left. */
      ending: optional(14, names<MoveCause>(MOVE_CAUSES)),
      noticeMs: optional(15, uint()),
      /** Of the request by which the asker holds, or for which `pending` is said. */
      requestId: optional(16, uint()),
      /** Whether the back end takes a bundle from a holder that does not give it back, and the evidence it declares. */
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
    says: 'The hypervisor service lives; brings a fresh stamp.',
    fields: {},
  },
  offerLease: {
    number: 3,
    from: 'owner',
    to: 'borrower',
    says: 'The bundle is free for the receiver for reservedMs: its turn in the queue, or unasked.',
    fields: {
      bundle,
      /** The epoch that a consent must be given at. */
      epoch,
      /** How long the offer stands; then the turn passes on. */
      reservedMs: required(3, uint()),
      /** The owner's number of this offer. */
      offerId: required(4, uint()),
      /** Of the queued request whose turn it is; absent when the owner offers unasked. */
      requestId: optional(5, uint()),
      /** The longest lease that the owner's policy allows now. */
      leaseMs: required(6, uint()),
    },
  },
  acceptLease: {
    number: 4,
    from: 'borrower',
    to: 'owner',
    says: 'Takes an offer; the consent is enclosed as in `requestBorrow`.',
    fields: {
      bundle,
      offerId: required(2, uint()),
      consent: required(3, bytes(1, CONSENT_BYTES_MAX)),
      requestId: required(4, uint()),
      leaseMs: required(5, uint()),
      minTenureMs: required(6, uint()),
      noticeMs: required(7, uint()),
      purpose: required(8, text(TEXT_BYTES_MAX)),
    },
  },
  declineOffer: {
    number: 5,
    from: 'borrower',
    to: 'owner',
    says: 'Does not take an offer; the turn passes on.',
    fields: { bundle, offerId: required(2, uint()) },
  },
  renew: {
    number: 8,
    from: 'borrower',
    to: 'owner',
    says: 'Asks for more time with what the sender holds: the same epoch, holder and proof.',
    fields: {
      bundle,
      epoch,
      /** The lease to count from the moment of the renewal. */
      leaseMs: required(3, uint()),
      /** A consent of use `renew`, given at this epoch. */
      consent: required(4, bytes(1, CONSENT_BYTES_MAX)),
      requestId: required(5, uint()),
      renewal: required(6, uint()),
      purpose: required(7, text(TEXT_BYTES_MAX)),
    },
  },
  queued: {
    number: 9,
    from: 'owner',
    to: 'borrower',
    says: 'The bundle is away; the request waits. Its consent is void: an offer asks for another.',
    fields: {
      bundle,
      requestId: required(2, uint()),
      /** How many are to have it before; 0: the next. */
      position: required(3, uint()),
      expectedMs: required(4, uint()),
    },
  },
  lendNext: {
    number: 35,
    from: 'owner',
    to: 'host',
    says: 'At its return the bundle goes straight on to this borrower, if the consent is still good.',
    fields: {
      bundle,
      /** The epoch of the present holder. */
      epoch,
      digest: required(3, bytes(DIGEST_BYTES)),
      borrower: required(4, id<VmId>()),
      /** A consent of use `next`. */
      consent: required(5, bytes(1, CONSENT_BYTES_MAX)),
      leaseMs: required(6, uint()),
      minTenureMs: required(7, uint()),
      noticeMs: required(8, uint()),
      requestId: required(9, uint()),
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
  nextLent: {
    number: 38,
    from: 'host',
    to: 'owner',
    says: 'The next borrower is noted, for as long as its consent is good.',
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
    says: 'Takes `lendNext` back: a recall or a withdrawal came in between.',
    fields: { bundle, epoch, requestId: required(3, uint()) },
  },
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
/** Commands that the hypervisor service answers with `refused` when it does not carry them out. */
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
