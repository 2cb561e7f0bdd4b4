/**
 * Lost words and words that come too late: what an answer belongs to, and what is said again. One test per
 * requirement of docs/PROTOCOL.md; its number leads the test's name.
 */

import { describe, expect, it } from 'vitest';
import { MESSAGES } from '../../../src/core/protocol/messages.ts';
import {
  ANDROID,
  allowed,
  BUNDLE,
  borrower,
  command,
  done,
  fromBorrower,
  fromHost,
  fromOwner,
  HOST_CONFIG,
  held,
  heldByOwner,
  holding,
  hooks,
  host,
  knowing,
  lent,
  lentByHost,
  message,
  OTHER,
  on,
  only,
  owner,
  owning,
  pending,
  prepare,
  prepared,
  RECORDED,
  REQUEST,
  refusalTo,
  remapped,
  reserved,
  sent,
  TERMS,
  timers,
  VAULT,
} from './requirements-support.ts';

const withdraw = fromBorrower(message('withdrawBorrow', { requestId: 1 }));
const longer = fromBorrower(
  message('requestBorrow', {
    ...REQUEST,
    consent: Uint8Array.of(2),
    purpose: 'browse',
    leaseMs: 3_600_000,
    requestId: 2,
  }),
);

describe('an owner', () => {
  it('R76 does not take an answer of its policy to a withdrawn request for one to the next', () => {
    const asked = owner([fromBorrower(REQUEST), withdraw, longer], owning()).state;
    expect(owner([allowed(1)], asked).state.name).toBe('held');
    const denied = { on: 'policyDecided', request: 1, decision: { allow: false } } as never;
    const next = owner([denied], asked);
    expect(sent(next.effects)).toEqual([]);
    expect(owner([allowed(2)], next.state).state.name).toBe('preparing');
  });

  it('R76 does not take a reservation for a withdrawn request for one of the next', () => {
    const consent = Uint8Array.of(9, 9);
    const second = {
      on: 'requestBorrow',
      from: OTHER,
      message: { ...REQUEST, consent, requestId: 9 },
    } as never;
    const waiting = owner([fromBorrower(REQUEST), allowed(1), withdraw, second, allowed(2)], owning()).state;
    const stale = owner([fromHost(prepared())], waiting);
    expect(hooks(stale.effects)).toEqual([]);
    expect(only(stale.effects, 'cancel').epoch).toBe(2);
    const sameBorrower = owner([fromBorrower(REQUEST), allowed(1), withdraw, longer, allowed(2)], owning());
    const other = owner([fromHost(prepared({ requestId: 1 }))], sameBorrower.state);
    expect(hooks(other.effects)).toEqual([]);
    const own = owner([fromHost(prepared({ borrower: OTHER, requestId: 9, epoch: 3 }))], waiting);
    expect(hooks(own.effects)).toEqual(['suspend']);
  });

  it('R76 does not take the refusal of an earlier prepare for its own', () => {
    const preparing = owner([fromBorrower(REQUEST), allowed(1)], owning()).state;
    const refused = (requestId: number) =>
      fromHost(
        message('refused', {
          command: MESSAGES.prepare.number,
          epoch: 1,
          code: 'busy',
          currentEpoch: 1,
          requestId,
        }),
      );
    expect(owner([refused(7)], preparing).state.name).toBe('preparing');
    expect(owner([refused(1)], preparing).state.name).toBe('held');
  });

  it('R84 asks what became of its lent bundle, so that it hears of a quarantine whose word was lost', () => {
    const away = owner([fromHost(message('remapped', { ...remapped(VAULT, 2), proof: undefined }))], lent());
    expect(timers(away.effects)).toEqual([['query', 5_000]]);
    const asks = owner([on('timer:query')], away.state);
    expect(asks.effects.map((effect) => effect.do)).toContain('query');
    const { proof: _proof, holder: _holder, ...nobody } = held(ANDROID, 3);
    const told = (phase: string) => fromHost(message('stateReported', { ...nobody, phase }));
    expect(owner([told('quarantined')], asks.state).state.name).toBe('quarantined');
    const parked = owner([told('parked')], asks.state);
    expect(timers(parked.effects)).toEqual([['claim', 2_000]]);
  });

  it('R81 says reject again while it is told that it holds what it rejected', () => {
    const bad = message('remapped', { ...remapped(ANDROID, 3), proof: undefined });
    const rejected = owner([fromHost(bad)], lent());
    expect(only(rejected.effects, 'reject').epoch).toBe(3);
    const again = owner([fromHost(bad)], rejected.state);
    expect(only(again.effects, 'reject').epoch).toBe(3);
    // Evidence that is right this time does not help: what was wrong once is never resumed.
    const good = owner([on('timer:query'), fromHost(held(ANDROID, 3))], again.state);
    expect(only(good.effects, 'reject').epoch).toBe(3);
    expect(hooks(good.effects)).toEqual([]);
    expect(timers(good.effects)).toEqual([['query', 1_000]]);
    expect(owner([fromHost(held(ANDROID, 5))], good.state).state.name).toBe('resuming');
  });
});

