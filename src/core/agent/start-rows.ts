/** Rows that both roles have: the driver is inspected first, then the host is asked. Pure. */

import type { AgentConfig } from '../protocol/evidence.ts';
import type { Row } from '../protocol/table.ts';
import { rowsOf } from '../protocol/table.ts';
import type { AgentEffect, CommonInput } from './agent-io.ts';

interface Starting {
  readonly name: string;
  readonly driver: string;
}

/**
 * Returns the rows of a start. `query`: the effects that ask the host; `forget`: the state without what belongs to the
 * host's last table, whose epochs say nothing about the new one.
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
    row({ name: 'start-again', on: 'start', from: 'any', ignore: 'started before' }),
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
      name: 'inspected-late',
      on: 'driverInspected',
      from: 'any',
      ignore: 'the hooks know better by now',
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
