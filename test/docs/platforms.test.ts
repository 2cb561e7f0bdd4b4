/** docs/PLATFORMS.md: its sections about kinds of enforcers are those of their folders (`-u` writes them anew). */

import { readFileSync } from 'node:fs';
import { expect, it, test } from 'vitest';
import { replaceGenerated } from '../../src/core/protocol/render.ts';
import { ENFORCER_KINDS } from '../../src/edges/enforcer/kinds.ts';

const DOCUMENT = '../../docs/PLATFORMS.md';
const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');
const textOf = (kind: string) => read(`../../src/edges/enforcer/kinds/${kind}/platform.md`).trim();

test('the sections of kinds are what their folders say', async () => {
  const kinds = Object.keys(ENFORCER_KINDS);
  const rendered = replaceGenerated(read(DOCUMENT), { enforcers: kinds.map(textOf).join('\n\n') });
  await expect(rendered).toMatchFileSnapshot(DOCUMENT);
});

it.each(Object.keys(ENFORCER_KINDS))('the section of %s has a heading and names its kind', (kind) => {
  expect(textOf(kind)).toMatch(/^## \S/);
  expect(textOf(kind)).toContain(kind);
});
