/** Sections of a plan in words: each is there when it has something to say, and not otherwise. */

import { expect, it } from 'vitest';
import { planLines } from '../../src/planner/describe.ts';
import type { Plan } from '../../src/planner/plan.ts';

const EMPTY = {
  members: [],
  blockers: [],
  accepted: [],
  kept: [],
  notes: [],
  uncertain: [],
} as unknown as Plan;
const lines = (fields: object) => planLines({ ...EMPTY, ...fields } as Plan);

it.each([
  ['To know:', { notes: ['one', 'two'] }, ['To know:', '  one', '  two']],
  [
    'Stays with the keeper, who leaves it on:',
    {
      kept: [
        { role: 'clock', provider: 'gcc' },
        { role: 'power-domain', provider: 'rpmhpd' },
        { role: 'clock', provider: 'dispcc' },
      ],
    },
    ['Stays with the keeper, who leaves it on:', '  clock: gcc, dispcc', '  power-domain: rpmhpd'],
  ],
])('%s', (title, fields, section) => {
  const shown = lines(fields);
  const at = shown.indexOf(title);
  expect(shown.slice(at, at + section.length)).toEqual(section);
  expect(shown[at - 1]).toBe('');
  expect(lines({})).not.toContain(title);
});
