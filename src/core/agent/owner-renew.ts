/** The owner's rows for renewals: the policy decides, the host extends the lease. Pure. */

import { BUSY_RETRY_MS, retryAfter } from '../protocol/codes.ts';
import { MESSAGES } from '../protocol/messages.ts';
import type { Decline } from './agent-io.ts';
import { inTurn } from './owner-queue.ts';
import { declineOf } from './owner-serve.ts';
import { decline, type OwnerInput, type OwnerState, row, stop, timer, toHost } from './owner-state.ts';

type Renew = Extract<OwnerInput, { on: 'renew' }>;
interface Seen {
  readonly state: OwnerState;
  readonly input: Renew;
}

/** Returns whether the message is from the borrower that holds, at its epoch. */
const isOfHolder = ({ state, input }: Seen) =>
  input.from === state.borrower && input.message.epoch === state.epoch;

const isRepeated = ({ state, input }: Seen) =>
  state.renewal?.renewal === input.message.renewal && state.renewal.leaseMs === input.message.leaseMs;

const RECALLED: Decline = { reason: 'policy', retryAfterMs: 0, detail: 'the owner has recalled it' };
const NOT_LENT: Decline = { reason: 'notHolder', retryAfterMs: 0, detail: 'it is not lent at this epoch' };

const asker = ({ from, message }: Renew) => ({ borrower: from, requestId: message.requestId });

/** Rows of renewals. */
export const RENEWAL_ROWS = [
  row({
    name: 'renew-recalled',
    on: 'renew',
    from: ['lent'],
    when: 'from the borrower that holds, and recalled by force',
    guard: (x) => isOfHolder(x) && x.state.force,
    to: ['stay'],
    act: ({ state, input, config }) => ({ state, effects: [decline(config, asker(input), RECALLED)] }),
  }),
  row({
    name: 'renew-again',
    on: 'renew',
    from: ['lent'],
    when: 'from the borrower that holds; the policy is asked already',
    guard: (x) => isOfHolder(x) && isRepeated(x),
    ignore: 'the policy has not decided yet',
  }),
  row({
    name: 'renew',
    on: 'renew',
    from: ['lent'],
    when: 'from the borrower that holds',
    guard: isOfHolder,
    to: ['stay'],
    act: ({ state, input }) => {
      const { leaseMs, purpose, consent, requestId, renewal } = input.message;
      const number = state.numbers + 1;
      const waiting = inTurn(state.waiting).length;
      const asked = { borrower: input.from, purpose, leaseMs, minHoldMs: 0, noticeMs: 0, waiting };
      return {
        state: { ...state, numbers: number, renewal: { number, leaseMs, consent, requestId, renewal } },
        effects: [{ do: 'decide', request: number, ...asked, isRenewal: true }, timer('renewal')],
      };
    },
  }),
  row({
    name: 'renew-refused',
    on: 'renew',
    from: [
      'held',
      'offering',
      'preparing',
      'suspending',
      'lent',
      'parked',
      'resuming',
      'failed',
      'quarantined',
    ],
    to: ['stay'],
    act: ({ state, input, config }) => ({ state, effects: [decline(config, asker(input), NOT_LENT)] }),
  }),
  row({
    name: 'renewal-allowed',
    on: 'policyDecided',
    from: ['lent'],
    when: 'allowed, this renewal',
    guard: ({ state, input }) => input.decision.allow && state.renewal?.number === input.request,
    to: ['stay'],
    act: ({ state, config }) => {
      const { leaseMs, consent, requestId, renewal } = state.renewal!;
      const named = { bundle: config.definition.id, epoch: state.epoch, borrower: state.borrower! };
      return {
        state: { ...state, renewal: undefined },
        effects: [
          stop('renewal'),
          toHost({ kind: 'renewLease', ...named, consent, leaseMs, requestId, renewal }),
        ],
      };
    },
  }),
  row({
    name: 'renewal-denied',
    on: 'policyDecided',
    from: ['lent'],
    when: 'denied, this renewal',
    guard: ({ state, input }) => state.renewal?.number === input.request,
    to: ['stay'],
    act: ({ state, input, config }) => {
      const { decision } = input;
      const how: Decline = decision.allow ? NOT_LENT : declineOf(decision);
      const to = { borrower: state.borrower!, requestId: state.renewal!.requestId };
      return {
        state: { ...state, renewal: undefined },
        effects: [stop('renewal'), decline(config, to, how)],
      };
    },
  }),
  row({
    name: 'renewal-timeout',
    on: 'timer:renewal',
    from: ['lent'],
    when: 'the policy has not decided',
    guard: ({ state }) => state.renewal !== undefined,
    to: ['stay'],
    act: ({ state, config }) => ({
      state: { ...state, renewal: undefined },
      effects: [
        decline(
          config,
          { borrower: state.borrower!, requestId: state.renewal!.requestId },
          { reason: 'policyTimeout', retryAfterMs: BUSY_RETRY_MS },
        ),
      ],
    }),
  }),
  row({
    name: 'refused-renewal',
    on: 'refused',
    from: ['lent'],
    when: 'a renewal was refused',
    guard: ({ state, input }) =>
      input.message.command === MESSAGES.renewLease.number && state.borrower !== undefined,
    to: ['stay'],
    act: ({ state, input, config }) => {
      const { code, requestId = 0 } = input.message;
      const how: Decline = { reason: 'refusedByHost', retryAfterMs: retryAfter(code), refusal: code };
      return { state, effects: [decline(config, { borrower: state.borrower!, requestId }, how)] };
    },
  }),
  row({
    name: 'renewed',
    on: 'renewed',
    from: ['lent'],
    when: 'of the borrower that holds',
    guard: ({ state, input }) => input.message.epoch === state.epoch && state.borrower !== undefined,
    to: ['stay'],
    act: ({ state, input }) => {
      const { epoch, leaseMs, renewal } = input.message;
      return { state, effects: [{ do: 'notify', notice: { notice: 'renewed', epoch, leaseMs, renewal } }] };
    },
  }),
];