describe('the host', () => {
  it('R77 answers a repeated prepare by its reservation only for the same request', () => {
    const first = prepare({ leaseMs: 60_000 });
    const state = host([first, RECORDED], heldByOwner()).state;
    expect(only(host([first], state).effects, 'prepared')).toMatchObject({
      epoch: 2,
      borrower: VAULT,
      requestId: 1,
    });
    const shorter = prepare({ leaseMs: 5_000 });
    expect(refusalTo(ANDROID, host([shorter], state).effects)).toEqual(['busy']);
    const other = prepare({ leaseMs: 60_000, requestId: 2 }, {}, { requestId: 2 });
    expect(refusalTo(ANDROID, host([other], state).effects)).toEqual(['busy']);
    expect(only(host([other], state).effects, 'refused').requestId).toBe(2);
    const forged = host([{ ...first, consent: undefined }], state);
    expect(sent(forged.effects)).toEqual(['refused']);
  });

  it('R79 says that the lease ends until the bundle is back', () => {
    const noticed = host([{ on: 'timer:lease', nowMs: 1_000 }], lentByHost()).state;
    const again = host([{ on: 'timer:remind', nowMs: 1_300 }], noticed);
    expect(only(again.effects, 'leaseEnding')).toMatchObject({ epoch: 2, noticeMs: 100, cause: 'expiry' });
    expect(timers(again.effects)).toEqual([['remind', 1_000]]);
    const weak = { ...HOST_CONFIG, forceRevoke: false };
    const overdue = host(
      [
        { on: 'timer:lease', nowMs: 1_000 },
        { on: 'timer:notice', nowMs: 1_400 },
      ],
      lentByHost({}, weak),
      weak,
    ).state;
    const still = host([{ on: 'timer:remind', nowMs: 9_000 }], overdue, weak);
    expect(only(still.effects, 'leaseEnding').noticeMs).toBe(0);
    const back = host([command(VAULT, 'release', { epoch: 2 })], noticed);
    expect(sent(host([on('timer:remind')], back.state).effects)).toEqual([]);
  });

  it('R79 tells a holder that asks of the notice that it missed', () => {
    const noticed = host([{ on: 'timer:lease', nowMs: 1_000 }], lentByHost()).state;
    const ask = { ...command(VAULT, 'queryState', { epoch: 2 }), nowMs: 1_100 };
    expect(only(host([ask], noticed).effects, 'stateReported')).toMatchObject({
      ending: 'expiry',
      noticeMs: 300,
    });
    expect(only(host([ask], lentByHost()).effects, 'stateReported').ending).toBeUndefined();
    expect(only(host([ask], reserved()).effects, 'stateReported').ending).toBeUndefined();
  });
});

