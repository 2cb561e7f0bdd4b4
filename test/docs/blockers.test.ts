/**
 * The table of blockers in docs/PLATFORMS.md has every kind, in the order of the code, and those that may be accepted
 * say how.
 */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { ACCEPTABLE, BLOCKER_KINDS } from '../../src/planner/blockers.ts';

const text = readFileSync(fileURLToPath(new URL('../../docs/PLATFORMS.md', import.meta.url)), 'utf8');
const section = text.slice(text.indexOf('## Planning a bundle'));
const rows = [...section.slice(0, section.indexOf('\n## ', 1)).matchAll(/^\| `(\w+)` +\|(.*)$/gm)];

it('has every kind of blocker', () => {
  expect(rows.map(([, kind]) => kind)).toEqual([...BLOCKER_KINDS]);
});

it('says of those that may be accepted how, and of no other', () => {
  const accepted = rows.filter(([, , rest]) => rest!.includes('--accept')).map(([, kind]) => kind);
  expect(accepted.sort()).toEqual(Object.values(ACCEPTABLE).sort());
});
