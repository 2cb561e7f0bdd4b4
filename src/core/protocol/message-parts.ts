/** Parts of messages: sizes, shared fields, the proof of a grant, the claims of a consent. Pure data. */

import { DEVICES_MAX, RESOURCES_MAX } from './bundle.ts';
import { EVIDENCE_LEVELS } from './codes.ts';
import type { BundleId, DeviceId, Epoch, Incarnation, ResourceId, VmId } from './ids.ts';
import {
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
/** Challenge of a `queryState`: 64 random bits cannot be guessed within one session. */
export const CHALLENGE_BYTES = 8;
/** The host's timestamp token: its boot (8 bytes) and its monotonic milliseconds (8 bytes, big endian). */
export const HOST_TIME_BYTES = 16;
/** Longest sealed consent: envelope and 14 claims. 264 bytes for names of 32 bytes and the first generation. */
export const CONSENT_BYTES_MAX = 320;
/** Longest text for people. Fits a line of a terminal. */
export const TEXT_BYTES_MAX = 96;
/** Most step times of one message: two hooks with seven steps each. */
export const STEPS_MAX = 16;
/** Longest name of a step of a hook, in bytes. */
export const STEP_NAME_BYTES_MAX = 32;
/** Longest entry as read back from an enforcer: words 0 to 3 of a stream table entry. */
export const ENTRY_BYTES_MAX = 32;

/** The code type of a table: a code's number is its position. */
export const names = <K extends string>(table: Readonly<Record<K, string>>): FieldType<K> =>
  oneOf(Object.keys(table) as K[]) as FieldType<K>;

/** The first fields of nearly every message. */
export const bundle = required(1, id<BundleId>());
export const epoch = required(2, uint<Epoch>());

/**
 * One granted resource: its physical numbers, and those that the new holder sees. Addresses are page numbers (4096
 * bytes), so that they fit 32 bits.
 */
const GRANTED = struct('granted-resource', {
  resource: required(1, resource<ResourceId>()),
  kind: required(2, oneOf(['mmio', 'interrupt', 'stream'] as const)),
  /** Physical page number, INTID or stream ID. */
  physical: required(3, uint()),
  /** The same for the holder: page number of the IPA, virtual INTID, virtual stream ID. */
  view: required(4, uint()),
  /** Pages of a register range; 0 for the others. */
  pages: required(5, uint()),
  /** Trigger of an interrupt; `none` for the others. */
  trigger: required(6, oneOf(['none', 'edge', 'level'] as const)),
  /** The table entry before and after, as the enforcer read it back; empty if it cannot. */
  before: required(7, bytes(0, ENTRY_BYTES_MAX)),
  after: required(8, bytes(0, ENTRY_BYTES_MAX)),
  /** Page number of the registers of a stream's SMMU, if the definition names it. */
  smmu: optional(9, uint()),
  /** Bits of a stream's ID that are not compared, if any. */
  mask: optional(10, uint()),
});
export type GrantedResource = NonNullable<(typeof GRANTED)['of']>;

/** Duration of one step of a handover at its sender, for people. No decision depends on it. */
const STEP_TIME = struct('step-time', {
  /** The policy, a hook, or (`hook`) one step of the hook before it in the list. */
  step: required(1, oneOf(['policy', 'prepare', 'quiesce', 'suspend', 'resume', 'hook'] as const)),
  /** Of a step of a hook: its device. */
  device: optional(2, id<DeviceId>()),
  ms: required(3, uint()),
  /** Of a step of a hook: its name. */
  name: optional(4, text(STEP_NAME_BYTES_MAX)),
});
export type StepTime = NonNullable<(typeof STEP_TIME)['of']>;
export const STEP_TIMES = list(STEP_TIME, STEPS_MAX);

/** The use of a consent: a lease, a renewal of it, or the turn after the present holder. */
export const CONSENT_USES = ['borrow', 'renew', 'next'] as const;
export type ConsentUse = (typeof CONSENT_USES)[number];

/** The host's proof of a grant. */
export const PROOF = struct('proof', {
  /** Evidence level of the enforcer. */
  evidence: required(1, oneOf(EVIDENCE_LEVELS)),
  resources: required(2, list(GRANTED, RESOURCES_MAX)),
  /** Syncs that completed in this attempt. */
  syncs: required(3, uint()),
  /** Devices that were reset in this attempt. */
  resets: required(4, list(id<DeviceId>(), DEVICES_MAX)),
});
export type Proof = NonNullable<(typeof PROOF)['of']>;

/** The claims of a consent: a borrower's statement to the host. */
export const CONSENT_FIELDS = {
  bundle,
  epoch,
  digest: required(3, bytes(DIGEST_BYTES)),
  owner: required(4, id<VmId>()),
  incarnation: required(5, uint<Incarnation>()),
  hostTime: required(6, bytes(HOST_TIME_BYTES)),
  /** Validity of the consent, in ms after the timestamp token, on the host's clock. */
  validMs: required(7, uint()),
  leaseMs: required(8, uint()),
  minHoldMs: required(9, uint()),
  /** Notice before a forced return; 0: none. */
  noticeMs: required(10, uint()),
  evidence: required(11, oneOf(EVIDENCE_LEVELS)),
  use: required(12, oneOf(CONSENT_USES)),
  /** Number of the renewal, from 1; 0 for another use. */
  renewal: required(13, uint()),
  /** The borrower's id of the request. */
  requestId: required(14, uint()),
} satisfies Fields;
export type ConsentClaims = ValueOf<typeof CONSENT_FIELDS>;
