/**
 * The owner's policy: who may borrow which bundle, for what and how long.
 *
 * Either an allow-list, decided here, or a program that decides within a deadline, reached through a port. The
 * core asks; its timer covers a program that never answers.
 */

import type { PolicyDecision } from '../protocol/agent-io.ts';
import type { BundleId, VmId } from '../protocol/ids.ts';

/** One entry of the allow-list. */
export interface PolicyRule {
  readonly bundle: BundleId;
  readonly borrower: VmId;
  /** Purposes that are allowed; absent: any. */
  readonly purposes?: readonly string[] | undefined;
  /** Longest lease in milliseconds; absent: any. */
  readonly leaseMaxMs?: number | undefined;
}

/** What a policy is asked. */
export interface PolicyQuestion {
  readonly bundle: BundleId;
  readonly borrower: VmId;
  readonly purpose: string;
  readonly leaseMs: number;
}

/** Decides; `done` is called at most once, possibly before the call returns. */
export type Policy = (question: PolicyQuestion, done: (decision: PolicyDecision) => void) => void;

const NEVER = { allow: false, reason: 'policy', retryAfterMs: 0 } as const;

/** Returns the policy of an allow-list: what no entry allows is declined, with the reason. */
export function allowList(rules: readonly PolicyRule[]): Policy {
  return (question, done) => done(decide(rules, question));
}

function decide(rules: readonly PolicyRule[], question: PolicyQuestion): PolicyDecision {
  const { bundle, borrower, purpose, leaseMs } = question;
  const own = rules.filter((rule) => rule.bundle === bundle && rule.borrower === borrower);
  if (own.length === 0) return { ...NEVER, detail: `${borrower} is not on the list` };
  const fitting = own.filter((rule) => !rule.purposes || rule.purposes.includes(purpose));
  if (fitting.length === 0) return { ...NEVER, detail: 'this purpose is not on the list' };
  const longest = Math.max(...fitting.map((rule) => rule.leaseMaxMs ?? Number.POSITIVE_INFINITY));
  if (leaseMs > longest) return { ...NEVER, detail: `the longest lease is ${longest} ms` };
  return { allow: true };
}
