/** Renewals of a lease: what the borrower asks, the owner allows and the host does, by the rows of their tables. */

import { describe, expect, it } from 'vitest';
import { allowList } from '../../../src/core/agent/policy.ts';
import type { ConsentClaims } from '../../../src/core/protocol/messages.ts';
import { ANDROID, VAULT } from '../../../targets/lab/machine/board.ts';
import {
  BUNDLE,
  borrower,
  CLAIMS,
  CONSENT,
  command,
  fromBorrower,
  fromHost,
  fromOwner,
  holding,
  host,
  lent,
  lentByHost,
  message,
  on,
  only,
  owner,
  refusalTo,
  sent,
  timers,
} from './requirements-support.ts';

const NAMED = { epoch: 2, requestId: 1, renewal: 1 };
const RENEW = message('renew', { ...NAMED, leaseMs: 60, consent: CONSENT, purpose: 'pin' });
const RENEWED = (renewal: number, fields: object = {}) =>
  message('renewed', { ...NAMED, leaseMs: 60, renewal, ...fields });
const DECLINED = message('borrowDeclined', { reason: 'policy', retryAfterMs: 0, requestId: 1 });
const wants = (leaseMs = 60) => ({ on: 'renew', leaseMs }) as never;
const notices = (effects: readonly { do: string }[]) =>
  effects.flatMap((effect) =>
    effect.do === 'notify' ? [(effect as never as { notice: object }).notice] : [],
  );
const asks = (effects: readonly { do: string }[]) =>
  effects.flatMap((effect) => (effect.do === 'renew' ? [effect as never as { renewal: number }] : []));

/** The command as it comes to the host, with a consent to `claims`. */
const renewLease = (claims: Partial<ConsentClaims> = {}, fields: object = {}, from = ANDROID) => {
  const given = { ...CLAIMS, epoch: 2, use: 'renew', renewal: 1, leaseMs: 60, ...claims };
  return {
    ...command(from, 'renewLease', { ...NAMED, borrower: VAULT, consent: CONSENT, leaseMs: 60, ...fields }),
    consent: { claims: given, sameBoot: true, ageMs: 1 },
  };
};
const at = (nowMs: number, input: object) => ({ ...input, nowMs });

describe('a borrower', () => {
  it('R115 asks for the next renewal, and again with the same number until it is answered', () => {
    const first = borrower([wants()], holding());
    expect(asks(first.effects)).toEqual([expect.objectContaining({ epoch: 2, requestId: 1, renewal: 1 })]);
    let { state } = first;
    for (let times = 1; times < 5; times++) {
      const again = borrower([on('timer:renewal')], state);
      expect(asks(again.effects).map(({ renewal }) => renewal)).toEqual([1]);
      state = again.state;
    }
    const last = borrower([on('timer:renewal')], state);
    expect([asks(last.effects), notices(last.effects)]).toEqual([
      [],
      [{ notice: 'renewalDeclined', reason: 'timedOut' }],
    ]);
  });

  it('R115 counts what was renewed, once, and asks for the one after it', () => {
    const renewed = borrower([wants(), fromHost(RENEWED(1))], holding());
    expect(notices(renewed.effects)).toEqual([{ notice: 'renewed', epoch: 2, leaseMs: 60, renewal: 1 }]);
    expect(timers(renewed.effects)).toContainEqual(['lease', 60]);
    expect(borrower([fromHost(RENEWED(1))], renewed.state).row).toBe('renewed-late');
    expect(asks(borrower([wants()], renewed.state).effects)).toEqual([
      expect.objectContaining({ renewal: 2 }),
    ]);
  });

  it.each([
    ['of another epoch', { epoch: 3 }],
    ['of another request', { requestId: 9 }],
    ['of a later renewal', { renewal: 2 }],
  ])('R115 takes no renewal %s for its own', (_name, fields) => {
    const asked = borrower([wants()], holding()).state;
    expect(borrower([fromHost(RENEWED(1, fields))], asked)).toMatchObject({
      row: 'renewed-late',
      state: asked,
    });
  });

  it('hears that it was declined, once, and keeps its lease', () => {
    const declined = borrower([wants(), fromOwner(DECLINED)], holding());
    expect(declined.state.name).toBe('held');
    expect(notices(declined.effects)).toEqual([{ notice: 'renewalDeclined', reason: 'policy' }]);
    expect(borrower([fromOwner(DECLINED)], declined.state).row).toBe('borrowDeclined-late');
  });

  it('R116 asks for none once the host has announced the return, nor when it holds nothing', () => {
    const ending = message('leaseEnding', { epoch: 2, noticeMs: 5, cause: 'expiry', requestId: 1 });
    for (const state of [borrower([fromHost(ending)], holding()).state, borrower([], undefined).state]) {
      const { effects } = borrower([wants()], state);
      expect([asks(effects), notices(effects)]).toEqual([
        [],
        [{ notice: 'renewalDeclined', reason: 'notHeld' }],
      ]);
    }
  });
});

