import { describe, expect, it } from 'vitest';
import { BORROWER_TABLE } from '../../../src/core/agent/borrower.ts';
import { OWNER_TABLE } from '../../../src/core/agent/owner.ts';
import { HOST_TABLE } from '../../../src/core/host/host-table.ts';
import type { Table } from '../../../src/core/protocol/table.ts';

type AnyTable = Table<{ name: string }, { on: string }, unknown, unknown>;
const tables = [OWNER_TABLE, BORROWER_TABLE, HOST_TABLE] as unknown as AnyTable[];

describe.each(tables)('table of the $title', (table) => {
  it('is total: every state has an unguarded row for every input', () => {
    const missing = table.states.flatMap((state) =>
      table.inputs
        .filter(
          (on) =>
            !table.rows.some(
              (row) => row.on === on && !row.guard && (row.from === 'any' || row.from.includes(state)),
            ),
        )
        .map((on) => `${state} ${on}`),
    );
    expect(missing).toEqual([]);
  });

  it('has no row behind an unguarded row of the same state and input', () => {
    const dead = table.rows.filter((row, index) => {
      const states = row.from === 'any' ? table.states : row.from;
      return states.every((state) =>
        table.rows
          .slice(0, index)
          .some(
            (other) =>
              other.on === row.on && !other.guard && (other.from === 'any' || other.from.includes(state)),
          ),
      );
    });
    expect(dead.map((row) => row.name)).toEqual([]);
  });

  it('says for every row what it does: a transition with its targets, or an ignore with its reason', () => {
    const vague = table.rows.filter((row) => (row.act ? !row.to?.length : !row.ignore));
    expect(vague.map((row) => row.name)).toEqual([]);
  });

  it('gives every guard its words, and no words without a guard', () => {
    expect(
      table.rows.filter((row) => Boolean(row.when) !== Boolean(row.guard)).map((row) => row.name),
    ).toEqual([]);
  });
});
