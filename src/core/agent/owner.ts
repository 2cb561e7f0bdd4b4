/**
 * The owner's table: the VM that holds title to a bundle, lends it and takes it back.
 *
 * Pure: inputs in, effects out (agent-io.ts). The rows follow the order of the procedures, here and in the files
 * named below.
 */

import type { Epoch } from '../protocol/ids.ts';
import { type Late, makeTable } from '../protocol/table.ts';
import { OWNER_TIMERS, type OwnerTimer } from '../protocol/timers.ts';
import { HOLDING_ROWS, ownerReportRows } from './owner-hold.ts';
import { LENDING_ROWS } from './owner-lend.ts';
import { OFFER_ROWS } from './owner-offer.ts';
import { RENEWAL_ROWS } from './owner-renew.ts';
import { REQUEST_ROWS } from './owner-request.ts';
import { TURN_ROWS } from './owner-serve.ts';
import { OWNER_MESSAGES, OWNER_STATES, type OwnerInput, type OwnerState, query } from './owner-state.ts';
import { START_LATE, startRows } from './start-rows.ts';

const starting = startRows<OwnerState, OwnerInput, OwnerTimer>(query, (state) => ({
  ...state,
  epoch: 0 as Epoch,
  heldEpoch: 0 as Epoch,
  rejected: undefined,
}));

/** Inputs of the owner's table; also for the totality test and the diagrams. */
export const OWNER_INPUTS: readonly OwnerInput['on'][] = [
  'start',
  'driverInspected',
  'hostUp',
  'newTable',
  'hookDone',
  'policyDecided',
  'recall',
  'offer',
  ...OWNER_MESSAGES,
  ...(Object.keys(OWNER_TIMERS) as OwnerTimer[]).map((name) => `timer:${name}` as const),
];

const LATE: Late<OwnerInput> = {
  ...START_LATE,
  hookDone: 'no hook of this kind is awaited',
  policyDecided: 'the request is over',
  recall: 'no borrower holds the bundle',
  withdrawBorrow: 'this request is not open; a holder uses release',
  declineOffer: 'this offer is not open',
  renew: 'it is not known who holds; it is repeated',
  renewed: 'the return has begun, or it is over',
  prepared: 'the attempt is known or over',
  refused: 'the command is over',
  confirmed: 'already confirmed',
};

/** The owner's table. */
export const OWNER_TABLE = makeTable(
  'owner',
  OWNER_STATES,
  OWNER_INPUTS,
  [
    ...starting,
    ...REQUEST_ROWS,
    ...OFFER_ROWS,
    ...TURN_ROWS,
    ...RENEWAL_ROWS,
    ...LENDING_ROWS,
    ...ownerReportRows('remapped'),
    ...ownerReportRows('stateReported'),
    ...HOLDING_ROWS,
  ],
  LATE,
);
