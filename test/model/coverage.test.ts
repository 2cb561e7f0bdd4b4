/** What the searches reach together, from the files that they are compared with (searches.ts). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { BORROWER_TABLE } from '../../src/core/agent/borrower.ts';
import { OWNER_TABLE } from '../../src/core/agent/owner.ts';
import { HOST_TABLE } from '../../src/core/host/host-table.ts';
import { DIRECTED } from './directed.ts';
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

it('every transition row fires: in a search, or in a directed case', () => {
  const rows = [
    ...OWNER_TABLE.rows.filter((row) => row.act).map((row) => `o:${row.name}`),
    ...BORROWER_TABLE.rows.filter((row) => row.act).map((row) => `b:${row.name}`),
    ...HOST_TABLE.rows.filter((row) => row.act).map((row) => `h:${row.name}`),
  ];
  const unreached = rows.filter((row) => !reached.has(row)).sort();
  expect(DIRECTED.map(({ row }) => row).sort()).toEqual(unreached);
});

it.each(DIRECTED.map((directed) => ({ row: directed.row, directed })))('$row', ({ row, directed }) => {
  const played = directed.play();
  expect([played.row, ...played.levels]).toContain(row.slice(2));
  expect(directed.seen(played)).toEqual(directed.wants);
});
