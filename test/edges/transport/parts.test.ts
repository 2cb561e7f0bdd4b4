/** The parts of transports that only need a clock: redialling, lanes to a broker, allowances, turns. */

import { beforeEach, describe, expect, test } from 'vitest';
import { Turns } from '../../../src/common/turns.ts';
import { Allowance, DIALS, FRAMES_TO_GUESTS } from '../../../src/edges/transport/allowance.ts';
import { MqttLanes } from '../../../src/edges/transport/kinds/mqtt/mqtt-lanes.ts';
import { type DialEvents, Redial } from '../../../src/edges/transport/redial.ts';
import { VirtualClock } from '../../../targets/lab/virtual-clock.ts';
import { ANDROID, VAULT } from './party.ts';
import { memoryLog } from './worlds.ts';

/** Jitter at its least: half of each wait. */
const ENTROPY = { random: (bytes: number) => new Uint8Array(bytes) };
const FRAME = Uint8Array.of(1);

function redial() {
  const clock = new VirtualClock();
  const { lines, log } = memoryLog();
  const attempts: (DialEvents & { atMs: number; hungUp: boolean })[] = [];
  const told: string[] = [];
  const made = new Redial({ where: 'there', clock, entropy: ENTROPY, log }, (events) => {
    const attempt = { ...events, atMs: clock.nowMs(), hungUp: false };
    attempts.push(attempt);
    return () => {
      attempt.hungUp = true;
    };
  });
  made.open({ onFrame: () => {}, onUp: () => told.push('up'), onDown: (reason) => told.push(reason) });
  return { clock, lines, attempts, told, redial: made };
}

/** Fails attempt after attempt, and returns when they were made. */
function failures(world: ReturnType<typeof redial>, count: number): number[] {
  for (let failed = 0; failed < count; failed++) {
    world.attempts.at(-1)!.down('refused');
    world.clock.step();
  }
  return world.attempts.map(({ atMs }) => atMs);
}

describe('redialling', () => {
  test('waits twice as long after each failure, up to a limit', () => {
    const atMs = failures(redial(), 14);
    expect(atMs.slice(0, 8)).toEqual([0, 50, 150, 350, 750, 1_550, 3_150, 6_350]);
    expect(atMs.at(-1)! - atMs.at(-2)!).toBe(30_000);
  });

  test('a frame to send ends a long wait, at most once in two seconds', () => {
    const world = redial();
    failures(world, 10);
    world.attempts.at(-1)!.down('refused');
    const made = world.attempts.length;
    world.redial.wanted();
    expect(world.attempts.length).toBe(made + 1);
    world.redial.wanted();
    world.attempts.at(-1)!.down('refused');
    for (let frames = 0; frames < 100; frames++) world.redial.wanted();
    expect(world.attempts.length).toBe(made + 1);
    world.clock.advance(2_000);
    world.redial.wanted();
    expect(world.attempts.length).toBe(made + 2);
    world.attempts.at(-1)!.up();
    world.redial.wanted();
    expect(world.attempts.length).toBe(made + 2);
  });

  test('a frame does not shorten a short wait', () => {
    const world = redial();
    failures(world, 2);
    world.attempts.at(-1)!.down('refused');
    world.redial.wanted();
    expect(world.attempts.length).toBe(3);
  });

  test('tells the same reason once, and another one again', () => {
    const world = redial();
    failures(world, 3);
    world.attempts.at(-1)!.down('no such file');
    expect(world.told).toEqual(['refused', 'no such file']);
    expect(world.lines).toHaveLength(2);
  });

  test('starts with the shortest wait again after a way that was stable', () => {
    const world = redial();
    failures(world, 5);
    world.attempts.at(-1)!.up();
    world.clock.advance(5_000);
    const lostMs = world.clock.nowMs();
    world.attempts.at(-1)!.down('lost');
    world.clock.step();
    expect(world.attempts.at(-1)!.atMs - lostMs).toBe(50);
    expect(world.told).toEqual(['refused', 'up', 'lost']);
  });

  test('two that oust each other slow down', () => {
    const world = redial();
    for (let turn = 0; turn < 6; turn++) {
      world.attempts.at(-1)!.up();
      world.attempts.at(-1)!.down('ousted');
      world.clock.step();
    }
    expect(world.attempts.map(({ atMs }) => atMs)).toEqual([0, 50, 150, 350, 750, 1_550, 2_550]);
  });

  test('what an attempt reports after it went down counts for nothing', () => {
    const world = redial();
    const first = world.attempts[0]!;
    first.down('refused');
    first.up();
    first.down('again');
    expect(world.told).toEqual(['refused']);
    world.clock.step();
    expect([world.attempts.length, world.clock.nextMs()]).toEqual([2, undefined]);
  });

  test('closing hangs up and ends the waiting', () => {
    const up = redial();
    up.attempts[0]!.up();
    up.redial.close();
    up.attempts[0]!.down('late');
    expect([up.attempts[0]!.hungUp, up.told, up.clock.nextMs()]).toEqual([true, ['up'], undefined]);
    const waiting = redial();
    waiting.attempts[0]!.down('refused');
    waiting.redial.close();
    expect(waiting.clock.nextMs()).toBe(undefined);
  });
});

function lanes() {
  const clock = new VirtualClock();
  const published: { to: string; done: (error?: Error) => void }[] = [];
  const told: string[] = [];
  const made = new MqttLanes({
    clock,
    publish: (to, _frame, done) => published.push({ to, done }),
    onRefused: (to, error) => told.push(`${to}: ${error.message}`),
    onStuck: (reason) => told.push(reason),
  });
  return { clock, published, told, lanes: made };
}

