/** Turns of senders: one piece of each in a turn, and a bounded room for what waits. */

import { describe, expect, it } from 'vitest';
import { ROOM_HELD_UP_BYTES, Turns } from '../../src/common/turns.ts';
import { VirtualClock } from '../../targets/lab/virtual-clock.ts';

const ROOM_BYTES = 64 * 1024;

function testbed(roomBytes?: number) {
  const clock = new VirtualClock();
  const done: string[] = [];
  const rooms: string[] = [];
  const turns = new Turns<string>(clock, (from) => rooms.push(from), roomBytes);
  const take = (from: string, bytes = 1_000, name = from) => turns.take(from, bytes, () => done.push(name));
  return { clock, turns, done, rooms, take };
}

describe('turns', () => {
  it('are at once where nothing waits, and then one piece of each', () => {
    const { clock, done, take } = testbed();
    for (let n = 0; n < 3; n++) take('a', 1_000, `a${n}`);
    take('b');
    expect(done).toEqual(['a0']);
    clock.step();
    expect(done).toEqual(['a0', 'a1', 'b']);
    clock.step();
    expect(done).toEqual(['a0', 'a1', 'b', 'a2']);
  });

  it('end with stop', () => {
    const { clock, turns, done, take } = testbed();
    take('a');
    take('a');
    turns.stop();
    clock.advance(10);
    expect(done).toEqual(['a']);
  });
});

describe('room', () => {
  it('of a sender is bounded, and no other’s', () => {
    const { clock, done, take } = testbed();
    take('a');
    let kept = 0;
    while (take('a') && kept < 1_000) kept++;
    expect(kept).toBe(Math.floor(ROOM_BYTES / 1_000));
    expect(take('b')).toBe(true);
    clock.advance(10);
    expect(done).toHaveLength(kept + 2);
    expect(take('a')).toBe(true);
  });

  it('counts short pieces for what is kept around them', () => {
    const { take } = testbed();
    take('a', 1);
    let kept = 0;
    while (take('a', 1) && kept < 10_000) kept++;
    expect(kept).toBe(ROOM_BYTES / 256);
  });

  it('is told of when a sender that was held up may go on', () => {
    const { clock, turns, rooms, take } = testbed(ROOM_HELD_UP_BYTES);
    take('a');
    expect(turns.isBusy('a')).toBe(false);
    for (let n = 0; n < 100; n++) take('a');
    expect(turns.isBusy('a')).toBe(true);
    for (let left = 100; left > 33; left--) clock.step();
    expect(rooms).toEqual([]);
    clock.advance(10);
    expect(rooms).toEqual(['a']);
  });
});
