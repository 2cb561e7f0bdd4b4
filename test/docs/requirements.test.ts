/** Every requirement of docs/PROTOCOL.md is proved by a test: one that bears its number, or one that is named here. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Requirement → file and name of the test, or of the group of tests, that proves it. */
const PROOFS: Readonly<Record<number, readonly [string, string]>> = {
  1: ['test/wire/session.test.ts', 'with another pair key every frame gets the one error'],
  3: ['test/wire/scanner.test.ts', 'outside the profile'],
  4: ['test/wire/session-use.test.ts', 'a repeated message is dropped, an overtaken one is taken once'],
  5: [
    'test/wire/session-use.test.ts',
    'when they run out the session says so, and a new one starts again from 1',
  ],
  6: ['test/wire/session.test.ts', 'a replayed hello does not tear down the session'],
  7: ['test/wire/session.test.ts', 'of two hellos at the same moment that of the lower name counts'],
  8: ['test/wire/session.test.ts', 'the word of the host replaces what an agent claims'],
  9: ['test/wire/session-use.test.ts', 'a stamp that is not from the host makes a message malformed'],
  10: ['test/wire/session.test.ts', 'no frame of one boot of the receiver means anything to the next (M6)'],
  11: ['test/wire/session-use.test.ts', 'the highest common version'],
  12: [
    'test/wire/session-use.test.ts',
    'bundles that are defined differently are told, and the session is up',
  ],
  13: ['test/transport/mqtt.test.ts', 'cuts off who sends under another name, and delivers nothing of it'],
  14: ['test/transport/mqtt.test.ts', 'a retained message is dropped: it may be from another boot'],
  15: ['test/transport/stream.test.ts', 'cannot send under another name'],
  16: ['test/transport/stream.test.ts', 'that writes no frames is left and dialled again'],
};

const document = readFileSync(join(ROOT, 'docs/PROTOCOL.md'), 'utf8');
const required = [...document.matchAll(/^- \*\*R(\d+)\*\* /gm)].map(([, number]) => Number(number));
const numbered = testFiles('test').flatMap((file) =>
  [...readFileSync(join(ROOT, file), 'utf8').matchAll(/['"`]R(\d+) /g)].map(([, number]) => Number(number)),
);

test('requirements are numbered from 1 without a gap', () => {
  expect(required).toEqual(required.map((_, index) => index + 1));
});

test('every requirement has a test that bears its number, or one that is named here, not both', () => {
  const proofs = required.map((number) => Number(numbered.includes(number)) + Number(number in PROOFS));
  expect(required.filter((_, index) => proofs[index] !== 1)).toEqual([]);
});

test('no test and no entry names a requirement that does not exist', () => {
  const named = [...numbered, ...Object.keys(PROOFS).map(Number)];
  expect(named.filter((number) => !required.includes(number))).toEqual([]);
});

test.each(Object.entries(PROOFS))('the test named for R%s is there', (_, [file, name]) => {
  const source = readFileSync(join(ROOT, file), 'utf8');
  expect(source).toMatch(new RegExp(`(it|test|describe)\\(\\s*'${name.replace(/[()]/g, '\\$&')}'`));
});

function testFiles(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return testFiles(path);
    return entry.name.endsWith('.test.ts') ? [path] : [];
  });
}
