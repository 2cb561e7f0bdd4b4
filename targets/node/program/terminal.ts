/**
 * Writes text for people. Each line is escaped (src/common/plain-text.ts), since others may have chosen its content.
 * Our own colours are marked by a random word, so that a text from outside, such as a device tree, cannot contain any.
 */

import { plainText } from '../../../src/common/plain-text.ts';
import { ENTROPY } from '../system/entropy.ts';

/** Longest line of a log or an error message, in characters. */
const LINE_CHARS_MAX = 4_000;

let mark: string | undefined;

/** Marks `text` with a colour: `code` of Select Graphic Rendition, ECMA-48 8.3.117. */
export function coloured(code: string, text: string): string {
  mark ??= `<${[...ENTROPY.random(16)].join('.')}:`;
  return `${mark}${code}>${text}${mark}0>`;
}

/** Returns a line that is safe for a terminal. */
export function terminalLine(line: string): string {
  if (mark === undefined) return plainText(line);
  const [first = '', ...parts] = line.split(mark);
  // Each part begins with its code.
  return (
    plainText(first) +
    parts
      .map((part) => `\u001b[${part.replace('>', 'm')}`)
      .map(plainColour)
      .join('')
  );
}

function plainColour(part: string): string {
  const end = part.indexOf('m') + 1;
  return part.slice(0, end) + plainText(part.slice(end));
}

/** Writes lines to standard error. */
export function writeErrors(...lines: readonly string[]): void {
  process.stderr.write(lines.map((line) => `${plainText(line, LINE_CHARS_MAX)}\n`).join(''));
}

/** Writes lines to standard output, as the answer of a program. */
export function writeLines(...lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${plainText(line, LINE_CHARS_MAX)}\n`).join(''));
}
