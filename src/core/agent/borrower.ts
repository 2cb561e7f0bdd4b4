/**
 * The borrower's table: a VM that asks for a bundle, uses it under a lease and gives it back.
 *
 * Pure: facts in, orders out (agent-io.ts). The rows stand in the order of a handover, here and in the files named
 * below.
 */

import type { Epoch } from '../protocol/ids.ts';
import { makeTable } from '../protocol/table.ts';
import { BORROWER_TIMERS, type BorrowerTimer } from '../protocol/timers.ts';
import { ASKING_ROWS } from './borrower-ask.ts';
import { HOLDING_ROWS, RETURNING_ROWS } from './borrower-hold.ts';
import { BORROWER_STATES, type BorrowerInput, query, row } from './borrower-state.ts';
import { borrowerToldRows } from './borrower-told.ts';

const starting = [
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
  row({ name: 'inspected-late', on: 'driverInspected', from: 'any', ignore: 'the hooks know better by now' }),
  row({
    name: 'host-up-starting',
    on: 'hostUp',
    from: ['starting'],
    ignore: 'the driver is inspected first',
  }),
  row({
    name: 'host-up',
    on: 'hostUp',
    from: 'any',
    to: ['stay'],
    act: ({ state }) => ({ state, effects: query }),
  }),
  row({
    name: 'new-table',
    on: 'newTable',
    from: 'any',
    to: ['stay'],
    act: ({ state }) => ({
      state: {
        ...state,
        epoch: 0 as Epoch,
        known: { epoch: 0 as Epoch, holder: undefined },
        rejected: undefined,
      },
      effects: [],
    }),
  }),
  row({
    name: 'query-again',
    on: 'timer:query',
    from: 'any',
    to: ['stay'],
    act: ({ state }) => ({ state, effects: query }),
  }),
];

/** Inputs of the borrower's table, for the totality test and the diagrams. */
export const BORROWER_INPUTS: readonly BorrowerInput['on'][] = [
  'start',
  'driverInspected',
  'hostUp',
  'newTable',
  'hookDone',
  'borrow',
  'return',
  'handoverPending',
  'borrowDeclined',
  'refused',
  'remapped',
  'stateReported',
  'confirmed',
  'leaseEnding',
  'recallDevice',
  ...(Object.keys(BORROWER_TIMERS) as BorrowerTimer[]).map((name) => `timer:${name}` as const),
];

/** The borrower's table. */
export const BORROWER_TABLE = makeTable('borrower', BORROWER_STATES, BORROWER_INPUTS, [
  ...starting,
  ...ASKING_ROWS,
  ...borrowerToldRows('remapped'),
  ...borrowerToldRows('stateReported'),
  ...HOLDING_ROWS,
  ...RETURNING_ROWS,
]);
