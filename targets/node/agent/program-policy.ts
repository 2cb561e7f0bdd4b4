/** The owner's policy as a program: one JSON line in, one out, within a deadline. */

import { plainText } from '../../../src/common/plain-text.ts';
import { POLICY_LIMIT_MS } from '../../../src/config/agent-config.ts';
import type { PolicyDecision } from '../../../src/core/agent/agent-io.ts';
import type { Policy } from '../../../src/core/agent/policy.ts';
import { type BundleId, UINT32_MAX } from '../../../src/core/protocol/ids.ts';
import { TEXT_BYTES_MAX } from '../../../src/core/protocol/messages.ts';
import { clipText } from '../../../src/core/wire/utf8.ts';
import { runOnce } from '../system/run-once.ts';

/** Longest answer of the program, in characters: an `allow`, a number and a sentence. */
const OUTPUT_CHARS_MAX = 4_096;

/**
 * Returns a policy that runs `command` for each request. It reads one JSON line, the question, and prints one:
 * `{"allow":true}` or `{"allow":false,"retryAfterMs":0,"detail":"…"}`. Anything else declines. When the program ends,
 * the rest of its process group is killed; at the deadline the whole group is.
 *
 * An owner decides one request per bundle at a time. A new request for the bundle ends the program that decides the
 * previous one, whose result is discarded, and then starts its own. So a borrower that asks often does not delay other
 * borrowers or bundles.
 *
 * Of the program's output only `detail` reaches the borrower, which is another VM. The reason of a failure, with path
 * and standard error, goes to `failed`.
 */
export function programPolicy(
  command: readonly string[],
  limitMs = POLICY_LIMIT_MS,
  failed: (error: string) => void = () => {},
): Policy {
  const runs = new Map<BundleId, Run>();
  const start: Policy = (question, done) => {
    const order = {
      command,
      // The program may log texts that the borrower chose.
      input: `${plainText(JSON.stringify(question))}\n`,
      limitMs,
      outputCharsMax: OUTPUT_CHARS_MAX,
    };
    const cancel = runOnce(order, (end) => {
      const { next } = runs.get(question.bundle)!;
      runs.delete(question.bundle);
      if (next) return next();
      if (!end.ok) failed(end.error);
      done(end.ok ? parseDecision(end.output) : no('the policy program did not answer'));
    });
    runs.set(question.bundle, { cancel });
  };
  return (question, done) => {
    const run = runs.get(question.bundle);
    if (!run) return start(question, done);
    run.next = () => start(question, done);
    run.cancel();
  };
}

/** The running program of one bundle, and the next one to start. */
interface Run {
  readonly cancel: () => void;
  next?: () => void;
}

function parseDecision(output: string): PolicyDecision {
  try {
    const answer = JSON.parse(output) as {
      allow?: unknown;
      retryAfterMs?: unknown;
      detail?: unknown;
    };
    if (answer.allow === true) return { allow: true };
    if (answer.allow !== false) return no('policy program: no "allow" in its answer');
    const retryAfterMs = Number.isInteger(answer.retryAfterMs)
      ? Math.min(Math.max(0, answer.retryAfterMs as number), UINT32_MAX)
      : 0;
    return { ...no(String(answer.detail ?? 'declined by the policy program')), retryAfterMs };
  } catch {
    return no('policy program: its answer is not JSON');
  }
}

function no(detail: string): Extract<PolicyDecision, { allow: false }> {
  return { allow: false, reason: 'policy', retryAfterMs: 0, detail: clipText(detail, TEXT_BYTES_MAX) };
}
