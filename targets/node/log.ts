/** Log lines on standard error, one a line: time, level, message, named values. */

import type { Log, LogLevel } from '../../src/ports.ts';
import { CLOCK } from './clock.ts';

const ORDER: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

// Where the log cannot be written, as on a full disk, the service goes on: nobody could be told.
process.stderr.on('error', () => {});

/** Returns a log that shows `level` and worse. */
export function stderrLog(name: string, level: LogLevel): Log {
  const least = ORDER.indexOf(level);
  const log = (at: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>) => {
    if (ORDER.indexOf(at) < least) return;
    const named = Object.entries(fields ?? {})
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
      .join('');
    process.stderr.write(`${(CLOCK.nowMs() / 1000).toFixed(3)} ${name} ${at}: ${message}${named}\n`);
  };
  return Object.assign(log, { level });
}
