/** Requests on an agent's control socket: their fields, defaults and limits. Pure. */

import type { Json } from '../../common/lines.ts';
import type { BorrowTerms } from '../../core/agent/agent-io.ts';
import type { BundleView } from '../../core/agent/agent-view.ts';
import { EVIDENCE_LEVELS, type EvidenceLevel } from '../../core/protocol/codes.ts';
import { type BundleId, HOST, isUint32, type VmId } from '../../core/protocol/ids.ts';
import { TEXT_BYTES_MAX } from '../../core/protocol/messages.ts';
import { clipText } from '../../core/wire/utf8.ts';

/** Defaults of a borrow request. */
export const BORROW_DEFAULTS = {
  purpose: 'unspecified',
  leaseMs: 30_000,
  minHoldMs: 0,
  noticeMs: 2_000,
  waitMs: 5_000,
  evidence: 'observed',
  mayQueue: true,
} as const satisfies BorrowTerms;

/** Defaults of an offer, in ms. A person at the other VM answers it. */
export const OFFER_DEFAULTS = { leaseMs: 30_000, reservedMs: 10_000 } as const;

/** Defaults of a sleep request, in ms: most consents' notice, and the duration of a return. */
export const SLEEP_DEFAULTS = { graceMs: 2_000, waitMs: 10_000 } as const;

/** A request that cannot be carried out; the error goes to the client. */
export class RequestError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** What the owner's user offers. */
export interface OfferRequest {
  readonly bundle: BundleId;
  readonly to: VmId;
  readonly leaseMs: number;
  readonly reservedMs: number;
}

/** Returns an `offer` request. Throws a RequestError when it is not possible now, or names no VM that is known. */
export function offerOf(
  request: Json,
  { bundle, role, state, waiting }: BundleView,
  peers: readonly VmId[],
): OfferRequest {
  if (role !== 'owner') throw new RequestError('notOwner', `${bundle}: only its owner offers a bundle`);
  if (waiting.length > 0) throw new RequestError('notNow', `${bundle}: somebody waits for it`);
  if (state !== 'held') throw new RequestError('notNow', `${bundle}: it is ${state}`);
  const vms = peers.filter((peer) => peer !== HOST);
  const to = vms.find((vm) => vm === request['to']);
  if (to === undefined) {
    const known = vms.join(', ') || 'none';
    throw new RequestError('badRequest', `"to": no VM ${JSON.stringify(request['to'])}; known: ${known}`);
  }
  const leaseMs = number(request, 'leaseMs', OFFER_DEFAULTS.leaseMs);
  return { bundle, to, leaseMs, reservedMs: number(request, 'reservedMs', OFFER_DEFAULTS.reservedMs) };
}

/** Returns the terms of a `borrow` request. Throws a RequestError. */
export function termsOf(request: Json): BorrowTerms {
  const { purpose = BORROW_DEFAULTS.purpose, evidence = BORROW_DEFAULTS.evidence } = request;
  if (typeof purpose !== 'string') throw new RequestError('badRequest', '"purpose": expected a text');
  if (!EVIDENCE_LEVELS.includes(evidence as EvidenceLevel)) {
    throw new RequestError('badRequest', `"evidence": expected one of ${EVIDENCE_LEVELS.join(', ')}`);
  }
  const terms: BorrowTerms = {
    purpose: clipText(purpose, TEXT_BYTES_MAX),
    evidence: evidence as EvidenceLevel,
    leaseMs: number(request, 'leaseMs', BORROW_DEFAULTS.leaseMs),
    minHoldMs: number(request, 'minHoldMs', BORROW_DEFAULTS.minHoldMs),
    noticeMs: number(request, 'noticeMs', BORROW_DEFAULTS.noticeMs),
    waitMs: number(request, 'waitMs', BORROW_DEFAULTS.waitMs),
    mayQueue: request['queue'] !== false,
  };
  if (terms.leaseMs === 0) throw new RequestError('badRequest', '"leaseMs": a lease of 0 ms is none');
  if (terms.minHoldMs > terms.leaseMs) {
    throw new RequestError('badRequest', `"minHoldMs": ${terms.minHoldMs} is longer than the lease`);
  }
  return terms;
}

/** Returns a number of a request. Throws a RequestError. */
export function number(request: Json, name: string, otherwise: number): number {
  const value = request[name] ?? otherwise;
  if (isUint32(value)) return value;
  throw new RequestError('badRequest', `${JSON.stringify(name)}: expected an integer from 0 to 4294967295`);
}
