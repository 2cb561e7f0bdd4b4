/** Wall-clock times in the time zone of this machine: as people write them, and as they read them. */

import { TIME_WORDS, timeOf } from '../../../src/cli/world.ts';

/** The forms of a time, for messages and help. */
export const MOMENT_WORDS =
  `a time of day, as 14:30 or 14:30:05; a day, as 2026-11-30 or yesterday, with a time of day or without; ` +
  `or a time ago, in ${TIME_WORDS}`;

const DAY = /^(?:(today|yesterday)|(\d{4})-(\d{2})-(\d{2}))$/;
const CLOCK = /^(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3}))?)?$/;

/** Year, month from 0, day of the month. */
type Day = readonly [year: number, month: number, day: number];
/** Hours, minutes, seconds, milliseconds. */
type TimeOfDay = readonly [number, number, number, number];
const MIDNIGHT: TimeOfDay = [0, 0, 0, 0];

/**
 * Returns a time in ms since 1970; undefined when `text` is none. A time of day alone is the last one before `nowMs`,
 * or, with `afterMs`, the first one at or after that.
 */
export function momentOf(text: string, nowMs: number, afterMs?: number): number | undefined {
  const ago = timeOf(text);
  if (ago !== undefined) return nowMs - ago;
  const [first = '', second, ...more] = text.split(/[ T]/);
  if (more.length > 0) return undefined;
  const day = dayOf(first, nowMs);
  const clock = clockOf(second ?? first);
  if (day) return second !== undefined && !clock ? undefined : at(day, clock ?? MIDNIGHT);
  if (!clock || second !== undefined) return undefined;
  // By days of the calendar: a day on which clocks change has 23 or 25 hours.
  if (afterMs === undefined) return nearest(nowMs, clock, [0, -1], (ms) => ms <= nowMs);
  return nearest(afterMs, clock, [0, 1], (ms) => ms >= afterMs);
}

function nearest(
  nearMs: number,
  clock: TimeOfDay,
  days: readonly number[],
  fits: (ms: number) => boolean,
): number | undefined {
  return days.map((days) => at(dateOf(nearMs, days), clock)).find(fits);
}

function dayOf(text: string, nowMs: number): Day | undefined {
  const [, word, year, month, day] = DAY.exec(text) ?? [];
  if (word !== undefined) return dateOf(nowMs, word === 'today' ? 0 : -1);
  if (year === undefined) return undefined;
  const given: Day = [Number(year), Number(month) - 1, Number(day)];
  const date = new Date(...given);
  return date.getMonth() === given[1] && date.getDate() === given[2] ? given : undefined;
}

function clockOf(text: string): TimeOfDay | undefined {
  const [, hours, minutes, seconds = '0', fraction = '0'] = CLOCK.exec(text) ?? [];
  if (hours === undefined || Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) > 59)
    return undefined;
  return [Number(hours), Number(minutes), Number(seconds), Number(fraction.padEnd(3, '0'))];
}

function dateOf(ms: number, days: number): Day {
  const date = new Date(ms);
  return [date.getFullYear(), date.getMonth(), date.getDate() + days];
}

function at(day: Day, clock: TimeOfDay): number {
  return new Date(...day, ...clock).getTime();
}

/** Returns the day, as `2026-11-30`. */
export function dayText(time: Date): string {
  return [time.getFullYear(), time.getMonth() + 1, time.getDate()].map(twoDigits).join('-');
}

/** Returns the time of day, as `14:03:07.123`. */
export function clockText(time: Date): string {
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(twoDigits).join(':');
  return `${clock}.${String(time.getMilliseconds()).padStart(3, '0')}`;
}

function twoDigits(part: number): string {
  return String(part).padStart(2, '0');
}
