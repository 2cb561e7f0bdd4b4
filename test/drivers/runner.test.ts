/** Timers of the runner: those that several inputs of one turn start or stop, and what counts of them. */

import { describe, expect, it } from 'vitest';
import type { Table } from '../../src/core/protocol/table.ts';
import { Runner } from '../../src/drivers/runner.ts';
import { VirtualClock } from '../../targets/lab/virtual-clock.ts';

type Effect =
  | { do: 'timer'; timer: string; ms: number; sooner?: true }
  | { do: 'stopTimer'; timer: string }
  | { do: 'feed' };
interface Input {
  on: string;
  effects?: readonly Effect[];
}

/** A runner whose inputs bring their own effects; `feed` feeds the next of `queue` while the step is under way. */
function made(queue: Input[] = []) {
  const clock = new VirtualClock();
  const fired: number[] = [];
  const run = (state: { name: string }, { on, effects = [] }: Input) => {
    if (on.startsWith('timer:')) fired.push(clock.nowMs());
    return { state, effects, row: on };
  };
  const table = { title: 'test', run } as unknown as Table<{ name: string }, Input, undefined, Effect>;
  const runner: Runner<{ name: string }, Input, undefined, Effect> = new Runner(
    table,
    { name: 'only' },
    undefined,
    clock,
    { perform: () => runner.feed(queue.shift()!) },
  );
  const feed = (...effects: Effect[]) => runner.feed({ on: 'go', effects });
  return { clock, fired, feed };
}

const sooner = (ms: number): Effect => ({ do: 'timer', timer: 't', ms, sooner: true });
const later = (ms: number): Effect => ({ do: 'timer', timer: 't', ms });
const stop: Effect = { do: 'stopTimer', timer: 't' };

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
    const { clock, fired, feed } = made();
    for (const effects of turns) feed(...effects);
    clock.advance(20);
    expect(fired).toEqual(expected);
  });

  it('sees what an earlier input of the same turn did', () => {
    const { clock, fired, feed } = made([{ on: 'next', effects: [sooner(9)] }]);
    feed({ do: 'feed' }, later(5));
    clock.advance(20);
    expect(fired).toEqual([5]);
  });
});
