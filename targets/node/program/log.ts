/** Writes log lines to standard error: time, level, message, named values. */

import { plainText } from '../../../src/common/plain-text.ts';
import { type QuietLog, quietLog } from '../../../src/common/quiet-log.ts';
import type { Log, LogLevel } from '../../../src/ports/world.ts';
import { CLOCK } from '../system/clock.ts';

const ORDER: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];
/** Longest message, and longest text of its values, in characters: the error of a failed hook has up to 2,000. */
const MESSAGE_CHARS_MAX = 4_000;
const VALUE_CHARS_MAX = 4_000;

// If the log cannot be written, as on a full disk, the service continues: the error could not be reported.
process.stderr.on('error', () => {});

/**
 * Returns a log of `level` and above. Lines are escaped, shortened and limited in number, since other parties influence
 * their content.
 */
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

/** Returns the text of a line: message and values. A value that could be confused with the next one is quoted. */
export function logText(message: string, fields: Readonly<Record<string, unknown>> = {}): string {
  const named = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => {
      const isWord = typeof value === 'string' && !/[\s"=]/.test(value);
      return ` ${key}=${plainText(isWord ? value : JSON.stringify(value), VALUE_CHARS_MAX)}`;
    });
  return `${plainText(message, MESSAGE_CHARS_MAX)}${named.join('')}`;
}
