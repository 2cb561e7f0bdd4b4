/**
 * The borrower's table: a VM that asks for a bundle, uses it under a lease and gives it back.
 *
 * Pure: inputs in, effects out (agent-io.ts). The rows follow the order of a handover, here and in the files named
 * below.
 */

import type { Epoch } from '../protocol/ids.ts';
import { type Late, makeTable } from '../protocol/table.ts';
import { BORROWER_TIMERS, type BorrowerTimer } from '../protocol/timers.ts';
import { ASKING_ROWS } from './borrower-ask.ts';
import { HOLDING_ROWS, RETURNING_ROWS } from './borrower-hold.ts';
import { QUEUE_ROWS } from './borrower-queue.ts';
import { RENEWAL_ROWS } from './borrower-renew.ts';
import { borrowerReportRows } from './borrower-reports.ts';
import {
  BORROWER_MESSAGES,
  BORROWER_STATES,
  type BorrowerInput,
  type BorrowerState,
  query,
} from './borrower-state.ts';
import { START_LATE, startRows } from './start-rows.ts';

const starting = startRows<BorrowerState, BorrowerInput, BorrowerTimer>(query, (state) => ({
  ...state,
  epoch: 0 as Epoch,
  known: { epoch: 0 as Epoch, holder: undefined },
  rejected: undefined,
}));

/** Inputs of the borrower's table; also for the totality test and the diagrams. */
export const BORROWER_INPUTS: readonly BorrowerInput['on'][] = [
  'start',
  'driverInspected',
  'hostUp',
  'newTable',
  'hookDone',
  'borrow',
  'renew',
  'return',
  ...BORROWER_MESSAGES,
  'offerLease',
  ...(Object.keys(BORROWER_TIMERS) as BorrowerTimer[]).map((name) => `timer:${name}` as const),
];

const LATE: Late<BorrowerInput> = {
  ...START_LATE,
  hookDone: 'no hook of this kind is awaited',
  return: 'not held, or the return is under way',
  handoverPending: 'no request is open; a grant would be released',
  borrowDeclined: 'this request is not open',
  queued: 'this request is not open',
  offerLease: 'it is not known who holds; the offer lapses',
  refused: 'the command is over',
  confirmed: 'already confirmed',
  leaseEnding: 'not held, or the return is under way',
  recallDevice: 'not held, or the return is under way',
  renewed: 'the lease is known, or it is over',
};

/** The borrower's table. */
export const BORROWER_TABLE = makeTable(
  'borrower',
  BORROWER_STATES,
  BORROWER_INPUTS,
  [
    ...starting,
    ...ASKING_ROWS,
    ...QUEUE_ROWS,
    ...RENEWAL_ROWS,
    ...borrowerReportRows('remapped'),
    ...borrowerReportRows('stateReported'),
    ...HOLDING_ROWS,
    ...RETURNING_ROWS,
  ],
  LATE,
);
