/**
 * The host’s rows for lending: consent, reservation, lend, cancel. Pure.
 */

import type { RefusalCode } from '../protocol/codes.ts';
import { sameBytes } from '../protocol/evidence.ts';
import { type Epoch, UINT32_MAX } from '../protocol/ids.ts';
import {
  answerFromOutcome,
  isOfFinishedAttempt,
  isOwner,
  otherwise,
  refusal,
  refuse,
} from './host-answers.ts';
import {
  type Base,
  begin,
  type HostOut,
  type HostSeen,
  hostRow,
  record,
  stop,
  timer,
} from './host-attempt.ts';
import { whyNotClaims } from './host-consent.ts';
import {
  type HostEffect,
  type HostState,
  holds,
  isAlive,
  type OpenedConsent,
  runningVm,
} from './host-state.ts';

/**
 * Epochs of the durable block that are reserved for returns: a forced return uses two, a restart of the owner's VM
 * two more.
 */
const EPOCHS_FOR_RETURNS = 16;

/** Returns why a `prepare` must be refused, or undefined. */
function whyNotPrepare(x: HostSeen<'prepare'>): RefusalCode | undefined {
  const { state, input, config } = x;
  const { message, from, consent } = input;
  if (from !== config.owner) return 'notOwner';
  if (!holds(state, from)) return 'notHolder';
  if (message.epoch !== state.holder?.epoch) return 'epochStale';
  if (!sameBytes(message.digest, config.digest)) return 'digestMismatch';
  if (!consent) return 'consentInvalid';
  if (message.borrower === config.owner) return 'consentTerms';
  if (!runningVm(state, message.borrower)) return 'borrowerAbsent';
  if (state.rejections.some(({ vm }) => vm === message.borrower)) return 'barred';
  if (!config.resettable && !config.acceptDriverResidualState) return 'unresettable';
  if (state.epoch >= UINT32_MAX - 1) return 'epochsExhausted';
  // A move that cannot be recorded is not started.
  if (state.unwritable !== undefined || state.epoch + EPOCHS_FOR_RETURNS > state.epochMax) return 'busy';
  return whyNotConsent(x, consent);
}

function whyNotConsent(x: HostSeen<'prepare'>, consent: OpenedConsent): RefusalCode | undefined {
  const { claims } = consent;
  const why = whyNotClaims(x, consent, { vm: x.input.message.borrower, use: 'borrow', renewal: 0 });
  if (why !== undefined) return why;
  if (claims.leaseMs < claims.minHoldMs) return 'consentTerms';
  const { leaseMs, minHoldMs, noticeMs } = x.input.message;
  const within = claims.leaseMs <= leaseMs && claims.minHoldMs <= minHoldMs && claims.noticeMs <= noticeMs;
  return within ? undefined : 'consentTerms';
}

function reserve(x: HostSeen<'prepare'>): HostOut {
  const { state, input, config } = x;
  const claims = input.consent!.claims;
  const epoch = (state.epoch + 1) as Epoch;
  const { leaseMs, minHoldMs, noticeMs } = claims;
  const reservation = {
    epoch,
    borrower: runningVm(state, input.message.borrower)!,
    terms: { leaseMs, minHoldMs, noticeMs, requestId: claims.requestId },
    isTold: false,
  };
  // Both parties are told after the record is written, since a move that cannot be recorded is not started.
  return {
    state: { ...state, epoch, reservation },
    effects: [record, timer('reservation', config.times.reserveMs)],
  };
}

function isSamePrepare(x: HostSeen<'prepare'>): boolean {
  const { message, consent } = x.input;
  const { reservation, holder } = x.state;
  if (!isOwner(x) || !reservation || !consent || holder?.epoch !== message.epoch) return false;
  const { leaseMs, minHoldMs, noticeMs } = consent.claims;
  const { terms } = reservation;
  return (
    reservation.borrower.vm === message.borrower &&
    terms.requestId === message.requestId &&
    terms.leaseMs === leaseMs &&
    terms.minHoldMs === minHoldMs &&
    terms.noticeMs === noticeMs
  );
}

/** Reports a reservation to both parties. */
function announce(x: Base): HostEffect[] {
  const { state, config } = x;
  const { epoch, borrower, terms } = state.reservation!;
  const body = {
    bundle: config.bundle,
    epoch,
    reserveMs: config.times.reserveMs,
    requestId: terms.requestId,
  };
  return [
    { do: 'send', to: config.owner, message: { kind: 'prepared', ...body, borrower: borrower.vm } },
    { do: 'send', to: borrower.vm, message: { kind: 'handoverPending', ...body } },
  ];
}

/** Drops a reservation. Its epoch is used up; holder, holder's epoch and consent stay unchanged. */
export function unreserve(x: Base, code: RefusalCode): HostOut {
  const { state, config } = x;
  const { epoch, borrower, terms } = state.reservation!;
  const next: HostState = { ...state, reservation: undefined };
  const base = { ...x, state: next };
  return {
    state: next,
    effects: [
      stop('reservation'),
      refuse(base, config.owner, 'lend', epoch, code),
      refuse(base, borrower.vm, 'requestBorrow', epoch, code, terms.requestId),
      { do: 'audit', event: 'unreserved', detail: code },
    ],
  };
}

