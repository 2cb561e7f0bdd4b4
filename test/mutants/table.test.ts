/**
 * The table of deliberate bugs fits the source: a pattern that stands nowhere, or twice, plants nothing. Whether each
 * bug is caught, `npm run test:mutants` says.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { applied, type Mutant, patternOf, ROOT, readSources, testsOf } from './sources.ts';
import { MUTANTS } from './table.ts';

const sources = readSources();

/** Words of the language, names of its built-in objects, and fields that a mutant itself writes. */
const LANGUAGE = new Set(
  'Number Math Infinity MAX_VALUE undefined true false void as never break throw delete some every size lost'.split(
    ' ',
  ),
);

it('every pattern stands in one place, and what comes there is another text', () => {
  const wrong = MUTANTS.filter((mutant) => {
    const source = applied(mutant, sources);
    return (
      typeof source === 'number' || source.text === sources.find(({ path }) => path === source.path)!.text
    );
  });
  expect(wrong.map(({ name }) => name)).toEqual([]);
});

it('what comes there uses names that its file has: one that does not even run is caught by anything', () => {
  const unknown = MUTANTS.flatMap((mutant) => {
    const source = applied(mutant, sources);
    if (typeof source === 'number') return [];
    const original = sources.find(({ path }) => path === source.path)!.text;
    const code = mutant.replace.replace(/'[^']*'|"[^"]*"|`[^`]*`|\/\/.*|\b\d\w*/g, '');
    const names = code.match(/[A-Za-z_$][\w$]*/g) ?? [];
    const strange = names.filter(
      (name) => !LANGUAGE.has(name) && !new RegExp(`\\b${name}\\b`).test(original),
    );
    return strange.map((name) => `${mutant.name}: ${name}`);
  });
  expect(unknown).toEqual([]);
});

it('every entry has a name of its own, a property and tests that are there', () => {
  expect(MUTANTS.length).toBeGreaterThanOrEqual(80);
  expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
  expect(MUTANTS.filter(({ breaks }) => breaks === '')).toEqual([]);
  const files = MUTANTS.flatMap((mutant) => testsOf(mutant));
  expect(files.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
});

it('what a review found to survive is in it', () => {
  const letters = MUTANTS.flatMap(({ name }) => /^\(([a-m])\)/.exec(name)?.[1] ?? []);
  expect([...new Set(letters)].sort()).toEqual([...'abcdefghijklm']);
});

it('a pattern is found wherever it stands, however it is wrapped', () => {
  const mutant: Mutant = { name: '', find: 'if (a) b();', replace: 'b();', breaks: '', caughtBy: '' };
  const at = (text: string) => ({ path: 'x.ts', text });
  expect(applied(mutant, [at('one();\nif (a)\n    b();\ntwo();')])).toEqual(at('one();\nb();\ntwo();'));
  expect(applied(mutant, [at('if (a) b();'), at('if (a) b();')])).toBe(2);
  expect(applied(mutant, [at('if (b) a();')])).toBe(0);
  expect(patternOf({ find: /x(y)/ }).flags).toBe('g');
});
