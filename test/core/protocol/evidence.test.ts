/** What a holder finds wrong with the evidence of its grant: each field, each resource too many or too few. */

import { describe, expect, it } from 'vitest';
import {
  expectedByDefinition,
  findMismatch,
  findResourceMismatch,
} from '../../../src/core/protocol/evidence.ts';
import type { Incarnation } from '../../../src/core/protocol/ids.ts';
import { ANDROID, BORROWER_CONFIG, DIGEST, OTHER, PANEL, proofFor, VAULT } from './requirements-support.ts';

const expected = expectedByDefinition(PANEL, VAULT);
const ONE = 1 as Incarnation;
const told = (fields: object = {}) => ({
  digest: DIGEST,
  holder: VAULT,
  incarnation: ONE,
  proof: proofFor(VAULT),
  ...fields,
});
const mismatch = (fields: object = {}) => findMismatch(BORROWER_CONFIG, ONE, 'observed', told(fields));

describe('a grant', () => {
  it('as it was consented to has nothing wrong', () => {
    expect(mismatch()).toBeUndefined();
  });

  it.each([
    [{ digest: new Uint8Array(32) }, 'bundle definition differs (digest)'],
    [{ digest: DIGEST.subarray(1) }, 'bundle definition differs (digest)'],
    [{ holder: OTHER }, 'holder is other'],
    [{ holder: undefined }, 'holder is nobody'],
    [{ incarnation: 2 }, 'incarnation 2, ours is 1'],
    [{ proof: undefined }, 'no proof enclosed'],
    [{ proof: { ...proofFor(VAULT), evidence: 'asserted' } }, 'evidence asserted, we ask for observed'],
    [{ proof: proofFor(ANDROID) }, 'touch.mmio0 view 0xa900000, expected 0xb900000'],
  ])('%j is wrong', (fields, text) => {
    expect(mismatch(fields)).toBe(text);
  });

  it('with more evidence than consented to is right', () => {
    expect(mismatch({ proof: { ...proofFor(VAULT), evidence: 'attested' } })).toBeUndefined();
  });
});

describe('resources', () => {
  const [first, ...others] = expected;
  const extra = { ...first!, resource: 'pen.mmio0' as never };

  it.each([
    ['one is missing', others, 'touch.mmio0 is missing'],
    ['one is too many', [...expected, extra], 'pen.mmio0 is not expected'],
    ['one stands in place of another', [extra, ...others], 'touch.mmio0 is missing'],
    [
      'one is told twice',
      [...expected, first!],
      `${expected.length + 1} resources, expected ${expected.length}`,
    ],
    ['none is there', [], 'touch.mmio0 is missing'],
  ])('%s', (_, granted, text) => {
    expect(findResourceMismatch(expected, granted)).toBe(text);
  });

  it('may come in any order', () => {
    expect(findResourceMismatch(expected, [...expected].reverse())).toBeUndefined();
  });

  it.each(['kind', 'physical', 'view', 'pages', 'trigger', 'smmu', 'mask'] as const)('%s counts', (field) => {
    for (const [index, want] of expected.entries()) {
      const other = {
        ...want,
        [field]: field === 'kind' ? 'other' : field === 'trigger' ? 'none!' : 1_000_003,
      };
      const granted = expected.map((each, at) => (at === index ? other : each));
      expect(findResourceMismatch(expected, granted as never), want.resource).toContain(want.resource);
    }
  });
});
