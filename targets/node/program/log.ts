/** Log lines on standard error, one a line: time, level, message, named values. */

import { plainText } from '../../../src/common/plain-text.ts';
import { type QuietLog, quietLog } from '../../../src/common/quiet-log.ts';
import type { Log, LogLevel } from '../../../src/ports/world.ts';
import { CLOCK } from '../system/clock.ts';

const ORDER: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];
/**
 * Longest message, and longest of the values behind it, in characters: a hook that failed has its last 2,000 in one.
 */
const MESSAGE_CHARS_MAX = 4_000;
const VALUE_CHARS_MAX = 4_000;

// Where the log cannot be written, as on a full disk, the service goes on: nobody could be told.
process.stderr.on('error', () => {});

/** Returns a log that shows `level` and worse. Nobody can end or fill its lines from outside, or flood it. */
export function stderrLog(name: string, level: LogLevel): QuietLog {
  const least = ORDER.indexOf(level);
  const log = (at: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>) => {
    if (ORDER.indexOf(at) < least) return;
    const nowMs = CLOCK.nowMs();
    process.stderr.write(`${(nowMs / 1000).toFixed(3)} ${name} ${at}: ${logText(message, fields)}\n`);
  };
  const quiet = quietLog(Object.assign(log, { level }) satisfies Log, CLOCK);
  process.on('exit', quiet.flush);
  return quiet;
}

/** Returns message and values of a line. A value that could be taken for the next one has quotes. */
export function logText(message: string, fields: Readonly<Record<string, unknown>> = {}): string {
  const named = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => {
      const isWord = typeof value === 'string' && !/[\s"=]/.test(value);
      return ` ${key}=${plainText(isWord ? value : JSON.stringify(value), VALUE_CHARS_MAX)}`;
    });
  return `${plainText(message, MESSAGE_CHARS_MAX)}${named.join('')}`;
}
