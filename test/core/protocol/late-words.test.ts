/**
 * Words that come too late: answers to a request that was given up, while the next one is open. Every answer bears the
 * request that it is about.
 */

import { describe, expect, it, test } from 'vitest';
import { initialBorrower } from '../../../src/core/agent/borrower-state.ts';
import { MESSAGES } from '../../../src/core/protocol/messages.ts';
import {
  ANDROID,
  allowed,
  borrower,
  command,
  done,
  failed,
  fromBorrower,
  fromHost,
  fromOwner,
  HOST_CONFIG,
  held,
  heldByOwner,
  hooks,
  host,
  inspected,
  lending,
  lent,
  lentByHost,
  message,
  moving,
  on,
  only,
  owner,
  owning,
  pending,
  phase,
  phaseFailed,
  prepare,
  prepared,
  RECORDED,
  REQUEST,
  remap,
  remapped,
  requesting,
  reserved,
  sent,
  suspending,
  TERMS,
  timers,
  VAULT,
} from './requirements-support.ts';

const BUSY = { do: 'notify', notice: { notice: 'declined', reason: 'busy', retryAfterMs: 1_000 } };
const OFF = { command: MESSAGES.requestBorrow.number, epoch: 2, code: 'reservationLapsed', currentEpoch: 1 };
const grants = [
  ['remapped', (fields: object) => fromHost(remapped(VAULT, 2, fields))],
  ['stateReported', (fields: object) => fromHost(message('stateReported', { ...held(VAULT, 2), ...fields }))],
] as const;