/** Puts frames until one is refused, and returns how many were taken. */
function fill(made: MqttLanes, to: typeof ANDROID): number {
  for (let taken = 0; taken < 1_000; taken++) if (!made.put(to, FRAME)) return taken;
  return 1_000;
}

describe('lanes to a broker', () => {
  test('eight are under way and 64 wait for each receiver; what comes after is refused', () => {
    const world = lanes();
    expect([fill(world.lanes, ANDROID), fill(world.lanes, VAULT)]).toEqual([72, 72]);
    expect(world.published.map(({ to }) => to)).toEqual([...Array(8).fill(ANDROID), ...Array(8).fill(VAULT)]);
  });

  test('each acknowledgement lets the next one go', () => {
    const world = lanes();
    fill(world.lanes, ANDROID);
    world.published[3]!.done();
    world.published[5]!.done(new Error('not authorized'));
    expect(world.published).toHaveLength(10);
    expect(world.told).toEqual(['android: not authorized']);
  });

  test('a broker that acknowledges nothing is given up, and one that does is not', () => {
    const world = lanes();
    world.lanes.put(ANDROID, FRAME);
    world.clock.advance(4_000);
    world.published[0]!.done();
    world.clock.advance(60_000);
    expect(world.told).toEqual([]);
    world.lanes.put(ANDROID, FRAME);
    world.clock.advance(5_000);
    expect(world.told).toEqual(['the broker acknowledged nothing for 5000 ms']);
  });

  test('after stop nothing goes out any more', () => {
    const world = lanes();
    fill(world.lanes, ANDROID);
    world.lanes.stop();
    world.published[0]!.done();
    expect([world.published.length, world.clock.nextMs()]).toEqual([8, undefined]);
  });
});

describe('the allowance of a guest', () => {
  /** Takes `cost` until it is refused. */
  const drain = (allowance: Allowance, cost: number, nowMs: number) => {
    for (let taken = 0; taken < 10_000; taken++) if (!allowance.take(cost, nowMs)) return taken;
    return 10_000;
  };

  test('a burst fills half the queue of a receiver', () => {
    expect(drain(new Allowance(FRAMES_TO_GUESTS, 0), 4096, 0)).toBe(32);
  });

  test('time refills it, up to a burst', () => {
    const allowance = new Allowance(FRAMES_TO_GUESTS, 0);
    drain(allowance, 4096, 0);
    expect([drain(allowance, 4096, 32), drain(allowance, 4096, 60_000)]).toEqual([2, 32]);
  });

  test('a clock that steps back takes nothing away', () => {
    const allowance = new Allowance(FRAMES_TO_GUESTS, 100);
    expect(drain(allowance, 4096, 0)).toBe(32);
  });

  test('of connections is ten at once, and two a second', () => {
    const allowance = new Allowance(DIALS, 0);
    expect([drain(allowance, 1, 0), drain(allowance, 1, 1_000)]).toEqual([10, 2]);
  });
});

describe('turns', () => {
  let clock: VirtualClock;
  let done: string[];
  let room: string[];
  let turns: Turns<string>;
  beforeEach(() => {
    clock = new VirtualClock();
    done = [];
    room = [];
    turns = new Turns(clock, (from) => room.push(from), 128 * 1024);
  });
  const take = (from: string, bytes = 1_000) => turns.take(from, bytes, () => done.push(from));

  test('work is done at once where nothing waits, and a sender’s own waits for the next turn', () => {
    expect([take('a'), take('b'), take('a')]).toEqual([true, true, true]);
    expect(done).toEqual(['a', 'b']);
    clock.advance(0);
    expect(done).toEqual(['a', 'b', 'a']);
  });

  test('one piece of each sender is done in a turn, and timers come between two turns', () => {
    for (let i = 0; i < 4; i++) take('flood');
    take('quiet');
    take('other');
    clock.after(0, () => done.push('timer'));
    clock.step();
    expect(done).toEqual(['flood', 'flood', 'quiet', 'other']);
    clock.step();
    clock.step();
    expect(done.slice(4)).toEqual(['timer', 'flood']);
    clock.advance(0);
    expect(done.slice(6)).toEqual(['flood']);
    expect(clock.nextMs()).toBeUndefined();
  });

  test('a sender has room for 128 KiB, and none of another’s', () => {
    take('a');
    let taken = 0;
    while (take('a')) taken += 1;
    expect(taken).toBe(131);
    expect(take('b')).toBe(true);
    turns.stop();
    clock.advance(1_000);
    expect(done).toEqual(['a']);
    // Short pieces are work as well.
    take('c');
    taken = 0;
    while (take('c', 1)) taken += 1;
    expect(taken).toBe(512);
  });

  test('one that is busy is named when little of it waits, and one that never was is not', () => {
    for (let i = 0; i < 100; i++) take('a');
    for (let i = 0; i < 3; i++) take('b');
    expect([turns.isBusy('a'), turns.isBusy('b'), turns.isBusy('c')]).toEqual([true, false, false]);
    for (let i = 0; i < 66; i++) clock.step();
    expect(room).toEqual([]);
    clock.advance(0);
    expect(room).toEqual(['a']);
    expect(done).toHaveLength(103);
  });

  test('what a piece leads to waits as well, and an end in the middle is an end', () => {
    turns.take('a', 1, () => take('a'));
    expect(done).toEqual([]);
    turns.take('b', 1, () => turns.stop());
    take('c');
    clock.advance(0);
    expect(done).toEqual(['a']);
  });
});
