/**
 * The owner's table: the VM that holds title to a bundle, lends it and takes it back.
 *
 * Pure: facts in, orders out (agent-io.ts). Whoever reads the rows from top to bottom, here and in the files named
 * below, reads the procedures of the design in order.
 */

import type { Epoch } from '../protocol/ids.ts';
import { makeTable } from '../protocol/table.ts';
import { OWNER_TIMERS, type OwnerTimer } from '../protocol/timers.ts';
import { HOLDING_ROWS, ownerToldRows } from './owner-hold.ts';
import { LENDING_ROWS } from './owner-lend.ts';
import { REQUEST_ROWS } from './owner-request.ts';
import { OWNER_STATES, type OwnerInput, query, row } from './owner-state.ts';

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
      state: { ...state, epoch: 0 as Epoch, heldEpoch: 0 as Epoch, rejected: undefined },
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

/** Inputs of the owner's table, for the totality test and the diagrams. */
export const OWNER_INPUTS: readonly OwnerInput['on'][] = [
  'start',
  'driverInspected',
  'hostUp',
  'newTable',
  'hookDone',
  'requestBorrow',
  'withdrawBorrow',
  'policyDecided',
  'prepared',
  'refused',
  'remapped',
  'stateReported',
  'confirmed',
  'recall',
  ...(Object.keys(OWNER_TIMERS) as OwnerTimer[]).map((name) => `timer:${name}` as const),
];

/** The owner's table. */
export const OWNER_TABLE = makeTable('owner', OWNER_STATES, OWNER_INPUTS, [
  ...starting,
  ...REQUEST_ROWS,
  ...LENDING_ROWS,
  ...ownerToldRows('remapped'),
  ...ownerToldRows('stateReported'),
  ...HOLDING_ROWS,
]);
