/** Timers that several facts of one turn start or stop, and what counts of them. */

import { describe, expect, it } from 'vitest';
import { TimerSet } from '../../src/drivers/timer-set.ts';
import { VirtualClock } from '../../targets/lab/virtual-clock.ts';

type Change = { readonly ms: number; readonly sooner: boolean } | 'stop';
const stop: Change = 'stop';

/** A set in which each turn of changes to the timer `t` is handed to the clock. */
function made() {
  const clock = new VirtualClock();
  const fired: number[] = [];
  const timers = new TimerSet(clock, () => fired.push(clock.nowMs()));
  const turn = (...changes: readonly Change[]) => {
    for (const change of changes) {
      if (change === 'stop') timers.stop('t');
      else timers.start('t', change.ms, change.sooner);
    }
    timers.apply();
  };
  return { clock, fired, timers, turn };
}

const sooner = (ms: number): Change => ({ ms, sooner: true });
const later = (ms: number): Change => ({ ms, sooner: false });

describe('a timer of which the earlier end counts', () => {
  it.each([
    ['keeps an earlier one of the turn before', [[later(5)], [sooner(9)]], [5]],
    ['takes the place of a later one of the turn before', [[later(9)], [sooner(5)]], [5]],
    ['keeps an earlier one of the same turn', [[later(5), sooner(9)]], [5]],
    ['takes the place of a later one of the same turn', [[later(9), sooner(5)]], [5]],
    ['is started where one of the turn before was stopped in this', [[later(5)], [stop, sooner(9)]], [9]],
    [
      'is measured by the last that was started, not by that of before',
      [[later(2)], [later(9), sooner(5)]],
      [5],
    ],
  ])('%s', (_, turns, expected) => {
    const { clock, fired, turn } = made();
    for (const changes of turns) turn(...changes);
    clock.advance(20);
    expect(fired).toEqual(expected);
  });
});

describe('a timer that runs out', () => {
  it('comes after what is ready now, which may stop it or start it anew', () => {
    const { clock, fired, timers, turn } = made();
    turn(later(5));
    // An answer that has waited in a socket while the process did not run.
    clock.after(5, () => turn(stop));
    clock.advance(20);
    expect(fired).toEqual([]);
    turn(later(5));
    clock.advance(20);
    expect(fired).toHaveLength(1);
    timers.clear();
  });

  it('says how late it is', () => {
    let nowMs = 0;
    const due: (() => void)[] = [];
    const clock = {
      nowMs: () => nowMs,
      after: (_: number, fire: () => void) => {
        due.push(fire);
        return () => {};
      },
      soon: (fire: () => void) => {
        fire();
        return () => {};
      },
    };
    const late: number[] = [];
    const timers = new TimerSet(clock, (_, lateMs) => late.push(lateMs));
    timers.start('t', 10);
    timers.apply();
    nowMs = 4_010;
    due[0]!();
    expect(late).toEqual([4_000]);
  });
});
