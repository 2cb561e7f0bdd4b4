/**
 * Who takes part in every bench, what the borrower asks for, and the keys. Of the product's core alone: it runs in
 * every engine.
 */

import type { BorrowTerms } from '../../../src/core/agent/agent-io.ts';
import { HOST, type VmId } from '../../../src/core/protocol/ids.ts';
import { ANDROID, VAULT } from '../machine/board.ts';

/** What a borrower asks for in every bench. The lease outlasts a round by far. */
export const TERMS: BorrowTerms = {
  purpose: 'pin',
  leaseMs: 60_000,
  minHoldMs: 0,
  noticeMs: 500,
  waitMs: 5_000,
  evidence: 'none',
  mayQueue: true,
};
export const VMS: readonly VmId[] = [ANDROID, VAULT];
export const PARTIES: readonly VmId[] = [HOST, ...VMS];

/** The key that two parties share in benches: the same in every process, another for every pair. */
export function pairKey(a: VmId, b: VmId): Uint8Array {
  const name = [a, b].sort().join('/');
  return Uint8Array.from({ length: 32 }, (_, i) => (name.charCodeAt(i % name.length) * 31 + i) & 0xff);
}
