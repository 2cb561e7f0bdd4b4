/**
 * The way back, when several ends of a loan meet: recalls, notices, minimum hold time, rejected evidence. What one loan
 * leaves in an agent's state must not act in the next.
 */

import { describe, expect, it } from 'vitest';
import {
  ANDROID,
  BUNDLE,
  borrower,
  command,
  done,
  fromBorrower,
  fromHost,
  fromOwner,
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
  REQUEST,
  refusalTo,
  remapped,
  reserved,
  sent,
  TERMS,
  timers,
  VAULT,
  WRONG_DIGEST,
} from './requirements-support.ts';

const recalled = (ms: number, cause: string) => ({
  do: 'notify',
  notice: { notice: 'recalled', ms, cause },
});
const recall = (graceMs: number) => fromOwner(message('recallDevice', { epoch: 2, graceMs }));
const ending = (noticeMs: number) =>
  fromHost(message('leaseEnding', { epoch: 2, noticeMs, cause: 'expiry' }));
const granted = fromHost(remapped(VAULT, 2));
/** A borrower whose driver resumes. */
const resuming = (terms: object = {}) => borrower([granted], pending({ ...TERMS, ...terms })).state;
const WITH_MIN_HOLD = { leaseMs: 30_000, minHoldMs: 20_000 };
/** A borrower that holds, within its minimum hold time. */
const isMinHold = () => borrower([done('resume')], resuming(WITH_MIN_HOLD)).state;

describe('an owner that recalls twice', () => {
  const asked = (graceMs: number, force: boolean) => ({ on: 'recall', graceMs, force }) as const;
  const away = () => owner([fromHost(held(VAULT, 2, ANDROID))], lent()).state;

  it('R85 forces although it only asked the second time', () => {
    const twice = owner([asked(500, true), asked(9_000, false)], away());
    expect(timers(twice.effects)).toEqual([]);
    expect(only(owner([on('timer:recall')], twice.state).effects, 'reclaim').epoch).toBe(2);
    expect(owner([on('timer:recall')], owner([asked(1, false)], away()).state).row).toBe('recall-timer-late');
  });

  it('R85 reclaims when the sooner grace is over', () => {
    const twice = owner([asked(500, true), asked(9_000, true)], away());
    expect(twice.effects).toContainEqual({ do: 'timer', timer: 'recall', ms: 9_000, sooner: true });
  });
});

describe('a borrower that is called in', () => {
  it('R80 heeds the earliest of several recalls within its minimum hold time', () => {
    const { effects } = borrower([recall(500), recall(60_000), on('timer:minHold')], isMinHold());
    expect(timers(effects)).toEqual([['notice', 375]]);
    expect(effects).toContainEqual(recalled(500, 'reclaim'));
  });

  it('R80 tells its user the earlier of recall and notice when the driver has resumed', () => {
    const later = borrower([ending(400), recall(60_000), done('resume')], resuming());
    expect(later.effects).toContainEqual(recalled(400, 'expiry'));
    const sooner = borrower([recall(300), ending(400), done('resume')], resuming());
    expect(sooner.effects).toContainEqual(recalled(300, 'reclaim'));
    // Within the minimum hold time a recall counts from its end, so the host's notice is the earlier one.
    const noticed = borrower([recall(300), ending(400), done('resume')], resuming(WITH_MIN_HOLD));
    expect(noticed.effects).toContainEqual(recalled(400, 'expiry'));
  });

  it('R80 tells its user of a recall that waited for the driver, once', () => {
    const resumed = borrower([recall(400), done('resume')], resuming());
    expect(resumed.effects).toContainEqual(recalled(400, 'reclaim'));
    expect(resumed.state.recalled).toBeUndefined();
  });

  it('R80 keeps a recall that waits for the minimum hold time while the driver resumes', () => {
    const resumed = borrower([recall(400), done('resume')], resuming(WITH_MIN_HOLD));
    expect(resumed.effects).not.toContainEqual(recalled(400, 'reclaim'));
    expect(borrower([on('timer:minHold')], resumed.state).effects).toContainEqual(recalled(400, 'reclaim'));
  });

  it('R80 lets a recall run from the end of the minimum hold time while the driver still resumes', () => {
    const over = borrower([recall(400), on('timer:minHold')], resuming(WITH_MIN_HOLD));
    expect(over.effects).toEqual([{ do: 'timer', timer: 'notice', ms: 300, sooner: true }]);
    expect(borrower([done('resume')], over.state).effects).toContainEqual(recalled(400, 'reclaim'));
  });

  it('R31 counts the notice that is told with the grant', () => {
    const told = message('stateReported', {
      ...held(VAULT, 2),
      requestId: 1,
      ending: 'noConfirm',
      noticeMs: 400,
    });
    const taken = borrower([fromHost(told)], pending());
    expect(timers(taken.effects)).toContainEqual(['notice', 300]);
    expect(taken.state).toMatchObject({ name: 'resuming', noticed: true });
    expect(borrower([done('resume')], taken.state).effects).toContainEqual(recalled(400, 'noConfirm'));
    const late = borrower([on('timer:notice'), done('resume')], taken.state);
    expect(hooks(late.effects)).toEqual(['suspend']);
  });
});

