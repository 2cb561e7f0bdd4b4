/** Every requirement of docs/PROTOCOL.md is proved by a test: one that bears its number, or one that is named here. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Requirement → file and name of the test, or of the group of tests, that proves it. */
const PROOFS: Readonly<Record<number, readonly [string, string]>> = {
  1: ['test/core/wire/session.test.ts', 'with another pair key every frame gets the one error'],
  3: ['test/core/wire/scanner.test.ts', 'outside the profile'],
  4: ['test/core/wire/session-use.test.ts', 'a repeated message is dropped, an overtaken one is taken once'],
  5: [
    'test/core/wire/session-use.test.ts',
    'when they run out the session says so, and a new one starts again from 1',
  ],
  6: ['test/core/wire/session.test.ts', 'a replayed hello does not tear down the session'],
  7: ['test/core/wire/session.test.ts', 'of two hellos at the same moment that of the lower name counts'],
  8: ['test/core/wire/session.test.ts', 'the word of the host replaces what an agent claims'],
  9: [
    'test/core/wire/session-use.test.ts',
    'a timestamp token that is not from the host makes a message malformed',
  ],
  10: [
    'test/core/wire/session.test.ts',
    'no frame of one boot of the receiver means anything to the next (M6)',
  ],
  11: ['test/core/wire/session-use.test.ts', 'the highest common version'],
  12: [
    'test/core/wire/session-use.test.ts',
    'bundles that are defined differently are told, and the session is up',
  ],
  13: [
    'test/edges/transport/mqtt.test.ts',
    'cuts off who sends under another name, and delivers nothing of it',
  ],
  14: ['test/edges/transport/mqtt.test.ts', 'a retained message is dropped: it may be from another boot'],
  15: ['test/edges/transport/stream.test.ts', 'cannot send under another name'],
  16: ['test/edges/transport/stream.test.ts', 'that writes no frames is left and dialled again'],
};

const document = readFileSync(join(ROOT, 'docs/PROTOCOL.md'), 'utf8');
const required = [...document.matchAll(/^- \*\*R(\d+)\*\* /gm)].map(([, number]) => Number(number));
/** Tests that bear the number of a requirement, with what they do. */
const bearing = testFiles('test').flatMap((file) => {
  const source = readFileSync(join(ROOT, file), 'utf8');
  return [...source.matchAll(/['"`]R(\d+) /g)].map((match) => ({
    number: Number(match[1]),
    file,
    body: bodyAround(source, match.index),
  }));
});
const numbered = bearing.map(({ number }) => number);

test('requirements are numbered from 1 without a gap, and each stands once, wherever it is needed', () => {
  const sorted = [...required].sort((a, b) => a - b);
  expect(sorted).toEqual(sorted.map((_, index) => index + 1));
});

test('every requirement has a test that bears its number, or one that is named here, not both', () => {
  const proofs = required.map((number) => Number(numbered.includes(number)) + Number(number in PROOFS));
  expect(required.filter((_, index) => proofs[index] !== 1)).toEqual([]);
});

test('no test and no entry names a requirement that does not exist', () => {
  const named = [...numbered, ...Object.keys(PROOFS).map(Number)];
  expect(named.filter((number) => !required.includes(number))).toEqual([]);
});

test.each(Object.entries(PROOFS))(
  'the test named for R%s is there, is run, and asserts',
  (_, [file, name]) => {
    const source = readFileSync(join(ROOT, file), 'utf8');
    const pattern = new RegExp(
      `(it|test|describe)(\\.each\\([^']*\\))?\\(\\s*'${name.replace(/[()]/g, '\\$&')}'`,
    );
    const at = pattern.exec(source)?.index;
    expect(at).toBeDefined();
    expect(bodyAround(source, at!)).toMatch(ASSERTS);
  },
);

test('tests that bear a number are run, and assert', () => {
  expect(
    bearing.filter(({ body }) => !ASSERTS.test(body)).map(({ number, file }) => `R${number} ${file}`),
  ).toEqual([]);
});

test('what asserts nothing, or is left out, is told from a test', () => {
  const first = (source: string) => bodyAround(source, source.indexOf('one'));
  expect(first("it('one', () => {\n  expect(1).toBe(1);\n});")).toMatch(ASSERTS);
  expect(first("it('one', () => {\n  run();\n});\nit('y', () => expect(1));")).not.toMatch(ASSERTS);
  expect(first("it.skip('one', () => {\n  expect(1).toBe(1);\n});")).toBe('');
});

/** What a test does that proves something. */
const ASSERTS = /\bexpect\w*\(|\bisSafeUnless\(/;

/**
 * The call of `it`, `test` or `describe` around the name at `at`, to the line that ends it; empty where it is left out.
 */
function bodyAround(source: string, at: number): string {
  const calls = [...source.slice(0, at + 12).matchAll(/\b(it|test|describe)\b/g)];
  const start = calls.at(-1)?.index ?? at;
  if (/^\w+\.(skip|todo|fails|skipIf)/.test(source.slice(start))) return '';
  const line = source.lastIndexOf('\n', start) + 1;
  const indent = /^ */.exec(source.slice(line))![0];
  const end = source.indexOf(`\n${indent}`, source.indexOf('=>', start));
  // The first line from here that is indented no deeper, and closes something, ends it.
  const closing = new RegExp(`\\n${indent}[)}\\]].*;`, 'g');
  closing.lastIndex = end < 0 ? start : end - 1;
  return source.slice(start, closing.exec(source)?.index ?? source.length);
}

function testFiles(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return testFiles(path);
    return entry.name.endsWith('.test.ts') ? [path] : [];
  });
}