describe('an owner', () => {
  const decided = (allow: boolean, request: number) =>
    ({ on: 'policyDecided', request, decision: { allow, reason: 'policy', retryAfterMs: 0 } }) as never;
  const asked = () => owner([fromBorrower(RENEW)], lent());
  const numberOf = (played: ReturnType<typeof asked>) => played.state.renewal!.number;

  it('R117 asks its policy, and only then the host, for what the policy allowed', () => {
    const played = asked();
    expect([sent(played.effects), played.effects.map(({ do: kind }) => kind)]).toEqual([
      [],
      ['decide', 'timer'],
    ]);
    expect(owner([decided(true, numberOf(played) + 1)], played.state).row).toBe('policyDecided-late');
    const { effects, state } = owner([decided(true, numberOf(played))], played.state);
    expect(only(effects, 'renewLease')).toMatchObject({ epoch: 2, borrower: VAULT, leaseMs: 60, renewal: 1 });
    expect(state.renewal).toBeUndefined();
  });

  it.each([
    ['what its policy denies', (n: number) => decided(false, n), 'policy'],
    ['what its policy does not decide', () => on('timer:renewal'), 'policyTimeout'],
  ])('R117 declines %s', (_name, end, reason) => {
    const played = asked();
    const { effects } = owner([end(numberOf(played))], played.state);
    expect(only(effects, 'borrowDeclined')).toMatchObject({ reason, requestId: 1 });
    expect(sent(effects)).toEqual(['borrowDeclined']);
  });

  it('R117 asks about a repetition once', () => {
    expect(owner([fromBorrower(RENEW)], asked().state).row).toBe('renew-again');
  });

  it.each([
    ['at another epoch', { ...RENEW, epoch: 3 }, VAULT],
    ['of a VM that does not hold', RENEW, ANDROID],
  ])('R117 declines a renewal %s', (_name, one, from) => {
    const { effects } = owner([{ on: 'renew', from, message: one } as never], lent());
    expect(sent(effects)).toEqual(['borrowDeclined']);
  });

  it('R117 declines after a recall by force, and passes on what the host refuses', () => {
    const recalled = owner([{ on: 'recall', graceMs: 1, force: true } as never], lent()).state;
    expect(sent(owner([fromBorrower(RENEW)], recalled).effects)).toEqual(['borrowDeclined']);
    const refused = message('refused', {
      epoch: 2,
      command: 36,
      code: 'tooLate',
      currentEpoch: 2,
      requestId: 1,
    });
    expect(only(owner([fromHost(refused)], lent()).effects, 'borrowDeclined')).toMatchObject({
      refusal: 'tooLate',
      requestId: 1,
    });
  });
});

