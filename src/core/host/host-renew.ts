/**
 * The host's rows for renewals: a lease is extended in place, with the same epoch, holder and proof. Pure.
 *
 * A consent of use `renew` names its number, and only the next number is accepted. A repeated command for a renewal
 * that was made is answered again, without acting.
 */

import type { RefusalCode } from '../protocol/codes.ts';
import { isOwner, otherwise, refusal } from './host-answers.ts';
import { type HostOut, type HostSeen, hostRow, record, timer } from './host-attempt.ts';
import { whyNotClaims } from './host-consent.ts';
import type { HostEffect, Lease } from './host-state.ts';

type Seen = HostSeen<'renewLease'>;

/** Returns the lease that the command names: of the present holder, at its epoch. */
function leaseOf({ state, input, config }: Seen): Lease | undefined {
  const { holder } = state;
  const { borrower, epoch, requestId } = input.message;
  const isNamed = holder?.vm === borrower && holder.epoch === epoch && holder.lease?.requestId === requestId;
  return isNamed && isOwner({ input, config }) ? holder.lease : undefined;
}

const isMade = (x: Seen) => leaseOf(x)?.renewal === x.input.message.renewal;

/** Returns why the lease is not extended, or undefined. */
function whyNot(x: Seen): RefusalCode | undefined {
  const { state, input } = x;
  const { message, consent } = input;
  if (!isOwner(x)) return 'notOwner';
  if (message.epoch !== state.holder?.epoch) return 'epochStale';
  const lease = leaseOf(x);
  if (!lease) return 'notHolder';
  // The return has begun (M8): its end is announced, and its timers run.
  if (state.holder.ending) return 'tooLate';
  if (!consent) return 'consentInvalid';
  const wanted = { vm: message.borrower, use: 'renew', renewal: lease.renewal + 1 } as const;
  const why = whyNotClaims(x, consent, wanted);
  if (why !== undefined) return why;
  if (message.renewal !== wanted.renewal || consent.claims.leaseMs > message.leaseMs) return 'consentTerms';
  return undefined;
}

/** Reports the renewed lease to both parties. */
function tellRenewed({ state, input, config }: Seen, lease: Lease): HostEffect[] {
  const { epoch, vm } = state.holder!;
  const leaseMs = Math.max(0, Math.floor(lease.startedMs + lease.leaseMs - input.nowMs));
  const { requestId, renewal } = lease;
  const message = { kind: 'renewed', bundle: config.bundle, epoch, leaseMs, requestId, renewal } as const;
  return [vm, config.owner].map((to) => ({ do: 'send', to, message }));
}

function renew(x: Seen): HostOut {
  const { state, input } = x;
  const { claims } = input.consent!;
  const before = state.holder!.lease!;
  const pastMs = Math.ceil(input.nowMs - before.startedMs);
  const lease = { ...before, leaseMs: pastMs + claims.leaseMs, renewal: claims.renewal };
  return {
    state: { ...state, holder: { ...state.holder!, lease } },
    effects: [
      timer('lease', claims.leaseMs),
      record,
      ...tellRenewed(x, lease),
      { do: 'audit', event: 'renewed', detail: `${claims.leaseMs} ms, renewal ${claims.renewal}` },
    ],
  };
}

/** Rows of `renewLease`. */
export const RENEW_ROWS = [
  hostRow({
    name: 'renewLease-again',
    on: 'renewLease',
    from: ['held'],
    when: 'this renewal was made',
    guard: isMade,
    to: ['stay'],
    act: (x) => ({ state: x.state, effects: tellRenewed(x, x.state.holder!.lease!) }),
  }),
  hostRow({
    name: 'renewLease',
    on: 'renewLease',
    from: ['held'],
    when: 'from the owner, lent at this epoch, no return has begun, with a valid consent to the next renewal',
    guard: (x) => whyNot(x) === undefined,
    to: ['stay'],
    act: renew,
  }),
  hostRow({
    name: 'renewLease-refused',
    on: 'renewLease',
    from: ['held', 'parked'],
    to: ['stay'],
    act: (x) => refusal(x, whyNot(x) ?? 'notHolder'),
  }),
  ...otherwise('renewLease', 'tooLate'),
];