/** Rows of prepare, lend and cancel. */
export const LEND_ROWS = [
  hostRow({
    name: 'prepare-again',
    on: 'prepare',
    from: ['held'],
    when: 'repeated, with the same consent',
    guard: isSamePrepare,
    to: ['stay'],
    act: (x) => ({ state: x.state, effects: x.state.reservation!.isTold ? announce(x) : [] }),
  }),
  hostRow({
    name: 'prepare-reserved',
    on: 'prepare',
    from: ['held'],
    when: 'reserved for another borrower, or by another consent',
    guard: ({ state }) => state.reservation !== undefined,
    to: ['stay'],
    act: (x) => refusal(x, 'busy'),
  }),
  hostRow({
    name: 'prepare-refused',
    on: 'prepare',
    from: ['held', 'parked'],
    when: 'not allowed now',
    guard: (x) => whyNotPrepare(x) !== undefined,
    to: ['stay'],
    act: (x) => refusal(x, whyNotPrepare(x)!),
  }),
  hostRow({ name: 'prepare', on: 'prepare', from: ['held', 'parked'], to: ['stay'], act: reserve }),
  ...otherwise('prepare', 'busy'),
  hostRow({
    name: 'lend',
    on: 'lend',
    from: ['held'],
    when: 'names the reservation, from the owner that holds',
    guard: (x) =>
      isOwner(x) && holds(x.state, x.input.from) && x.state.reservation?.epoch === x.input.message.epoch,
    to: ['moving'],
    act: (x) => {
      const { epoch, borrower, terms } = x.state.reservation!;
      return begin(x, { cause: 'lend', to: borrower, forced: false, terms, reserved: epoch });
    },
  }),
  hostRow({
    name: 'lend-late',
    on: 'lend',
    from: ['held', 'parked'],
    when: 'repeated',
    guard: (x) => isOwner(x) && isOfFinishedAttempt(x) && x.input.message.epoch === x.state.lastEpoch,
    to: ['stay'],
    act: answerFromOutcome,
  }),
  hostRow({
    name: 'lend-lapsed',
    on: 'lend',
    from: ['held', 'parked'],
    to: ['stay'],
    act: (x) => refusal(x, isOwner(x) ? 'reservationLapsed' : 'notOwner'),
  }),
  ...otherwise('lend', 'ignore'),
  hostRow({
    name: 'cancel-reservation',
    on: 'cancel',
    from: ['held'],
    when: 'names the reservation',
    guard: (x) => isOwner(x) && x.state.reservation?.epoch === x.input.message.epoch,
    to: ['stay'],
    act: (x) => unreserve(x, 'cancelled'),
  }),
  hostRow({
    name: 'cancel-attempt',
    on: 'cancel',
    from: ['moving'],
    when: 'the running lend, before the point of no return',
    guard: (x) => {
      const { attempt } = x.state;
      return (
        isOwner(x) &&
        attempt?.epoch === x.input.message.epoch &&
        attempt.cause === 'lend' &&
        attempt.phase !== 'grant'
      );
    },
    to: ['stay'],
    act: ({ state }) => ({
      state: { ...state, attempt: { ...state.attempt!, cancelled: true } },
      effects: [],
    }),
  }),
  hostRow({
    name: 'cancel-late',
    on: 'cancel',
    from: ['held', 'parked'],
    to: ['stay'],
    act: (x) => refusal(x, isOwner(x) ? 'tooLate' : 'notOwner'),
  }),
  ...otherwise('cancel', 'tooLate'),
  hostRow({
    name: 'reserved',
    on: 'recorded',
    from: ['held'],
    when: 'the reservation is recorded',
    guard: ({ state, input }) => state.reservation?.isTold === false && input.fault === undefined,
    to: ['stay'],
    act: (x) => {
      const reservation = { ...x.state.reservation!, isTold: true };
      const state: HostState = { ...x.state, reservation, unwritable: undefined };
      return { state, effects: announce({ ...x, state }) };
    },
  }),
  hostRow({
    name: 'reserved-unwritten',
    on: 'recorded',
    from: ['held'],
    when: 'the reservation cannot be recorded',
    guard: ({ state }) => state.reservation?.isTold === false,
    to: ['stay'],
    act: (x) => {
      const { terms, epoch } = x.state.reservation!;
      const state: HostState = { ...x.state, reservation: undefined, unwritable: x.input.fault };
      const heldEpoch = state.holder!.epoch;
      return {
        state,
        effects: [
          stop('reservation'),
          refuse({ ...x, state }, x.config.owner, 'prepare', heldEpoch, 'busy', terms.requestId),
          { do: 'audit', event: 'unreserved', detail: `epoch ${epoch} could not be recorded` },
        ],
      };
    },
  }),
  hostRow({
    name: 'recorded',
    on: 'recorded',
    from: 'any',
    to: ['stay'],
    act: ({ state, input }) => ({ state: { ...state, unwritable: input.fault }, effects: [] }),
  }),
  hostRow({
    name: 'epochs-reserved',
    on: 'epochsReserved',
    from: 'any',
    to: ['stay'],
    act: ({ state, input }) => ({ state: { ...state, epochMax: input.to }, effects: [] }),
  }),
  hostRow({
    name: 'reserved-borrower-ended',
    on: 'level',
    from: ['held'],
    when: 'the borrower of the reservation has ended',
    guard: ({ state }) => state.reservation !== undefined && !isAlive(state, state.reservation.borrower),
    to: ['stay'],
    act: (x) => unreserve(x, 'borrowerAbsent'),
  }),
  hostRow({
    name: 'reservation-lapses',
    on: 'timer:reservation',
    from: ['held'],
    when: 'reserved',
    guard: ({ state }) => state.reservation !== undefined,
    to: ['stay'],
    act: (x) => unreserve(x, 'reservationLapsed'),
  }),
];
