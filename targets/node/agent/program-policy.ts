/** The owner's policy as a program: one JSON line in, one out, within a deadline. */

import { plainText } from '../../../src/common/plain-text.ts';
import { POLICY_LIMIT_MS, PRIORITY_MAX } from '../../../src/config/agent-config.ts';
import type { PolicyDecision } from '../../../src/core/agent/agent-io.ts';
import type { Policy, PolicyQuestion } from '../../../src/core/agent/policy.ts';
import { UINT32_MAX } from '../../../src/core/protocol/ids.ts';
import { TEXT_BYTES_MAX } from '../../../src/core/protocol/messages.ts';
import { clipText } from '../../../src/core/wire/utf8.ts';
import { runOnce } from '../system/run-once.ts';

/** Longest answer of the program, in characters: an `allow`, a number and a sentence. */
const OUTPUT_CHARS_MAX = 4_096;

/**
 * Returns a policy that runs `command` for each request. It reads one JSON line, the question, and prints one:
 * `{"allow":true,"priority":0}` or `{"allow":false,"retryAfterMs":0,"detail":"…"}`. Anything else declines. When the
 * program ends, the rest of its process group is killed; at the deadline the whole group is.
 *
 * An owner decides one request and one renewal per bundle at a time. A new question of its kind ends the program that
 * decides the previous one, whose result is discarded, and then starts its own. So a borrower that asks often does not
 * delay other borrowers or bundles.
 *
 * Of the program's output only `detail` reaches the borrower, which is another VM. The reason of a failure, with path
 * and standard error, goes to `failed`.
 */
export function programPolicy(
  command: readonly string[],
  limitMs = POLICY_LIMIT_MS,
  failed: (error: string) => void = () => {},
): Policy {
  const runs = new Map<string, Run>();
  const start: Policy = (question, done) => {
    const order = {
      command,
      // The program may log texts that the borrower chose.
      input: `${plainText(JSON.stringify(question))}\n`,
      limitMs,
      outputCharsMax: OUTPUT_CHARS_MAX,
    };
    const cancel = runOnce(order, (end) => {
      const { next } = runs.get(kindOf(question))!;
      runs.delete(kindOf(question));
      if (next) return next();
      if (!end.ok) failed(end.error);
      done(end.ok ? parseDecision(end.output) : no('the policy program did not answer'));
    });
    runs.set(kindOf(question), { cancel });
  };
  return (question, done) => {
    const run = runs.get(kindOf(question));
    if (!run) return start(question, done);
    run.next = () => start(question, done);
    run.cancel();
  };
}

/** Questions of one kind replace each other: of a bundle's requests, and of its renewals. */
const kindOf = ({ bundle, heldMs }: PolicyQuestion) =>
  `${heldMs === undefined ? 'request' : 'renewal'} ${bundle}`;

/** The running program of one kind of question, and the next one to start. */
interface Run {
  readonly cancel: () => void;
  next?: () => void;
}

function parseDecision(output: string): PolicyDecision {
  try {
    const answer = JSON.parse(output) as {
      allow?: unknown;
      priority?: unknown;
      retryAfterMs?: unknown;
      detail?: unknown;
    };
    const { allow, priority } = answer;
    if (allow === true)
      return priority === undefined ? { allow } : { allow, priority: within(priority, PRIORITY_MAX) };
    if (answer.allow !== false) return no('policy program: no "allow" in its answer');
    const detail = String(answer.detail ?? 'declined by the policy program');
    return { ...no(detail), retryAfterMs: within(answer.retryAfterMs, UINT32_MAX) };
  } catch {
    return no('policy program: its answer is not JSON');
  }
}

/** Returns an integer from 0 to `max`; of anything else 0. */
function within(value: unknown, max: number): number {
  return Number.isInteger(value) ? Math.min(Math.max(0, value as number), max) : 0;
}

function no(detail: string): Extract<PolicyDecision, { allow: false }> {
  return { allow: false, reason: 'policy', retryAfterMs: 0, detail: clipText(detail, TEXT_BYTES_MAX) };
}
