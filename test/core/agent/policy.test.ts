/** The allow-list: what no entry allows is declined, and the reason is the first that would have to change. */

import { expect, it } from 'vitest';
import type { PolicyDecision } from '../../../src/core/agent/agent-io.ts';
import { allowList, type PolicyQuestion, type PolicyRule } from '../../../src/core/agent/policy.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';

const ASKED: PolicyQuestion = {
  bundle: PANEL.id,
  borrower: VAULT,
  purpose: 'pin',
  leaseMs: 10_000,
  minHoldMs: 2_000,
  noticeMs: 500,
};
const RULE: PolicyRule = { bundle: PANEL.id, borrower: VAULT };

function decide(rules: readonly PolicyRule[], asked: Partial<PolicyQuestion> = {}): string {
  let decision: PolicyDecision | undefined;
  allowList(rules)({ ...ASKED, ...asked }, (given) => {
    decision = given;
  });
  return decision!.allow ? 'allowed' : String(decision!.detail);
}

it.each<[string, readonly PolicyRule[], Partial<PolicyQuestion>, string]>([
  ['an entry without limits', [RULE], {}, 'allowed'],
  ['no entry', [], {}, 'vault is not on the list'],
  ['an entry for somebody else', [{ ...RULE, borrower: ANDROID }], {}, 'vault is not on the list'],
  ['an entry for another bundle', [{ ...RULE, bundle: 'keys' as never }], {}, 'vault is not on the list'],
  ['a purpose on the list', [{ ...RULE, purposes: ['pay', 'pin'] }], {}, 'allowed'],
  ['another purpose', [{ ...RULE, purposes: ['pay'] }], {}, 'this purpose is not on the list'],
  ['no purpose at all', [{ ...RULE, purposes: [] }], {}, 'this purpose is not on the list'],
  ['a lease at its limit', [{ ...RULE, leaseMaxMs: 10_000 }], {}, 'allowed'],
  ['a lease beyond it', [{ ...RULE, leaseMaxMs: 9_999 }], {}, 'the longest lease is 9999 ms'],
  ['a minimum hold time at its limit', [{ ...RULE, minHoldMaxMs: 2_000 }], {}, 'allowed'],
  [
    'a minimum hold time beyond it',
    [{ ...RULE, minHoldMaxMs: 1_999 }],
    {},
    'the longest minimum hold time is 1999 ms',
  ],
  [
    'a minimum hold time longer than the lease',
    [RULE],
    { minHoldMs: 10_001 },
    'the longest minimum hold time is 10000 ms',
  ],
  ['a notice at the limit', [RULE], { noticeMs: 10_000 }, 'allowed'],
  ['a notice beyond it', [RULE], { noticeMs: 10_001 }, 'the longest notice is 10000 ms'],
  ['a renewal within the time in all', [{ ...RULE, totalMaxMs: 15_000 }], { heldMs: 5_000 }, 'allowed'],
  [
    'a renewal beyond it, of a lease that has just begun',
    [{ ...RULE, totalMaxMs: 9_999 }],
    { heldMs: 0 },
    'the longest time in all is 9999 ms',
  ],
  [
    'a renewal without a bound while another VM waits',
    [RULE],
    { heldMs: 5_000, waiting: 1 },
    'another VM waits, and no longest time in all is set',
  ],
  ['one with a bound', [{ ...RULE, totalMaxMs: 15_000 }], { heldMs: 5_000, waiting: 1 }, 'allowed'],
])('%s', (_, rules, asked, said) => {
  expect(decide(rules, asked)).toBe(said);
});

it('one entry that allows is enough, whatever the others say', () => {
  const short = { ...RULE, leaseMaxMs: 1 };
  expect(decide([short, RULE])).toBe('allowed');
  expect(decide([RULE, short])).toBe('allowed');
  expect(decide([short, { ...RULE, purposes: ['pay'] }])).toBe('the longest lease is 1 ms');
});

it('the highest priority of the entries that allow it counts', () => {
  let decision: PolicyDecision | undefined;
  const rules = [{ ...RULE, priority: 2 }, RULE, { ...RULE, priority: 9, leaseMaxMs: 1 }];
  allowList(rules)(ASKED, (given) => {
    decision = given;
  });
  expect(decision).toEqual({ allow: true, priority: 2 });
});
