/** Rows of both roles for a start: the driver is inspected first, then the host is queried. Pure. */

import type { AgentConfig } from '../protocol/evidence.ts';
import type { Row } from '../protocol/table.ts';
import { rowsOf } from '../protocol/table.ts';
import type { AgentEffect, CommonInput } from './agent-io.ts';

interface Starting {
  readonly name: string;
  readonly driver: string;
}

/** Why these inputs are ignored later. */
export const START_LATE = {
  start: 'already started',
  driverInspected: 'the hooks have newer results',
} as const;

/**
 * Returns the rows of a start. `query`: the effects that query the host. `forget`: returns the state without what
 * belongs to the host's previous table, whose epochs do not compare with the new one's.
 */
export function startRows<S extends Starting, I extends { on: string }, T extends string>(
  query: readonly AgentEffect<T>[],
  forget: (state: S) => S,
): Row<S, I, AgentConfig, AgentEffect<T>>[] {
  const row = rowsOf<S, CommonInput<'query'>, AgentConfig, AgentEffect<T>>();
  const ask = {
    from: 'any',
    to: ['stay'],
    act: ({ state }: { state: S }) => ({ state, effects: query }),
  } as const;
  const rows = [
    row({
      name: 'start',
      on: 'start',
      from: ['starting'],
      to: ['stay'],
      act: ({ state }) => ({ state, effects: [{ do: 'inspect' }] }),
    }),
    row({
      name: 'inspected',
      on: 'driverInspected',
      from: ['starting'],
      to: ['unknown'],
      act: ({ state, input }) => ({
        state: { ...state, name: 'unknown', driver: input.status },
        effects: query,
      }),
    }),
    row({
      name: 'host-up-starting',
      on: 'hostUp',
      from: ['starting'],
      ignore: 'the driver is inspected first',
    }),
    row({ name: 'host-up', on: 'hostUp', ...ask }),
    row({
      name: 'new-table',
      on: 'newTable',
      from: 'any',
      to: ['stay'],
      act: ({ state }) => ({ state: forget(state), effects: [] }),
    }),
    row({ name: 'query-again', on: 'timer:query', ...ask }),
  ];
  return rows as unknown as Row<S, I, AgentConfig, AgentEffect<T>>[];
}
