/**
 * The host's table for one bundle: who holds it, under which epoch, and until when.
 *
 * Pure: inputs in, effects out (host-state.ts). Only this table allocates epochs and orders the enforcer. It
 * processes one command at a time per bundle, in the order of arrival; a repeated command is answered from the last
 * outcome without acting. The rows are in the files named below.
 */

import { type Late, makeTable } from '../protocol/table.ts';
import { HOST_TIMERS, type HostTimer } from '../protocol/timers.ts';
import { HOLDER_ROWS } from './host-holder.ts';
import { INCARNATION_ROWS, QUARANTINE_ROWS, START_ROWS } from './host-incarnations.ts';
import { LEND_ROWS } from './host-lend.ts';
import { REMAP_ROWS } from './host-remap.ts';
import { RENEW_ROWS } from './host-renew.ts';
import { CLOCK_ROWS, RETURN_ROWS } from './host-return.ts';
import { HOST_MESSAGES, HOST_STATES, type HostInput } from './host-state.ts';

/** Inputs of the host's table; also for the totality test and the diagrams. */
export const HOST_INPUTS: readonly HostInput['on'][] = [
  'start',
  'phaseDone',
  'vmStarted',
  'vmRuns',
  'vmExited',
  'recorded',
  'epochsReserved',
  ...HOST_MESSAGES,
  'lift',
  ...(Object.keys(HOST_TIMERS) as HostTimer[]).map((name) => `timer:${name}` as const),
];

const LATE: Late<HostInput> = {
  start: 'already started',
  lift: 'not quarantined, and no borrower is barred',
  phaseDone: 'the attempt or the phase is over',
};

/** The host's table. */
export const HOST_TABLE = makeTable(
  'host',
  HOST_STATES,
  HOST_INPUTS,
  [
    ...START_ROWS,
    ...LEND_ROWS,
    ...REMAP_ROWS,
    ...RENEW_ROWS,
    ...RETURN_ROWS,
    ...HOLDER_ROWS,
    ...CLOCK_ROWS,
    ...INCARNATION_ROWS,
    ...QUARANTINE_ROWS,
  ],
  LATE,
);
