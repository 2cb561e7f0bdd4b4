/**
 * Parts of messages: sizes, the fields that several share, the proof of a grant, the claims of a consent. Pure data.
 */

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
  uint,
  type ValueOf,
} from './schema.ts';

/** SHA-256 of the canonical bundle definition. */
export const DIGEST_BYTES = 32;
/** Challenge of a `queryState`: 64 bits from the system's entropy are not guessed within one session. */
export const CHALLENGE_BYTES = 8;
/** The hypervisor's timestamp token: its boot (8 bytes) and its monotonic milliseconds (8 bytes, big endian). */
export const STAMP_BYTES = 16;
/** Longest sealed consent: envelope and 14 claims. 264 bytes for names of 32 bytes and the first generation. */
export const CONSENT_BYTES_MAX = 320;
/** Longest text for people. Fits a line of a terminal. */
export const TEXT_BYTES_MAX = 96;
/** Most step times of one message: a chain of hooks has fewer, and a status line shows no more. */
export const STEPS_MAX = 16;
/** Longest entry as read back from an enforcer: words 0 to 3 of a stream table entry. */
export const ENTRY_BYTES_MAX = 32;

/** A code of a table: its number is its place. */
export const names = <K extends string>(table: Readonly<Record<K, string>>): FieldType<K> =>
  oneOf(Object.keys(table) as K[]) as FieldType<K>;

/** The fields that nearly every message begins with. */
export const bundle = required(1, id<BundleId>());
export const epoch = required(2, uint<Epoch>());

/**
 * One resource as the host granted it: physical, and as the new holder sees it. Addresses are
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
export const STEP_TIMES = list(STEP_TIME, STEPS_MAX);

/** What a consent is for: a lease, a renewal of it in place, or the turn after the present holder. */
export const CONSENT_USES = ['borrow', 'renew', 'next'] as const;
export type ConsentUse = (typeof CONSENT_USES)[number];

/** What the host proves about a grant. */
export const PROOF = struct('proof', {
  /** How the enforcer knows. */
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
  hostTime: required(6, bytes(STAMP_BYTES)),
  /** Milliseconds after the timestamp token, on the hypervisor's clock, for which the consent is good. */
  validMs: required(7, uint()),
  leaseMs: required(8, uint()),
  minHoldMs: required(9, uint()),
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
