/** What the searches reach together, from the files that they are compared with (searches.ts). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { BORROWER_TABLE, HOST_TABLE, OWNER_TABLE } from '../../src/protocol/index.ts';
import { SITUATIONS } from './searches.ts';

const reached = new Set(
  [0, 1].flatMap((half) =>
    readFileSync(join(import.meta.dirname, `reached/${half}.txt`), 'utf8')
      .trimEnd()
      .split('\n'),
  ),
);

it('every named situation is reached', () => {
  expect(SITUATIONS.length).toBeGreaterThanOrEqual(12);
  expect(SITUATIONS.map(([name]) => name).filter((name) => !reached.has(name))).toEqual([]);
});

it('most transition rows fire; the others are listed', () => {
  const rows = [
    ...OWNER_TABLE.rows.filter((row) => row.act).map((row) => `o:${row.name}`),
    ...BORROWER_TABLE.rows.filter((row) => row.act).map((row) => `b:${row.name}`),
    ...HOST_TABLE.rows.filter((row) => row.act).map((row) => `h:${row.name}`),
  ];
  expect(rows.filter((row) => !reached.has(row)).sort()).toMatchSnapshot();
});
