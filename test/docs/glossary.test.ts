/** Every word of docs/GLOSSARY.md stands in another page: a word that nothing uses is not listed. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const pages = readdirSync(join(ROOT, 'docs')).filter(
  (name) => name.endsWith('.md') && name !== 'GLOSSARY.md',
);
const rest = ['README.md', ...pages.map((name) => `docs/${name}`)].map(read).join('\n').toLowerCase();
const rows = read('docs/GLOSSARY.md').matchAll(/^\| (?!term|-)([^|]+?) +\|/gm);
const terms = [...rows].flatMap(([, cell]) => cell!.split(', '));

it('lists each word once', () => {
  expect(terms.length).toBeGreaterThan(50);
  expect(terms.filter((term, index) => terms.indexOf(term) !== index)).toEqual([]);
});

it('lists no word that no page uses', () => {
  expect(terms.filter((term) => !new RegExp(`\\b${term.toLowerCase()}`).test(rest))).toEqual([]);
});
