/** The owner's queue and its offers, at owner and borrower (docs/PROTOCOL.md, sections 9.1 and 10.1). */

import { describe, expect, it } from 'vitest';
import type { OwnerInput, OwnerState } from '../../../src/core/agent/owner-state.ts';
import {
  ANDROID,
  allowed,
  borrower,
  done,
  fromBorrower,
  fromHost,
  fromOwner,
  held,
  hooks,
  knowing,
  lent,
  message,
  OTHER,
  on,
  only,
  owner,
  owning,
  prepared,
  REQUEST,
  remapped,
  requesting,
  sent,
  TERMS,
  timers,
  VAULT,
} from './requirements-support.ts';

type Sends = readonly { readonly do: string }[];
const messages = (effects: Sends, kind: string) =>
  effects.flatMap((effect) => {
    const { message: word, to } = effect as unknown as { message?: { kind: string }; to?: string };
    return word?.kind === kind ? [{ to, ...(word as { kind: string; position?: number }) }] : [];
  });

const asks = (from: string, requestId: number, fields: object = {}) =>
  ({ on: 'requestBorrow', from, message: { ...REQUEST, requestId, ...fields } }) as unknown as OwnerInput;
const allows = (request: number, priority = 0) =>
  ({ on: 'policyDecided', request, decision: { allow: true, priority } }) as unknown as OwnerInput;
const denies = (request: number) =>
  ({ on: 'policyDecided', request, decision: { allow: false, reason: 'policy', retryAfterMs: 0 } }) as never;
const accepts = (from: string, offerId: number, requestId: number, fields: object = {}) =>
  ({
    on: 'acceptLease',
    from,
    message: { ...message('acceptLease', { ...REQUEST, offerId, requestId, ...fields }) },
  }) as unknown as OwnerInput;
const withdraws = (from: string, requestId: number) =>
  ({
    on: 'withdrawBorrow',
    from,
    message: message('withdrawBorrow', { requestId }),
  }) as unknown as OwnerInput;
const declines = (from: string, offerId: number) =>
  ({ on: 'declineOffer', from, message: message('declineOffer', { offerId }) }) as unknown as OwnerInput;

/** The bundle is lent to VAULT at epoch 2; these requests of vm1, vm2, ... have come, and the policy allows them. */
const waitingOf = (priorities: readonly number[]): OwnerState =>
  owner(
    priorities.flatMap((priority, i) => [
      asks(`vm${i + 1}`, 10 + i),
      allows(lent().numbers + i + 1, priority),
    ]),
    lent(),
  ).state;
/** The bundle is back at the owner, at epoch 3. */
const BACK = fromHost(remapped(ANDROID, 3));

