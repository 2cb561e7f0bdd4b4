/** The host's rows for a holder's answer to its grant, and for state queries. Pure. */

import type { MessageOf } from '../protocol/messages.ts';
import {
  answerFromOutcome,
  isHolder,
  isLent,
  isOfFinishedAttempt,
  otherwise,
  refusal,
} from './host-answers.ts';
import {
  begin,
  beginReturn,
  type HostSeen,
  hostRow,
  leaseLeft,
  noticeLeft,
  record,
  stop,
} from './host-attempt.ts';

/** Stores the latest rejection per VM. It is shown to people and bars the VM from lending. */
function withRejection<X extends HostSeen<'reject'>>(x: X): X {
  const { from: vm, message } = x.input;
  const others = x.state.rejections.filter((each) => each.vm !== vm);
  return { ...x, state: { ...x.state, rejections: [...others, { vm, what: message.what }] } };
}

/**
 * Returns whether records later than the one used at the start are missing. Only the parties are believed, and only
 * an epoch that an earlier host may have allocated. The machine agrees with the holder, so an error costs one return.
 */
function isRecordStale({ state, input, config }: HostSeen<'queryState'>): boolean {
  const { holder, epoch } = state;
  if (!state.isFromRecord || !holder || (input.from !== config.owner && input.from !== holder.vm))
    return false;
  return input.message.epoch > holder.epoch && input.message.epoch <= epoch;
}

/** Rows of confirm, reject and queryState. */
export const HOLDER_ROWS = [
  hostRow({
    name: 'confirm',
    on: 'confirm',
    from: ['held'],
    when: 'from the holder',
    guard: isHolder,
    to: ['stay'],
    act: (x) => {
      const { state, input, config } = x;
      const { epoch } = input.message;
      const first = !state.holder!.confirmed;
      return {
        state: { ...state, holder: { ...state.holder!, confirmed: true } },
        effects: [
          { do: 'send', to: input.from, message: { kind: 'confirmed', bundle: config.bundle, epoch } },
          ...(first ? ([stop('confirm'), record, { do: 'audit', event: 'confirmed' }] as const) : []),
        ],
      };
    },
  }),
  hostRow({
    name: 'confirm-late',
    on: 'confirm',
    from: ['held', 'parked'],
    to: ['stay'],
    act: (x) => (isOfFinishedAttempt(x) ? answerFromOutcome(x) : refusal(x, 'notHolder')),
  }),
  ...otherwise('confirm', 'ignore'),
  hostRow({
    name: 'reject-borrower',
    on: 'reject',
    from: ['held'],
    when: 'from the borrower that holds',
    guard: (x) => isHolder(x) && isLent(x),
    to: ['moving', 'quarantined'],
    act: (x) => {
      return beginReturn(withRejection(x), 'rejected', false, [
        { do: 'audit', event: 'rejected', detail: x.input.message.what },
      ]);
    },
  }),
  hostRow({
    name: 'reject-owner',
    on: 'reject',
    from: ['held'],
    when: 'from the owner that holds',
    guard: isHolder,
    to: ['moving', 'quarantined'],
    act: (x) =>
      begin(
        withRejection(x),
        { cause: 'rejected', to: undefined, forced: false, quarantine: 'evidenceMismatch' },
        [{ do: 'audit', event: 'rejected', detail: x.input.message.what }],
      ),
  }),
  hostRow({
    name: 'reject-late',
    on: 'reject',
    from: ['held', 'parked'],
    to: ['stay'],
    act: (x) => (isOfFinishedAttempt(x) ? answerFromOutcome(x) : refusal(x, 'notHolder')),
  }),
  ...otherwise('reject', 'ignore'),
  hostRow({
    name: 'query-starting',
    on: 'queryState',
    from: ['starting'],
    ignore: 'the machine is being read back; ask again',
  }),
  hostRow({
    name: 'query-record-stale',
    on: 'queryState',
    from: ['held'],
    when: 'held by the record of an earlier host, and a party knows a higher epoch of this table',
    guard: isRecordStale,
    to: ['moving', 'quarantined'],
    // The terms of the record are void. The new epoch is above every reported one.
    act: (x) => beginReturn(x, 'restart', isLent(x)),
  }),
  hostRow({
    name: 'query',
    on: 'queryState',
    from: 'any',
    to: ['stay'],
    act: (x) => ({ state: x.state, effects: [{ do: 'send', to: x.input.from, message: report(x) }] }),
  }),
];

/** The answer to `queryState`. */
function report(x: HostSeen<'queryState'>): MessageOf<'stateReported'> {
  const { state, input, config } = x;
  const { holder, attempt, reservation } = state;
  const isReserved = reservation?.borrower.vm === input.from;
  const isComing = attempt?.to?.vm === input.from;
  const terms =
    holder?.vm === input.from
      ? holder.lease
      : isReserved
        ? reservation.terms
        : isComing
          ? attempt?.terms
          : undefined;
  return {
    kind: 'stateReported',
    bundle: config.bundle,
    epoch: holder?.epoch ?? attempt?.epoch ?? state.lastEpoch,
    challenge: input.message.challenge,
    phase: state.name === 'starting' ? 'moving' : state.name,
    digest: config.digest,
    ...(holder ? { holder: holder.vm, incarnation: holder.incarnation } : {}),
    confirmed: holder?.confirmed ?? false,
    leaseMs: leaseLeft(state, input.nowMs),
    ...(holder?.vm === input.from && holder.proof ? { proof: holder.proof } : {}),
    ...(state.quarantine ? { cause: state.quarantine.cause } : {}),
    yourIncarnation: state.running[input.from] ?? (0 as never),
    pending: isReserved || isComing,
    ...(holder?.vm === input.from && holder.ending?.notified
      ? { ending: holder.ending.cause, noticeMs: noticeLeft(holder.ending, input.nowMs) }
      : {}),
    ...(terms ? { requestId: terms.requestId } : {}),
    forces: config.forceRevoke,
    declared: config.evidence,
  };
}