describe('a borrower', () => {
  const long = { ...TERMS, leaseMs: 3_600_000, minHoldMs: 0, noticeMs: 0 };
  const short = { ...TERMS, leaseMs: 5_000, minHoldMs: 4_000, noticeMs: 2_000 };
  /** It asked for an hour, thought better of it, and asked for five seconds. */
  const asksAgain = () =>
    borrower([on('return'), { on: 'borrow', terms: short, fresh: true }], requesting(long)).state;

  test.each(grants)('R87 does not take %s by its last request for the present one', (_, grant) => {
    const { state, effects } = borrower([grant({ requestId: 1, leaseMs: 3_600_000 })], asksAgain());
    expect(state).toMatchObject({ name: 'releasing', terms: undefined, requestId: undefined });
    expect(only(effects, 'release').epoch).toBe(2);
    expect(hooks(effects)).toEqual([]);
    expect(effects).toContainEqual(BUSY);
    expect(hooks(borrower([grant({ requestId: 2, leaseMs: 5_000 })], asksAgain()).effects)).toEqual([
      'resume',
    ]);
  });

  test.each(grants)('R87 does not take %s without a number', (_, grant) => {
    expect(sent(borrower([grant({ requestId: undefined })], requesting()).effects)).toEqual(['release']);
  });

  test.each(grants)(
    'R87 releases what %s says while it warms up for another, when the hook has ended',
    (_, grant) => {
      const announced = fromHost(message('handoverPending', { epoch: 3, reserveMs: 1, requestId: 2 }));
      const warming = borrower([announced], asksAgain());
      expect(hooks(warming.effects)).toEqual(['prepare']);
      const granted = borrower([grant({ requestId: 1 })], warming.state);
      expect(granted.effects).toEqual([BUSY]);
      const ended = borrower([done('prepare')], granted.state);
      expect(sent(ended.effects)).toEqual(['release']);
      expect(hooks(ended.effects)).toEqual([]);
      const warm = borrower([done('prepare'), grant({ requestId: 1 })], warming.state);
      expect(sent(warm.effects)).toEqual(['release']);
      expect(warm.effects).toContainEqual(BUSY);
    },
  );

  it('R87 does not warm up for a reservation of its last request', () => {
    const announced = (requestId: number) =>
      fromHost(message('handoverPending', { epoch: 2, reserveMs: 1, requestId }));
    expect(borrower([announced(1)], asksAgain())).toMatchObject({ state: asksAgain(), effects: [] });
    expect(hooks(borrower([announced(2)], asksAgain()).effects)).toEqual(['prepare']);
  });

  it('R87 does not take the end of its last request for that of the present one', () => {
    const words = (requestId: number | undefined) => [
      fromOwner(message('borrowDeclined', { reason: 'policy', retryAfterMs: 0, requestId })),
      fromOwner(
        message('borrowDeclined', {
          reason: 'refusedByHost',
          refusal: 'consentStale',
          retryAfterMs: 0,
          requestId,
        }),
      ),
      fromHost(message('refused', { ...OFF, requestId })),
    ];
    for (const state of [asksAgain(), pending()]) {
      for (const word of words(state.requestId === 1 ? 2 : 1))
        expect(borrower([word], state)).toMatchObject({ state, effects: [] });
      expect(borrower([words(undefined)[2]!], state)).toMatchObject({ state, effects: [] });
      for (const word of words(state.requestId))
        expect(borrower([word], state).state.name).not.toBe(state.name);
    }
  });

  it('R87 does not wait for a reservation of another request', () => {
    const { proof: _, ...told } = held(ANDROID, 1, VAULT);
    const waiting = (requestId: number) =>
      fromHost(message('stateReported', { ...told, pending: true, requestId }));
    expect(borrower([waiting(1)], pending()).state.name).toBe('pending');
    expect(borrower([waiting(7)], pending()).state.name).toBe('idle');
  });

  it('R87 numbers its requests, withdraws by number, and numbers anew what it asks again', () => {
    const first = requesting();
    expect(first.requestId).toBe(1);
    expect(only(borrower([on('return')], first).effects, 'withdrawBorrow').requestId).toBe(1);
    expect(only(borrower([on('timer:request')], first).effects, 'withdrawBorrow').requestId).toBe(1);
    const stale = message('borrowDeclined', {
      reason: 'refusedByHost',
      refusal: 'consentStale',
      requestId: 1,
    });
    const asking = borrower([fromOwner(stale)], first).state;
    expect(asking).toMatchObject({ name: 'asking', requestId: undefined });
    const again = borrower([fromHost(held(ANDROID, 2, VAULT))], asking);
    expect(again.effects).toContainEqual(expect.objectContaining({ do: 'request', requestId: 2 }));
  });

  it('R87 goes on at 0 after the highest number', () => {
    const known = [...inspected('suspended'), fromHost(held(ANDROID, 1, VAULT))];
    const idle = borrower(known, initialBorrower(0xffff_ffff)).state;
    const borrow = { on: 'borrow', terms: TERMS, fresh: true } as const;
    expect(borrower([borrow], idle).state.requestId).toBe(0xffff_ffff);
    expect(borrower([borrow, on('return'), borrow], idle).state.requestId).toBe(0);
  });

  test.each([
    ['suspended', ['release'], []],
    ['active', [], ['suspend']],
  ] as const)('R87 after a restart gives back what it asked for before, driver %s', (status, says, runs) => {
    const started = borrower([on('start'), { on: 'driverInspected', status } as never]).state;
    const { state, effects } = borrower([fromHost(held(VAULT, 2))], started);
    expect(sent(effects)).toEqual(says);
    expect(hooks(effects)).toEqual(runs);
    expect(state.requestId).toBeUndefined();
  });
});

