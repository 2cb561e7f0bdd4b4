/** A log that nobody outside fills: the first of a kind, every change, and a number for the rest. */

import { describe, expect, it, test } from 'vitest';
import { quietLog } from '../../src/common/quiet-log.ts';
import type { LogLevel } from '../../src/ports/world.ts';
import { VirtualClock } from '../../targets/lab/virtual-clock.ts';

function rig() {
  const clock = new VirtualClock();
  const lines: { level: LogLevel; message: string; fields: Record<string, unknown> }[] = [];
  const log = quietLog((level, message, fields = {}) => lines.push({ level, message, fields }), clock);
  return { clock, lines, log, told: () => lines.map(({ message }) => message) };
}

describe('a flood', () => {
  it('of 900 lines alike is ten, and one that says how many', () => {
    const { clock, lines, log } = rig();
    for (let i = 0; i < 900; i++)
      log('error', `no common protocol version: ${i}`.replace(/\d+$/, 'x'), { peer: 'vault', dropped: i });
    expect(lines).toHaveLength(10);
    clock.advance(10_000);
    expect(lines).toHaveLength(11);
    expect(lines.at(-1)).toMatchObject({
      level: 'error',
      fields: { peer: 'vault', times: 890, dropped: 899 },
    });
  });

  it('that goes on for a day is a line a minute, and misses none in its numbers', () => {
    const { clock, lines, log } = rig();
    const hours = 24;
    for (let i = 0; i < hours * 3_600; i++) {
      log('info', 'session up', { peer: 'vault' });
      clock.advance(1_000);
    }
    clock.advance(60_000);
    expect(lines.length).toBeLessThan(hours * 60 + 20);
    expect(lines.reduce((sum, { fields }) => sum + Number(fields['times'] ?? 1), 0)).toBe(hours * 3_600);
  });

  it('of lines that all differ is as bounded, and numbered', () => {
    const { clock, lines, log } = rig();
    for (let i = 0; i < 5_000; i++)
      log('warn', `frame dropped: it is from ${'abc'.repeat(i % 50)}${i}`, { vm: 'vault' });
    clock.advance(10_000);
    expect(lines.length).toBeLessThan(25);
    expect(lines.at(-1)!.message).toMatch(/^\d+ more lines of this kind are left out$/);
  });

  it('of one party hides nothing of another, nor of another kind', () => {
    const { log, told } = rig();
    for (let i = 0; i < 900; i++) log('warn', 'frame dropped: replayed', { from: 'vault' });
    log('warn', 'frame dropped: replayed', { from: 'lidar' });
    log('error', 'bundle definitions differ', { peer: 'vault', bundle: 'panel' });
    log('info', 'session up', { peer: 'vault' });
    expect(told().slice(-3)).toEqual(['frame dropped: replayed', 'bundle definitions differ', 'session up']);
  });

  it('does not hide a change, not even within its kind', () => {
    const { log, told } = rig();
    for (let i = 0; i < 900; i++) log('warn', 'frame dropped: replayed', { from: 'vault' });
    log('warn', 'frame dropped: unverified', { from: 'vault' });
    expect(told().at(-1)).toBe('frame dropped: unverified');
  });

  it('of changes still has the last one a little later', () => {
    const { clock, log, told } = rig();
    for (let i = 0; i < 900; i++) log('warn', `not connected: ${i % 40}${'x'.repeat(i % 40)}`, {});
    for (let i = 0; i < 900; i++) log('warn', 'not connected: refused', {});
    clock.advance(10_000);
    expect(told()).toContain('not connected: refused');
  });

  it('from more parties than it can tell apart is bounded as well', () => {
    const { clock, lines, log } = rig();
    for (let i = 0; i < 100_000; i++) log('warn', 'frame dropped: unknown', { vm: `vm${i}` });
    const written = lines.length;
    clock.advance(60_000);
    expect(written).toBeLessThan(300);
    expect(lines.length).toBeLessThan(400);
    // And from lines that begin in more ways than ours do.
    for (let i = 0; i < 100_000; i++)
      log('warn', `${String.fromCharCode(97 + (i % 26))}${'z'.repeat(i % 50)}: x`, { vm: `w${i}` });
    expect(lines.length).toBeLessThan(1_000);
  });
});

describe('what comes at a quiet pace', () => {
  it('is written as it comes, with nothing added', () => {
    const { clock, lines, log } = rig();
    for (let i = 0; i < 100; i++) {
      log('info', 'held: borrow', { bundle: 'panel', epoch: i });
      clock.advance(10_000);
    }
    expect(lines.map(({ fields }) => fields)).toEqual(
      Array.from({ length: 100 }, (_, epoch) => ({ bundle: 'panel', epoch })),
    );
  });

  it('sets no timer', () => {
    const { clock, log } = rig();
    for (let i = 0; i < 10; i++) log('info', 'session up', { peer: 'vault' });
    expect(clock.nextMs()).toBeUndefined();
  });

  it('is quiet once, however often it is asked to be', () => {
    const { clock, log } = rig();
    expect(quietLog(log, clock)).toBe(log);
  });

  it('of the level debug passes, for who wants it all', () => {
    const { lines, log } = rig();
    for (let i = 0; i < 500; i++) log('debug', 'idle → asking', {});
    expect(lines).toHaveLength(500);
  });

  it('and what waits is written at the end', () => {
    const { lines, log } = rig();
    for (let i = 0; i < 30; i++) log('info', 'session up', { peer: 'vault' });
    log.flush();
    expect(lines.at(-1)!.fields).toEqual({ peer: 'vault', times: 20 });
  });
});

test('what is limited otherwise passes beside it, each line as it comes', () => {
  const clock = new VirtualClock();
  const lines: unknown[] = [];
  const quiet = quietLog((_level, text, fields) => void lines.push([text, fields?.['epoch']]), clock);
  for (let epoch = 0; epoch < 100; epoch++) quiet.each!('info', 'held: lend', { bundle: 'panel', epoch });
  expect(lines).toEqual(Array.from({ length: 100 }, (_, epoch) => ['held: lend', epoch]));
});
