/**
 * Whose turn it is when the owner holds and no attempt is under way: the next one in the queue, or the owner's own
 * driver. Pure.
 */

import type { AgentConfig } from '../protocol/evidence.ts';
import { findMismatch } from '../protocol/evidence.ts';
import type { Outcome, Seen } from '../protocol/table.ts';
import { OWNER_TIMERS } from '../protocol/timers.ts';
import type { Decline, OwnershipReport } from './agent-io.ts';
import { nextOf, withoutConsents } from './owner-queue.ts';
import {
  cleared,
  decline,
  type OwnerEffect,
  type OwnerRequest,
  type OwnerState,
  ownIncarnation,
  reject,
  stop,
  timer,
  toHost,
} from './owner-state.ts';

type S = OwnerState;
type Out = Outcome<OwnerState, OwnerEffect>;

/** The attempt ends before our driver was touched: we still hold, and the next one gets its turn. */
export function giveUp(x: Seen<S, unknown, AgentConfig>, how: Decline | undefined): Out {
  const { request } = x.state;
  return passOn(x.state, x.config, [
    stop('prepare'),
    ...(request && how ? [decline(x.config, request, how)] : []),
  ]);
}

/** To whom the bundle is offered. `requestId` absent: unasked. */
interface Offered extends Pick<OwnerRequest, 'borrower' | 'leaseMs'> {
  readonly requestId?: number | undefined;
}

/** Asks the host to reserve the bundle for the request under way. */
export function prepare(state: OwnerState, config: AgentConfig): OwnerEffect[] {
  const { number: _, ...request } = state.request!;
  const { id: bundle } = config.definition;
  const named = { kind: 'prepare', bundle, epoch: state.heldEpoch, digest: config.digest } as const;
  return [toHost({ ...named, ...request }), timer('prepare')];
}

/** Offers the bundle to a borrower, which must answer within `reservedMs`. */
export function offer(
  state: S,
  config: AgentConfig,
  { borrower, requestId, leaseMs }: Offered,
  reservedMs: number = OWNER_TIMERS.offer,
): Out {
  const offerId = state.numbers + 1;
  const asked = requestId === undefined ? {} : { requestId };
  const { id } = config.definition;
  const message = { kind: 'offerLease', bundle: id, epoch: state.heldEpoch, reservedMs, offerId } as const;
  return {
    state: { ...cleared(state), name: 'offering', numbers: offerId, offer: { offerId, borrower, requestId } },
    effects: [
      { do: 'send', to: borrower, message: { ...message, ...asked, leaseMs } },
      timer('offer', reservedMs),
    ],
  };
}

/**
 * We hold, and no attempt is under way. A driver that is still suspended stays so while somebody waits; else it
 * resumes.
 */
export function passOn(state: S, config: AgentConfig, before: readonly OwnerEffect[]): Out {
  if (state.driver === 'active') return { state: { ...cleared(state), name: 'held' }, effects: before };
  const next = nextOf(state);
  if (!next) return resume(state, before);
  const out = offer(state, config, next);
  return { state: out.state, effects: [...before, ...out.effects] };
}

/** We hold, and our driver may be suspended: resume it. */
export function resume(state: S, before: readonly OwnerEffect[]): Out {
  return {
    state: { ...cleared(state), name: 'resuming', borrower: undefined, isRecalled: false, force: false },
    effects: [
      ...before,
      { do: 'persist', attempt: 'resume', epoch: state.heldEpoch },
      { do: 'hook', hook: 'resume', epoch: state.heldEpoch },
    ],
  };
}

/** We were made holder: check the evidence, then lend on, resume or reject. */
export function takeBack(x: Seen<S, { message: OwnershipReport }, AgentConfig>): Out {
  const { message } = x.input;
  const incarnation = ownIncarnation(x.state, message);
  const stops = (['lend', 'query', 'claim', 'recall'] as const).map(stop);
  const state: S = {
    ...x.state,
    incarnation,
    epoch: message.epoch,
    heldEpoch: message.epoch,
    rejected: undefined,
  };
  // An owner takes any evidence level: the enforcer was chosen when the machine was configured.
  const what = findMismatch(x.config, incarnation, 'none', message);
  if (what === undefined) {
    const ours = withoutConsents({ ...state, unconfirmed: true });
    const next = ours.driver === 'suspended' ? nextOf(ours) : undefined;
    if (!next) return resume(ours, stops);
    // Its driver would be suspended again at once.
    const out = offer({ ...ours, borrower: undefined, force: false }, x.config, next);
    return { state: out.state, effects: [...stops, ...out.effects] };
  }
  return {
    state: { ...cleared(state), name: 'quarantined', borrower: undefined, rejected: what },
    effects: [
      ...stops,
      ...reject(x.config, message.epoch, what),
      { do: 'notify', notice: { notice: 'evidenceMismatch', what } },
    ],
  };
}