describe('an owner', () => {
  const renewed = fromBorrower(
    message('requestBorrow', { ...REQUEST, consent: Uint8Array.of(2), leaseMs: 5_000, requestId: 2 }),
  );
  const asked = () => owner([fromBorrower(REQUEST)], owning());
  const recalled = () => owner([{ on: 'recall', graceMs: 0, force: false }], lent()).state;

  it('R88 lets a new request of a borrower replace its last one while its policy decides', () => {
    const waits = owner([renewed], asked().state);
    // One question at a time: a borrower that asks again and again makes the policy no faster.
    expect(waits.effects).toEqual([]);
    const { state, effects } = owner([allowed(1)], waits.state);
    expect(effects).toContainEqual(expect.objectContaining({ do: 'decide', request: 2, leaseMs: 5_000 }));
    expect(sent(effects)).toEqual([]);
    const prepares = only(owner([allowed(2)], state).effects, 'prepare');
    expect(prepares).toMatchObject({ leaseMs: 5_000, consent: Uint8Array.of(2) });
    expect(owner([fromBorrower(REQUEST)], asked().state)).toMatchObject({
      state: asked().state,
      effects: [],
    });
  });

  it('R88 takes what bears the number of the open request for that request, whatever else it says', () => {
    const browse = message('requestBorrow', { ...REQUEST, purpose: 'browse', consent: Uint8Array.of(2) });
    expect(owner([fromBorrower(browse)], asked().state)).toMatchObject({ state: asked().state, effects: [] });
    const other = fromBorrower({ ...browse, requestId: 2 });
    const { effects } = owner([other, allowed(1)], asked().state);
    expect(effects).toContainEqual(expect.objectContaining({ do: 'decide', purpose: 'browse' }));
  });

  it('R88 decides in the time of the first request, however often it is renewed', () => {
    const { state, effects } = owner([renewed], asked().state);
    expect(asked().effects).toContainEqual(expect.objectContaining({ do: 'timer', timer: 'policy' }));
    expect(timers(effects)).toEqual([]);
    const next = owner([on('timer:policy')], state);
    expect(next.state).toMatchObject({ name: 'held', asking: 2, waiting: [{ requestId: 2, number: 2 }] });
  });

  it('R88 lets a new request replace its last one while the host prepares that', () => {
    const { state } = owner([allowed(1), renewed], asked().state);
    expect(state.name).toBe('preparing');
    const late = owner([fromHost(prepared())], state);
    expect(only(late.effects, 'cancel').epoch).toBe(2);
    expect(hooks(late.effects)).toEqual([]);
    expect(state.asking).toBe(2);
    const own = owner([allowed(2), fromHost(prepared({ requestId: 2, epoch: 3 }))], late.state);
    expect(hooks(own.effects)).toEqual(['suspend']);
  });

  it('R112 gives each borrower its turn, however often another asks again', () => {
    const other = {
      on: 'requestBorrow',
      from: 'other',
      message: { ...REQUEST, requestId: 9 },
    } as never;
    const flood = [renewed, other, renewed, fromBorrower(REQUEST), renewed];
    const { state } = owner(flood, asked().state);
    expect(state.waiting.map(({ borrower }) => borrower)).toEqual([VAULT, 'other']);
    expect(owner([other, other], state).state.waiting).toEqual(state.waiting);
    // The policy is asked about one at a time, and each is asked in turn.
    const first = owner([allowed(1), ...flood], state).state;
    expect(first).toMatchObject({ name: 'held', asking: 2 });
    const served = owner([allowed(2)], first).state;
    expect(served).toMatchObject({ name: 'preparing', request: { borrower: 'other' }, asking: 3 });
    expect(served.waiting.map(({ borrower }) => borrower)).toEqual([VAULT]);
  });

  it('R112 keeps no more requests than there is room for', () => {
    const from = (name: string) => ({ on: 'requestBorrow', from: name, message: REQUEST }) as never;
    const { state } = owner(
      Array.from({ length: 16 }, (_, i) => from(`vm${i}`)),
      asked().state,
    );
    expect(state.waiting.map(({ borrower }) => borrower)).toEqual([
      VAULT,
      ...Array.from({ length: 15 }, (_, i) => `vm${i}`),
    ]);
    expect(only(owner([from('more')], state).effects, 'borrowDeclined')).toMatchObject({ reason: 'busy' });
    const withdrawn = owner(
      [{ on: 'withdrawBorrow', from: 'vm3', message: message('withdrawBorrow', { requestId: 1 }) } as never],
      state,
    );
    expect(withdrawn.state.waiting.map(({ borrower }) => borrower)).not.toContain('vm3');
  });

  it('R88 takes back what it suspends for when its borrower asks for something else', () => {
    const { state, effects } = owner([renewed], suspending());
    expect(sent(effects)).toEqual([]);
    expect(state.waiting).toMatchObject([{ requestId: 2 }]);
    const ended = owner([done('suspend')], state);
    expect(sent(ended.effects)).toEqual(['cancel']);
    expect(hooks(ended.effects)).toEqual(['resume']);
  });

  it('R88 calls back what it lends when its borrower asks for something else', () => {
    const { state, effects } = owner([renewed], lending());
    expect(state).toMatchObject({ name: 'lending', waiting: [{ requestId: 2 }] });
    expect(only(effects, 'cancel').epoch).toBe(2);
  });

  it('R88 does not let go of a request because an earlier one is withdrawn', () => {
    const withdraw = (requestId: number) => fromBorrower(message('withdrawBorrow', { requestId }));
    for (const state of [asked().state, owner([allowed(1)], asked().state).state, suspending(), lending()]) {
      expect(owner([withdraw(7)], state)).toMatchObject({ state, effects: [] });
      const own = owner([withdraw(1)], state);
      expect(own.state !== state || sent(own.effects).includes('cancel')).toBe(true);
    }
  });

  test.each([
    ['has just started', () => owner([on('start')]).state, fromBorrower(REQUEST)],
    ['was called back', recalled, { on: 'requestBorrow', from: 'other', message: REQUEST }],
    ['cannot suspend', suspending, failed('suspend')],
    ['is not answered', () => owner([allowed(1)], asked().state).state, on('timer:prepare')],
  ])('R88 says which request it declines when it %s', (_, state, input) => {
    expect(only(owner([input as never], state()).effects, 'borrowDeclined').requestId).toBe(1);
  });
});