describe('an owner whose bundle is lent', () => {
  it('R119 asks its policy at once, and tells each borrower its place and the leases before it', () => {
    const first = owner([asks('vm1', 10)], lent());
    expect(first.effects).toContainEqual(expect.objectContaining({ do: 'decide', borrower: 'vm1' }));
    expect(sent(first.effects)).toEqual([]);
    const { numbers } = lent();
    const told = owner([allows(numbers + 1)], first.state);
    expect(messages(told.effects, 'queued')).toMatchObject([
      { to: 'vm1', requestId: 10, position: 0, expectedMs: 0 },
    ]);
    const next = owner([asks('vm2', 11), allows(numbers + 2)], told.state);
    expect(messages(next.effects, 'queued')).toMatchObject([
      { to: 'vm2', requestId: 11, position: 1, expectedMs: REQUEST.leaseMs },
    ]);
  });

  it('R119 declines what the policy denies, and what it does not decide in time', () => {
    const asked = owner([asks('vm1', 10)], lent()).state;
    const no = owner([denies(asked.asking!)], asked);
    expect(only(no.effects, 'borrowDeclined')).toMatchObject({ reason: 'policy', requestId: 10 });
    expect(no.state.waiting).toEqual([]);
    const late = owner([on('timer:policy')], asked);
    expect(only(late.effects, 'borrowDeclined')).toMatchObject({ reason: 'policyTimeout' });
  });

  it('R112 orders by priority, then by arrival, and tells only whose place has changed', () => {
    const two = waitingOf([0, 0]);
    const { effects } = owner([asks('vm3', 12), allows(two.numbers + 1, 5)], two);
    expect(messages(effects, 'queued').map(({ to, position }) => [to, position])).toEqual([
      ['vm3', 0],
      ['vm1', 1],
      ['vm2', 2],
    ]);
    const left = owner([withdraws('vm1', 10)], two);
    expect(messages(left.effects, 'queued')).toMatchObject([{ to: 'vm2', position: 0 }]);
  });

  it('R120 lends it on without waking its driver: an offer at the new epoch, and no hook', () => {
    const back = owner([BACK], waitingOf([0, 0]));
    expect(hooks(back.effects)).toEqual([]);
    expect(sent(back.effects)).toEqual(['offerLease']);
    const offer = only(back.effects, 'offerLease');
    expect(offer).toMatchObject({ epoch: 3, requestId: 10, leaseMs: REQUEST.leaseMs });
    expect(timers(back.effects)).toContainEqual(['offer', 2_000]);
    const accepted = owner([accepts('vm1', offer.offerId, 10, { consent: Uint8Array.of(7) })], back.state);
    expect(only(accepted.effects, 'prepare')).toMatchObject({
      epoch: 3,
      borrower: 'vm1',
      consent: Uint8Array.of(7),
      leaseMs: REQUEST.leaseMs,
    });
    const lends = owner([fromHost(prepared({ epoch: 4, borrower: 'vm1', requestId: 10 }))], accepted.state);
    expect(hooks(lends.effects)).toEqual([]);
    expect(only(lends.effects, 'lend').epoch).toBe(4);
    expect(messages(lends.effects, 'queued')).toMatchObject([{ to: 'vm2', position: 0 }]);
  });

  it('R120 does not confirm before its driver has resumed', () => {
    const back = owner([BACK], waitingOf([0]));
    expect(sent(owner([fromHost(held(ANDROID, 3))], back.state).effects)).toEqual([]);
    expect(sent(owner([fromHost(remapped(ANDROID, 3))], back.state).effects)).toEqual([]);
  });

  it('R120 resumes its driver when nobody takes it', () => {
    const back = owner([BACK], waitingOf([0]));
    const { offerId } = only(back.effects, 'offerLease');
    const ends = [[on('timer:offer')], [declines('vm1', offerId)], [withdraws('vm1', 10)]];
    for (const end of ends) {
      const { state, effects } = owner(end as never, back.state);
      expect(state.name).toBe('resuming');
      expect(hooks(effects)).toEqual(['resume']);
      expect(sent(owner([done('resume')], state).effects)).toEqual(['confirm']);
    }
    expect(sent(owner([on('timer:offer')], back.state).effects)).toEqual(['borrowDeclined']);
  });

  it('R120 passes the turn on', () => {
    const back = owner([BACK], waitingOf([0, 0]));
    const { offerId } = only(back.effects, 'offerLease');
    for (const end of [on('timer:offer'), declines('vm1', offerId), withdraws('vm1', 10)]) {
      const { effects, state } = owner([end as never], back.state);
      expect(only(effects, 'offerLease')).toMatchObject({ requestId: 11 });
      expect(hooks(effects)).toEqual([]);
      // An answer to the offer that is over is declined.
      const late = owner([accepts('vm1', offerId, 10)], state);
      expect(sent(late.effects)).toEqual(['borrowDeclined']);
      expect(late.state.name).toBe('offering');
    }
  });

  it('R120 takes an answer from the one alone to whom it offered', () => {
    const back = owner([BACK], waitingOf([0, 0]));
    const { offerId } = only(back.effects, 'offerLease');
    for (const input of [
      accepts('vm2', offerId, 11),
      accepts('vm1', offerId + 1, 10),
      declines('vm2', offerId),
    ])
      expect(owner([input], back.state).state).toEqual(back.state);
  });

  it('R120 resumes, or offers it to the next one, when the host does not reserve it', () => {
    for (const [priorities, runs, says] of [
      [[0], ['resume'], ['borrowDeclined']],
      [[0, 0], [], ['borrowDeclined', 'offerLease']],
    ] as const) {
      const back = owner([BACK], waitingOf(priorities));
      const { offerId } = only(back.effects, 'offerLease');
      const { state } = owner([accepts('vm1', offerId, 10)], back.state);
      const late = owner([on('timer:prepare')], state);
      expect(hooks(late.effects)).toEqual(runs);
      expect(sent(late.effects)).toEqual(says);
    }
  });

  it('R121 serves a request before those that came later and were passed by fewer', () => {
    let state = waitingOf([0, 3]);
    const served: string[] = [];
    // vm2 asks again each time that it had its turn, with the same priority.
    for (let epoch = 3; epoch < 13; epoch += 2) {
      const back = owner([fromHost(remapped(ANDROID, epoch))], state);
      const { offerId, requestId } = only(back.effects, 'offerLease');
      const to = back.state.offer!.borrower;
      served.push(to);
      const reserved = prepared({ epoch: epoch + 1, borrower: to, requestId });
      const away = [accepts(to, offerId, requestId!), fromHost(reserved), fromHost(remapped(to, epoch + 1))];
      const again = [asks(to, 50 + epoch), allows(back.state.numbers + 1, to === 'vm2' ? 3 : 0)];
      state = owner([...away, ...again] as never, back.state).state;
      expect(state.name).toBe('lent');
    }
    expect(served).toEqual(['vm2', 'vm2', 'vm2', 'vm1', 'vm2']);
  });

  it('R119 declines those who wait when the bundle is recalled, and who asks then', () => {
    const { state, effects } = owner([{ on: 'recall', graceMs: 0, force: false }], waitingOf([0, 0]));
    expect(messages(effects, 'borrowDeclined')).toMatchObject([{ to: 'vm1' }, { to: 'vm2' }]);
    expect(sent(owner([asks('vm3', 12)], state).effects)).toEqual(['borrowDeclined']);
    const back = owner([BACK], state);
    expect(hooks(back.effects)).toEqual(['resume']);
    // Then it lends again.
    const again = owner([done('resume'), asks('vm3', 12), allowed(state.numbers + 1)], back.state);
    expect(sent(again.effects)).toContain('prepare');
  });

  it('R119 ends an offer when its user recalls the bundle', () => {
    const back = owner([BACK], waitingOf([0, 0]));
    const { effects } = owner([{ on: 'recall', graceMs: 0, force: false }], back.state);
    expect(hooks(effects)).toEqual(['resume']);
    expect(messages(effects, 'borrowDeclined')).toHaveLength(2);
  });

  it('R119 passes the turn on when the one with the offer asks for something else', () => {
    const back = owner([BACK], waitingOf([0, 0]));
    const { effects, state } = owner([asks('vm1', 20)], back.state);
    expect(only(effects, 'offerLease')).toMatchObject({ requestId: 11 });
    expect(state.waiting.find(({ borrower: vm }) => vm === 'vm1')).toMatchObject({ requestId: 20 });
  });

  it('R119 declines those who wait when the bundle is quarantined', () => {
    const report = message('stateReported', { ...held(ANDROID, 3), phase: 'quarantined', holder: undefined });
    const { effects } = owner([fromHost(report)], waitingOf([0]));
    expect(only(effects, 'borrowDeclined')).toMatchObject({ reason: 'busy', requestId: 10 });
  });
});