describe('a borrower', () => {
  const asked = (fields: object) => fromHost(message('stateReported', { ...held(VAULT, 2), ...fields }));

  it('R78 asks when its lease is over by its own count, and gives way to what it is told', () => {
    const granted = borrower([fromHost(remapped(VAULT, 2))], pending());
    expect(timers(granted.effects)).toEqual([['lease', 1_000]]);
    const over = borrower([on('timer:lease')], holding());
    expect(over.effects.map((effect) => effect.do)).toEqual(['query', 'timer']);
    expect(borrower([on('timer:query')], over.state).effects.map((effect) => effect.do)).toContain('query');
    const taken = borrower([fromHost(held(ANDROID, 3, VAULT))], over.state);
    expect(hooks(taken.effects)).toEqual(['suspend']);
    expect(taken.effects).toContainEqual({ do: 'notify', notice: { notice: 'lost', cause: undefined } });
    const ending = borrower([asked({ ending: 'expiry', noticeMs: 400 })], over.state);
    expect(timers(ending.effects)).toEqual([['notice', 300]]);
    expect(timers(borrower([asked({ leaseMs: 5_000 })], over.state).effects)).toEqual([['lease', 5_000]]);
    expect(timers(borrower([asked({ leaseMs: 0 })], over.state).effects)).toEqual([['lease', 1_000]]);
  });

  it('R80 does not give way to its owner before its minimum hold time is over, but to the host', () => {
    const isMinHold = (): ReturnType<typeof holding> => {
      const waiting = pending({ ...TERMS, leaseMs: 30_000, minHoldMs: 20_000 });
      return borrower([fromHost(remapped(VAULT, 2)), done('resume')], waiting).state;
    };
    const recall = fromOwner(message('recallDevice', { epoch: 2, graceMs: 500 }));
    const recalled = borrower([recall], isMinHold());
    expect(recalled.effects).toEqual([]);
    const over = borrower([on('timer:minHold')], recalled.state);
    expect(timers(over.effects)).toEqual([['notice', 375]]);
    expect(over.effects).toContainEqual({
      do: 'notify',
      notice: { notice: 'recalled', ms: 500, cause: 'reclaim' },
    });
    expect(borrower([on('timer:minHold')], isMinHold()).effects).toEqual([]);
    const ending = fromHost(message('leaseEnding', { epoch: 2, noticeMs: 400, cause: 'supplyLost' }));
    expect(timers(borrower([ending], recalled.state).effects)).toEqual([['notice', 300]]);
    expect(timers(borrower([recall], holding()).effects)).toEqual([['notice', 375]]);
  });

  it('R80 keeps the earlier of two ends, and says a notice that is repeated once', () => {
    const ending = fromHost(message('leaseEnding', { epoch: 2, noticeMs: 400, cause: 'expiry' }));
    const first = borrower([ending], holding());
    const again = borrower([ending], first.state);
    expect(again.effects).toEqual([{ do: 'timer', timer: 'notice', ms: 300, sooner: true }]);
    const recall = fromOwner(message('recallDevice', { epoch: 2, graceMs: 60_000 }));
    expect(borrower([recall], first.state).effects).toContainEqual({
      do: 'timer',
      timer: 'notice',
      ms: 59_500,
      sooner: true,
    });
  });

  it('R31 does not finish a resume whose notice is over', () => {
    const resuming = borrower([fromHost(remapped(VAULT, 2))], pending()).state;
    const ending = fromHost(message('leaseEnding', { epoch: 2, noticeMs: 400, cause: 'expiry' }));
    const noticed = borrower([ending], resuming);
    expect(timers(noticed.effects)).toEqual([['notice', 300]]);
    const over = borrower([on('timer:notice')], noticed.state);
    const { effects } = borrower([done('resume')], over.state);
    expect(hooks(effects)).toEqual(['suspend']);
    expect(sent(effects)).toEqual([]);
  });

  it('R83 releases what the host takes it to hold', () => {
    const { state, effects } = borrower(
      [fromHost(message('leaseEnding', { epoch: 4, noticeMs: 100, cause: 'noConfirm' }))],
      knowing(),
    );
    expect(only(effects, 'release')).toMatchObject({ bundle: BUNDLE, epoch: 4 });
    expect(state.name).toBe('releasing');
  });
});
