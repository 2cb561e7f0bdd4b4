/**
 * The owner's policy: who may borrow which bundle, for what and how long.
 *
 * Either an allow-list, decided here, or a program that decides within a deadline, reached through a port. The
 * core asks; its timer covers a program that never answers.
 */

import type { BundleId, VmId } from '../protocol/ids.ts';
import type { PolicyDecision } from './agent-io.ts';

/** One entry of the allow-list. */
export interface PolicyRule {
  readonly bundle: BundleId;
  readonly borrower: VmId;
  /** Purposes that are allowed; absent: any. */
  readonly purposes?: readonly string[] | undefined;
  /** Longest lease in milliseconds; absent: any. */
  readonly leaseMaxMs?: number | undefined;
  /** Longest time in which a recall is not honoured; absent: as long as the lease. */
  readonly minHoldMaxMs?: number | undefined;
  /** Longest time between notice and force; absent: NOTICE_MAX_MS. */
  readonly noticeMaxMs?: number | undefined;
}

/** What a policy is asked. */
export interface PolicyQuestion {
  readonly bundle: BundleId;
  readonly borrower: VmId;
  readonly purpose: string;
  readonly leaseMs: number;
  readonly minHoldMs: number;
  readonly noticeMs: number;
}

/** Notice that an entry allows when it does not say: a person finishes a word in it. */
const NOTICE_MAX_MS = 10_000;

/** Decides; `done` is called at most once, possibly before the call returns. */
export type Policy = (question: PolicyQuestion, done: (decision: PolicyDecision) => void) => void;

const NEVER = { allow: false, reason: 'policy', retryAfterMs: 0 } as const;

/** Returns the policy of an allow-list: what no entry allows is declined, with the reason. */
export function allowList(rules: readonly PolicyRule[]): Policy {
  return (question, done) => done(decide(rules, question));
}

function decide(rules: readonly PolicyRule[], question: PolicyQuestion): PolicyDecision {
  const { bundle, borrower, purpose } = question;
  const own = rules.filter((rule) => rule.bundle === bundle && rule.borrower === borrower);
  if (own.length === 0) return { ...NEVER, detail: `${borrower} is not on the list` };
  const fitting = own.filter((rule) => !rule.purposes || rule.purposes.includes(purpose));
  if (fitting.length === 0) return { ...NEVER, detail: 'this purpose is not on the list' };
  const refusals = fitting.map((rule) => tooLong(rule, question));
  const refused = refusals.every((refusal) => refusal !== undefined) ? refusals[0] : undefined;
  if (refused) return { ...NEVER, detail: refused };
  return { allow: true };
}

/** Which of the times asked for is longer than the entry allows. */
function tooLong(rule: PolicyRule, { leaseMs, minHoldMs, noticeMs }: PolicyQuestion): string | undefined {
  const { leaseMaxMs = leaseMs, minHoldMaxMs = leaseMs, noticeMaxMs = NOTICE_MAX_MS } = rule;
  if (leaseMs > leaseMaxMs) return `the longest lease is ${leaseMaxMs} ms`;
  if (minHoldMs > minHoldMaxMs) return `the longest minimum hold time is ${minHoldMaxMs} ms`;
  if (noticeMs > noticeMaxMs) return `the longest notice is ${noticeMaxMs} ms`;
  return undefined;
}