describe('an owner that holds', () => {
  const offers = { on: 'offer', to: OTHER, leaseMs: 60, reservedMs: 5_000 } as unknown as OwnerInput;

  it('R122 offers it unasked, with its driver active, and decides by its policy about the terms', () => {
    const { state, effects } = owner([offers], owning());
    const offer = only(effects, 'offerLease');
    expect(offer).toMatchObject({ epoch: 1, leaseMs: 60, reservedMs: 5_000 });
    expect('requestId' in offer).toBe(false);
    const taken = owner([accepts(OTHER, offer.offerId, 5)], state);
    expect(taken.effects).toContainEqual(expect.objectContaining({ do: 'decide', borrower: OTHER }));
    expect(taken.state.name).toBe('held');
    const denied = owner([denies(taken.state.asking!)], taken.state);
    expect(only(denied.effects, 'borrowDeclined').requestId).toBe(5);
    const prepares = owner([allows(taken.state.asking!)], taken.state);
    expect(only(prepares.effects, 'prepare')).toMatchObject({ borrower: OTHER, requestId: 5, epoch: 1 });
  });

  it('R122 says that an unasked offer came to nothing', () => {
    const { state } = owner([offers], owning());
    for (const [end, reason] of [
      [on('timer:offer'), 'notAnswered'],
      [declines(OTHER, state.offer!.offerId), 'declined'],
    ] as const) {
      const { effects, state: after } = owner([end as never], state);
      expect(after.name).toBe('held');
      expect(sent(effects)).toEqual([]);
      expect(effects).toContainEqual({ do: 'notify', notice: { notice: 'notOffered', to: OTHER, reason } });
    }
    const busy = owner([offers], lent());
    expect(busy.effects).toEqual([
      { do: 'notify', notice: { notice: 'notOffered', to: OTHER, reason: 'notNow' } },
    ]);
  });

  it('R120 offers it to a request that waits for another one which came to nothing', () => {
    // vm1 has been told to wait; the loan before it is called back, so its consent is void.
    const suspending = owner(
      [fromBorrower(REQUEST), allowed(1), fromHost(prepared()), asks('vm1', 10), allows(2)],
      owning(),
    );
    expect(messages(suspending.effects, 'queued')).toMatchObject([{ to: 'vm1' }]);
    const back = owner([withdraws(VAULT, 1), done('suspend'), done('resume')], suspending.state);
    expect(only(back.effects, 'offerLease')).toMatchObject({ epoch: 1, requestId: 10 });
    expect(back.state).toMatchObject({ name: 'offering', driver: 'active' });
  });

  it('R112 serves a request that came meanwhile with its first consent, if the bundle was never away', () => {
    const { state } = owner([fromBorrower(REQUEST), allowed(1), asks('vm1', 10), allows(2)], owning());
    const late = owner([on('timer:prepare')], state);
    expect(only(late.effects, 'prepare')).toMatchObject({ borrower: 'vm1', epoch: 1 });
  });
});

