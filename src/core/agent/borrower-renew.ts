/** The borrower's rows for renewals: a client that still needs the bundle extends its lease in place. Pure. */

import type { AgentConfig } from '../protocol/evidence.ts';
import type { Outcome, Seen } from '../protocol/table.ts';
import {
  type BorrowerEffect,
  type BorrowerInput,
  type BorrowerState,
  isAnswer,
  notify,
  row,
  stop,
  timer,
} from './borrower-state.ts';

/** Number of times that `renew` is sent: longer than a host takes to start again. */
const SENDS_MAX = 5;

type Out = Outcome<BorrowerState, BorrowerEffect>;

/** Asks the owner. A repetition gives a fresh consent to the same renewal, which the host carries out once. */
function ask(state: BorrowerState, leaseMs: number, sent: number): Out {
  const { epoch, incarnation } = state;
  const terms = { ...state.terms!, leaseMs };
  const renewal = state.renewals + 1;
  return {
    state: { ...state, renewing: { leaseMs, sent } },
    effects: [
      { do: 'renew', requestId: state.requestId!, epoch, incarnation, renewal, terms },
      timer('renewal'),
    ],
  };
}

/** The lease stays as it is. */
function declined(state: BorrowerState, reason: string, detail?: string): Out {
  const news = { notice: 'renewalDeclined', reason } as const;
  return {
    state: { ...state, renewing: undefined },
    effects: [stop('renewal'), notify(detail === undefined ? news : { ...news, detail })],
  };
}

const isOfLease = ({
  state,
  input,
}: Seen<BorrowerState, Extract<BorrowerInput, { on: 'renewed' }>, AgentConfig>) =>
  input.message.epoch === state.epoch && isAnswer({ state, input });

/** Rows of renewals. */
export const RENEWAL_ROWS = [
  row({
    name: 'renew',
    on: 'renew',
    from: ['held'],
    when: 'the host has not announced the return',
    guard: ({ state }) => !state.noticed && state.terms !== undefined,
    to: ['stay'],
    act: ({ state, input }) => ask(state, input.leaseMs, 1),
  }),
  row({
    name: 'renew-not-held',
    on: 'renew',
    from: 'any',
    to: ['stay'],
    act: ({ state }) => ({ state, effects: [notify({ notice: 'renewalDeclined', reason: 'notHeld' })] }),
  }),
  row({
    name: 'renew-repeat',
    on: 'timer:renewal',
    from: ['held'],
    when: 'not answered, and not too often',
    guard: ({ state }) => state.renewing !== undefined && state.renewing.sent < SENDS_MAX,
    to: ['stay'],
    act: ({ state }) => ask(state, state.renewing!.leaseMs, state.renewing!.sent + 1),
  }),
  row({
    name: 'renew-unanswered',
    on: 'timer:renewal',
    from: ['held'],
    when: 'not answered',
    guard: ({ state }) => state.renewing !== undefined,
    to: ['stay'],
    act: ({ state }) => declined(state, 'timedOut'),
  }),
  row({
    name: 'renewed',
    on: 'renewed',
    from: ['held'],
    when: 'the next renewal of our lease',
    guard: (x) => isOfLease(x) && x.input.message.renewal === x.state.renewals + 1,
    to: ['stay'],
    act: ({ state, input }) => {
      const { epoch, leaseMs, renewal } = input.message;
      return {
        state: { ...state, renewals: renewal, renewing: undefined },
        effects: [
          stop('renewal'),
          timer('lease', leaseMs),
          notify({ notice: 'renewed', epoch, leaseMs, renewal }),
        ],
      };
    },
  }),
  row({
    name: 'renewal-declined',
    on: 'borrowDeclined',
    from: ['held'],
    when: 'of our renewal',
    guard: (x) => x.state.renewing !== undefined && isAnswer(x),
    to: ['stay'],
    act: ({ state, input }) => {
      const { refusal, reason, detail } = input.message;
      return declined(state, refusal ?? reason, detail);
    },
  }),
];