describe('a borrower that suspends', () => {
  it('waits for no end of the loan any more', () => {
    const { effects } = borrower([on('return')], isMinHold());
    for (const timer of ['notice', 'lease', 'minHold', 'confirm'])
      expect(effects).toContainEqual({ do: 'stopTimer', timer });
  });

  it('takes up no clock of a loan that it is giving back', () => {
    const suspending = borrower([on('return')], holding()).state;
    for (const told of [held(VAULT, 2), { ...held(VAULT, 2), ending: 'expiry', noticeMs: 400 }]) {
      const { state, effects } = borrower([fromHost(message('stateReported', told))], suspending);
      expect(effects).toEqual([{ do: 'stopTimer', timer: 'query' }]);
      expect(state).toBe(suspending);
    }
  });

  it('forgets minimum hold time, notice and recall with the loan', () => {
    const back = [on('return'), done('suspend')];
    const ended = borrower([recall(500), ending(400), ...back], isMinHold()).state;
    expect(ended).toMatchObject({ name: 'releasing', isMinHold: false, noticed: false });
    const waiting = borrower([recall(500), ...back], isMinHold()).state;
    expect(waiting.recalled).toBeUndefined();
  });
});

describe('a borrower that rejects', () => {
  const wrong = fromHost(remapped(VAULT, 2, { digest: WRONG_DIGEST }));

  it('R86 says so until the host has taken the bundle back, and never releases instead', () => {
    const rejected = borrower([wrong], pending());
    expect(sent(rejected.effects)).toEqual(['reject']);
    const again = borrower([on('timer:release')], rejected.state);
    expect(only(again.effects, 'reject')).toMatchObject({
      epoch: 2,
      what: only(rejected.effects, 'reject').what,
    });
    expect(again.effects).toContainEqual({ do: 'query' });
    expect(timers(again.effects)).toEqual([['release', 1_000]]);
    const asked = borrower([fromHost(held(VAULT, 2))], again.state);
    expect(sent(asked.effects)).toEqual(['reject']);
    expect(hooks(asked.effects)).toEqual([]);
    const noticed = borrower([ending(400)], asked.state);
    expect(sent(noticed.effects)).toEqual([]);
    const back = borrower([fromHost(remapped(ANDROID, 3))], noticed.state);
    expect(back.state).toMatchObject({ name: 'idle', rejected: undefined });
    expect(back.effects.some((effect) => effect.do === 'notify')).toBe(false);
  });

  it('R86 releases a later grant, whose evidence nobody looked at', () => {
    const rejected = borrower([wrong], pending()).state;
    expect(sent(borrower([fromHost(remapped(VAULT, 4))], rejected).effects)).toEqual(['release']);
  });

  it('R62 is barred also when its first word was lost', () => {
    const rejected = borrower([wrong], pending()).state;
    const said = only(borrower([on('timer:release')], rejected).effects, 'reject');
    expect(host([command(VAULT, 'reject', said)], lentByHost()).state.rejections).toEqual([
      { vm: VAULT, what: said.what },
    ]);
  });
});

describe('words that are nobody’s to say now', () => {
  it('R40 a reservation that comes while the owner decides about another request is cancelled', () => {
    const deciding = owner([fromBorrower(REQUEST)], owning()).state;
    const { state, effects } = owner([fromHost(prepared())], deciding);
    expect(state).toMatchObject({ name: 'held', asking: 1 });
    expect(only(effects, 'cancel').epoch).toBe(2);
    expect(hooks(effects)).toEqual([]);
  });

  it('R43 nobody but the owner hears of its reservation by repeating its prepare', () => {
    for (const from of [VAULT, OTHER]) {
      const { effects } = host([{ ...prepare(), from }], reserved());
      expect(sent(effects)).toEqual(['refused']);
      expect(refusalTo(from, effects)).toEqual(['busy']);
    }
    expect(host([prepare()], heldByOwner()).state.reservation).toBeDefined();
  });

  it('R83 a leaseEnding of an epoch that is over is not answered', () => {
    const old = message('leaseEnding', { epoch: 0, noticeMs: 100, cause: 'expiry' });
    expect(borrower([fromHost(old)], knowing())).toMatchObject({ state: knowing(), effects: [] });
    const now = message('leaseEnding', { epoch: 1, noticeMs: 100, cause: 'expiry' });
    expect(only(borrower([fromHost(now)], knowing()).effects, 'release')).toMatchObject({ bundle: BUNDLE });
  });
});