describe('a borrower', () => {
  const queued = (fields: object = {}) =>
    fromOwner(message('queued', { requestId: 1, position: 1, expectedMs: 30_000, ...fields }));
  const waiting = () => borrower([queued()], requesting()).state;
  const told = (confirmed: boolean) =>
    fromHost(message('stateReported', { ...held(ANDROID, 3, VAULT), confirmed }));
  const offered = (fresh: boolean, fields: object = {}) =>
    ({
      on: 'offerLease',
      from: ANDROID,
      message: message('offerLease', {
        ...{ epoch: 3, reservedMs: 9, offerId: 4, requestId: 1, leaseMs: 9 },
        ...fields,
      }),
      fresh,
    }) as never;

  it('R123 waits for its turn and tells its client, or withdraws if it may not wait', () => {
    const { state, effects } = borrower([queued()], requesting());
    expect(state).toMatchObject({ name: 'queued', place: { position: 1, expectedMs: 30_000 } });
    expect(effects).toContainEqual({
      do: 'notify',
      notice: { notice: 'queued', position: 1, expectedMs: 30_000 },
    });
    const hasty = borrower([queued()], requesting({ ...TERMS, mayQueue: false }));
    expect(hasty.state.name).toBe('idle');
    expect(sent(hasty.effects)).toEqual(['withdrawBorrow']);
    expect(borrower([queued({ requestId: 9 })], requesting())).toMatchObject({ effects: [] });
  });

  it('R123 keeps its timestamp token fresh while it waits, and withdraws when its wait is over', () => {
    const asksHost = borrower([on('timer:queue')], waiting());
    expect(asksHost.effects).toContainEqual({ do: 'query' });
    expect(timers(asksHost.effects)).toContainEqual(['queue', 3_000]);
    const over = borrower([on('timer:request')], waiting());
    expect(only(over.effects, 'withdrawBorrow').requestId).toBe(1);
    expect(over.effects).toContainEqual({ do: 'notify', notice: { notice: 'timedOut', isQueued: true } });
    expect(sent(borrower([on('return')], waiting()).effects)).toEqual(['withdrawBorrow']);
  });

  it('R124 accepts an offer with a consent at its epoch, and asks the host first if its token is old', () => {
    const { state, effects } = borrower([offered(true)], waiting());
    expect(effects).toContainEqual(
      expect.objectContaining({ do: 'request', requestId: 1, epoch: 3, offerId: 4 }),
    );
    expect(state.name).toBe('requesting');
    const old = borrower([offered(false)], waiting());
    expect(old.effects.map((effect) => effect.do)).toEqual(['query', 'timer', 'timer']);
    expect(timers(old.effects)).toContainEqual(['queue', 3_000]);
    const answered = borrower([told(false)], old.state);
    expect(answered.effects).toContainEqual(expect.objectContaining({ do: 'request', epoch: 3, offerId: 4 }));
    // The offered epoch is over.
    const void_ = borrower([fromHost(held(OTHER, 4, VAULT))], old.state);
    expect(void_.effects.some((effect) => effect.do === 'request')).toBe(false);
    expect(void_.state).toMatchObject({ name: 'queued', offer: undefined });
  });

  it('R124 declines an offer for a request that is not open, and one at an epoch that is over', () => {
    expect(sent(borrower([offered(true)], knowing()).effects)).toEqual(['declineOffer']);
    expect(sent(borrower([offered(true, { requestId: 9 })], waiting()).effects)).toEqual(['declineOffer']);
    expect(sent(borrower([offered(true, { epoch: 0 })], waiting()).effects)).toEqual(['declineOffer']);
  });

  it('R125 asks again when the owner holds, confirmed, and has made no offer: it has forgotten', () => {
    const quiet = borrower([told(false)], waiting());
    expect(quiet.state.name).toBe('queued');
    const again = borrower([told(true)], waiting());
    expect(again.effects).toContainEqual(expect.objectContaining({ do: 'request', requestId: 2, epoch: 3 }));
  });

  it('R122 tells its clients of an unasked offer, and a borrow takes it', () => {
    const unasked = offered(true, { requestId: undefined });
    const { state, effects } = borrower([unasked], knowing());
    expect(effects).toContainEqual({
      do: 'notify',
      notice: { notice: 'offered', leaseMs: 9, reservedMs: 9 },
    });
    const takes = borrower([{ on: 'borrow', terms: TERMS, fresh: true }], state);
    expect(takes.effects).toContainEqual({ do: 'query' });
    const accepts = borrower([fromHost(held(ANDROID, 3, VAULT))], takes.state);
    expect(accepts.effects).toContainEqual(expect.objectContaining({ do: 'request', epoch: 3, offerId: 4 }));
    const over = borrower([on('timer:offered')], state).state;
    expect(borrower([{ on: 'borrow', terms: TERMS, fresh: true }], over).state.offer).toBeUndefined();
  });

  it('R87 releases what it gets while it waits for another request', () => {
    const { state, effects } = borrower([fromHost(remapped(VAULT, 4, { requestId: 9 }))], waiting());
    expect(sent(effects)).toEqual(['release']);
    expect(state.name).toBe('releasing');
  });
});
