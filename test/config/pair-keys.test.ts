/** Keys of a pair as a key file writes them: one, or two with their generations. */

import { describe, expect, it, test } from 'vitest';
import { faultsOf } from '../../src/config/faults.ts';
import { readKeyFile } from '../../src/config/key-file.ts';
import { keysDiffer, parsePairKeys } from '../../src/config/pair-keys.ts';
import { KEYS_SCHEMA } from '../../src/config/shared-parts.ts';

import { complaint } from '../support/complaint.ts';

const [A, B, C] = ['a', 'b', 'c'].map((digit) => digit.repeat(64)) as [string, string, string];
const bytes = (value: number) => new Uint8Array(32).fill(value);
const isSound = (text: string) => faultsOf(KEYS_SCHEMA, { host: text }).length === 0;

describe('keys of a pair', () => {
  it.each([
    [A, [{ generation: 1, key: bytes(0xaa) }]],
    [`7:${A}`, [{ generation: 7, key: bytes(0xaa) }]],
    [
      `2:${B} 1:${A}`,
      [
        { generation: 2, key: bytes(0xbb) },
        { generation: 1, key: bytes(0xaa) },
      ],
    ],
  ])('are read: %s', (text, keys) => {
    expect(isSound(text)).toBe(true);
    expect(parsePairKeys(text)).toEqual(keys);
  });

  it.each([
    `0:${A}`,
    `01:${A}`,
    `1234567890:${A}`,
    `${A} ${B}`,
    `1:${A} 2:${B} 3:${C}`,
    `1:${A}  2:${B}`,
    `1:${A.slice(1)}`,
    `:${A}`,
    '',
  ])('are refused: %s', (text) => {
    expect(isSound(text)).toBe(false);
  });

  it('are refused when two have one number', () => {
    const text = JSON.stringify({ host: `2:${A} 2:${B}` });
    expect(complaint(() => readKeyFile('keys.json', text))).toMatch(/host: two keys of generation 2/);
    expect(readKeyFile('keys.json', JSON.stringify({ host: A })).get('host')).toHaveLength(1);
  });

  it('are not told in a complaint', () => {
    const [fault] = faultsOf(KEYS_SCHEMA, { host: `1:${A} 2:${B} 3:${C}` });
    expect(fault?.message).not.toMatch(/a{8}|b{8}|c{8}/);
  });

  test.each([
    [A, A, false],
    [A, B, true],
    [A, `1:${A}`, false],
    [A, `2:${B} 1:${A}`, false],
    [`2:${B} 1:${A}`, `3:${C} 2:${B}`, false],
    [A, `2:${A}`, true],
    [`2:${B} 1:${A}`, `2:${C} 1:${A}`, true],
  ])('of two files fit where a generation is common, and none is another key', (ours, theirs, differ) => {
    expect([keysDiffer(ours, theirs), keysDiffer(theirs, ours)]).toEqual([differ, differ]);
  });
});
