/**
 * Sabotages: one safeguard of the protocol switched off, as negative control of tests and of the demo.
 *
 * Each wraps a whole table from outside, so that the tables themselves have no switch. Sabotages of the enforcer are
 * in edges/enforcer/tables.ts.
 */

import type { BORROWER_TABLE } from '../../../src/core/agent/borrower.ts';
import type { BorrowerInput } from '../../../src/core/agent/borrower-state.ts';
import type { HostInput } from '../../../src/core/host/host-state.ts';
import type { HOST_TABLE } from '../../../src/core/host/host-table.ts';

/** Sabotages of the protocol. */
export const PROTOCOL_LIES = ['skip-epoch-check', 'resume-early'] as const;

/** A host that treats every command as one of the present epoch. */
export function skipEpochCheck(table: typeof HOST_TABLE): typeof HOST_TABLE {
  return {
    ...table,
    run: (state, input, config) => {
      const epoch = state.reservation?.epoch ?? state.holder?.epoch;
      if (epoch === undefined || !('message' in input) || !('epoch' in input.message)) {
        return table.run(state, input, config);
      }
      const current = input.on === 'prepare' ? (state.holder?.epoch ?? epoch) : epoch;
      const message = { ...input.message, epoch: current };
      return table.run(state, { ...input, message } as HostInput, config);
    },
  };
}

/** A borrower that resumes its driver when the handover is announced, before any evidence. */
export function resumeEarly(table: typeof BORROWER_TABLE): typeof BORROWER_TABLE {
  return {
    ...table,
    run: (state, input: BorrowerInput, config) => {
      const step = table.run(state, input, config);
      if (step.row !== 'pending-prepare' || input.on !== 'handoverPending') return step;
      const early = { do: 'hook', hook: 'resume', epoch: input.message.epoch } as const;
      return { ...step, effects: [early, ...step.effects] };
    },
  };
}
