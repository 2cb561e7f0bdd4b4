/**
 * The owner's policy: who may borrow which bundle, for what and how long.
 *
 * Either an allow-list, evaluated here, or a program with a deadline, reached through a port. The core's timer covers
 * a program that never answers. Pure.
 */

import type { BundleId, VmId } from '../protocol/ids.ts';
import type { PolicyDecision } from './agent-io.ts';

/** One entry of the allow-list. */
export interface PolicyRule {
  readonly bundle: BundleId;
  readonly borrower: VmId;
  /** Allowed purposes; absent: any. */
  readonly purposes?: readonly string[] | undefined;
  /** Longest lease in ms; absent: any. */
  readonly leaseMaxMs?: number | undefined;
  /** Longest time that a borrower may hold with all renewals, in ms; absent: as long as one lease. */
  readonly totalMaxMs?: number | undefined;
  /** Longest minimum hold time in ms; absent: as long as the lease. */
  readonly minHoldMaxMs?: number | undefined;
  /** Longest notice in ms; absent: NOTICE_MAX_MS. */
  readonly noticeMaxMs?: number | undefined;
  /** Of requests that wait, the higher one is served first; absent: 0. */
  readonly priority?: number | undefined;
}

/** The question to a policy. */
export interface PolicyQuestion {
  readonly bundle: BundleId;
  readonly borrower: VmId;
  readonly purpose: string;
  readonly leaseMs: number;
  readonly minHoldMs: number;
  readonly noticeMs: number;
  /** Of a renewal: how long the borrower has held, in ms, as far as this agent knows. */
  readonly heldMs?: number | undefined;
  /** Of a renewal: how many borrowers wait for the bundle. */
  readonly waiting?: number | undefined;
}

/** Longest notice where an entry gives none, in ms: a user can finish a word. */
const NOTICE_MAX_MS = 10_000;

/** Decides; `done` is called at most once, possibly before the call returns. */
export type Policy = (question: PolicyQuestion, done: (decision: PolicyDecision) => void) => void;

const NEVER = { allow: false, reason: 'policy', retryAfterMs: 0 } as const;

/** Returns the policy of an allow-list. What no entry allows is declined with the reason. */
export function allowList(rules: readonly PolicyRule[]): Policy {
  return (question, done) => done(decide(rules, question));
}

function decide(rules: readonly PolicyRule[], question: PolicyQuestion): PolicyDecision {
  const { bundle, borrower, purpose } = question;
  const own = rules.filter((rule) => rule.bundle === bundle && rule.borrower === borrower);
  if (own.length === 0) return { ...NEVER, detail: `${borrower} is not on the list` };
  const fitting = own.filter((rule) => !rule.purposes || rule.purposes.includes(purpose));
  if (fitting.length === 0) return { ...NEVER, detail: 'this purpose is not on the list' };
  const allowing = fitting.filter((rule) => tooLong(rule, question) === undefined);
  if (allowing.length === 0) return { ...NEVER, detail: tooLong(fitting[0]!, question)! };
  return { allow: true, priority: Math.max(...allowing.map((rule) => rule.priority ?? 0)) };
}

/** Returns which requested time is longer than the entry allows. */
function tooLong(
  rule: PolicyRule,
  { leaseMs, minHoldMs, noticeMs, heldMs, waiting = 0 }: PolicyQuestion,
): string | undefined {
  const { leaseMaxMs = leaseMs, minHoldMaxMs = leaseMs, noticeMaxMs = NOTICE_MAX_MS } = rule;
  if (leaseMs > leaseMaxMs) return `the longest lease is ${leaseMaxMs} ms`;
  const { totalMaxMs = rule.leaseMaxMs } = rule;
  if (heldMs !== undefined && totalMaxMs !== undefined && heldMs + leaseMs > totalMaxMs)
    return `the longest time in all is ${totalMaxMs} ms`;
  // Without a bound, it could keep the others out for ever.
  if (waiting > 0 && totalMaxMs === undefined) return 'another VM waits, and no longest time in all is set';
  if (minHoldMs > minHoldMaxMs) return `the longest minimum hold time is ${minHoldMaxMs} ms`;
  if (noticeMs > noticeMaxMs) return `the longest notice is ${noticeMaxMs} ms`;
  return undefined;
}