describe('the host', () => {
  const to = (vm: string, effects: readonly { do: string }[]) =>
    effects.flatMap((effect) => {
      const sending = effect as unknown as { to: string; message: { kind: string; requestId?: number } };
      return effect.do === 'send' && sending.to === vm
        ? [[sending.message.kind, sending.message.requestId]]
        : [];
    });
  const ask = command(VAULT, 'queryState', { epoch: 1, challenge: new Uint8Array(8) });

  it('R89 bears the number of the request in all that it tells a borrower of its request', () => {
    expect(to(VAULT, host([prepare(), RECORDED], heldByOwner()).effects)).toEqual([['handoverPending', 1]]);
    expect(to(VAULT, host([on('timer:reservation')], reserved()).effects)).toEqual([['refused', 1]]);
    const cancel = command(ANDROID, 'cancel', { epoch: 2 });
    expect(to(VAULT, host([cancel], reserved()).effects)).toEqual([['refused', 1]]);
    expect(to(VAULT, host([phaseFailed('fence', 2)], moving()).effects)).toEqual([['refused', 1]]);
    expect(to(VAULT, host(remap(2, VAULT), moving()).effects)).toEqual([['remapped', 1]]);
    for (const state of [reserved(), moving(), lentByHost()])
      expect(to(VAULT, host([ask], state).effects)).toEqual([['stateReported', 1]]);
  });

  it('R89 bears it also when the bundle went forward to the owner and ends in quarantine', () => {
    const attempt = [phase('fence', 2), phase('settle', 2), phase('clean', 2, { idle: true })];
    const forward = host([...attempt, phaseFailed('grant', 2), phaseFailed('fence', 3)], moving());
    expect(to(VAULT, forward.effects)).toEqual([['refused', 1]]);
  });

  it('R89 bears that of the second loan, and not of the first, when the second ends in quarantine', () => {
    const back = [command(VAULT, 'release', { epoch: 2 }), ...remap(3, ANDROID)];
    const again = [
      command(ANDROID, 'confirm', { epoch: 3 }),
      prepare({ epoch: 3, requestId: 2 }, {}, { epoch: 3, requestId: 2 }),
      RECORDED,
      command(ANDROID, 'lend', { epoch: 4 }),
    ];
    const { state } = host([...back, ...again], lentByHost());
    expect(to(VAULT, host([phaseFailed('fence', 4)], state).effects)).toEqual([['refused', 2]]);
  });

  it('R89 tells nobody else', () => {
    expect(to(ANDROID, host(remap(2, VAULT), moving()).effects)).toEqual([['remapped', undefined]]);
    const asks = { ...ask, from: ANDROID };
    for (const state of [heldByOwner(), reserved(), moving(), lentByHost()])
      expect(to(ANDROID, host([asks], state).effects)).toEqual([['stateReported', undefined]]);
    expect(to(VAULT, host([ask], heldByOwner()).effects)).toEqual([['stateReported', undefined]]);
    const back = [command(VAULT, 'release', { epoch: 2 }), ...remap(3, ANDROID)];
    expect(to(VAULT, host(back, lentByHost()).effects)).toEqual([['remapped', undefined]]);
  });

  it('R89 keeps the number of the request over a restart', () => {
    const record = { kind: 'record', state: lentByHost(), rebooted: false };
    const start = { on: 'start', recovered: record, running: { [ANDROID]: 1, [VAULT]: 1 } };
    const read = phase('inspect', 2, { reach: VAULT });
    const again = host([start, read], undefined, HOST_CONFIG).state;
    expect(to(VAULT, host([ask], again).effects)).toEqual([['stateReported', 1]]);
  });
});