describe('the host', () => {
  it('R118 extends the lease from now on, in place, and tells both', () => {
    const before = lentByHost();
    const { state, effects } = host([at(20, renewLease())], before);
    expect(state.holder).toMatchObject({ epoch: 2, vm: VAULT, proof: before.holder!.proof });
    expect(state.holder!.lease).toMatchObject({
      leaseMs: 80,
      renewal: 1,
      minHoldMs: before.holder!.lease!.minHoldMs,
    });
    expect(timers(effects)).toEqual([['lease', 60]]);
    expect(effects.filter((effect) => effect.do === 'send').map(({ to }) => to)).toEqual([VAULT, ANDROID]);
    expect(only(effects.slice(0, 3), 'renewed')).toMatchObject({ leaseMs: 60, renewal: 1, bundle: BUNDLE });
  });

  it('R118 carries a renewal out once: a repetition is answered, with what is left', () => {
    const renewed = host([at(20, renewLease())], lentByHost()).state;
    const again = host([at(50, renewLease())], renewed);
    expect([again.row, again.state]).toEqual(['renewLease-again', renewed]);
    expect(only(again.effects.slice(0, 1), 'renewed')).toMatchObject({ leaseMs: 30, renewal: 1 });
    const next = host([at(50, renewLease({ renewal: 2 }, { renewal: 2 }))], renewed).state;
    expect(next.holder!.lease).toMatchObject({ leaseMs: 110, renewal: 2 });
  });

  it.each([
    ['of another than the owner', renewLease({}, {}, VAULT), 'notOwner', VAULT],
    ['at another epoch', renewLease({}, { epoch: 1 }), 'epochStale', ANDROID],
    ['of another borrower', renewLease({}, { borrower: ANDROID }), 'notHolder', ANDROID],
    ['of another request', renewLease({}, { requestId: 9 }), 'notHolder', ANDROID],
    ['without a consent that verifies', { ...renewLease(), consent: undefined }, 'consentInvalid', ANDROID],
    ['on a consent to a loan', renewLease({ use: 'borrow', renewal: 0 }), 'consentTerms', ANDROID],
    [
      'on the consent to a later renewal',
      renewLease({ renewal: 2 }, { renewal: 2 }),
      'consentTerms',
      ANDROID,
    ],
    ['longer than the owner allowed', renewLease({ leaseMs: 61 }), 'consentTerms', ANDROID],
    ['of no time', renewLease({ leaseMs: 0 }), 'consentTerms', ANDROID],
    ['on a consent to another epoch', renewLease({ epoch: 1 as never }), 'consentStale', ANDROID],
    ['of an ended incarnation', renewLease({ incarnation: 7 as never }), 'consentStale', ANDROID],
  ])('R118 refuses a renewal %s', (_name, input, code, to) => {
    const before = lentByHost();
    const { state, effects } = host([input], before);
    expect([state, refusalTo(to, effects)]).toEqual([before, [code]]);
  });

  it('R118 refuses it once a return has begun (M8)', () => {
    const ending = host([{ on: 'timer:lease' }], lentByHost()).state;
    expect(refusalTo(ANDROID, host([renewLease()], ending).effects)).toEqual(['tooLate']);
  });
});

it.each([
  ['within the time in all', { totalMaxMs: 100 }, 40, true],
  ['beyond the time in all', { totalMaxMs: 100 }, 41, false],
  ['beyond one lease, where nothing else is said', { leaseMaxMs: 60 }, 1, false],
  ['without any bound', {}, 1_000_000, true],
])('R117 an allow-list bounds renewals: %s', (_name, rule, heldMs, allow) => {
  const policy = allowList([{ bundle: BUNDLE, borrower: VAULT, ...rule }]);
  const question = {
    bundle: BUNDLE,
    borrower: VAULT,
    purpose: 'pin',
    leaseMs: 60,
    minHoldMs: 0,
    noticeMs: 0,
    heldMs,
  };
  let decided: boolean | undefined;
  policy(question, (decision) => {
    decided = decision.allow;
  });
  expect(decided).toBe(allow);
});
