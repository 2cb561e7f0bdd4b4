/**
 * What this process writes for people: each line is harmless (src/common/plain-text.ts), whoever chose its words.
 * Colours of our own are marked by a word that nobody outside knows, so that a device tree cannot bring its own.
 */

import { plainText } from '../../../src/common/plain-text.ts';
import { ENTROPY } from '../system/entropy.ts';

/** Longest line of a log or a message of an error, in characters: what a person reads of one. */
const LINE_CHARS_MAX = 4_000;

let mark: string | undefined;

/** Marks `text` to have a colour: `code` of Select Graphic Rendition, ECMA-48 8.3.117. */
export function coloured(code: string, text: string): string {
  mark ??= `<${[...ENTROPY.random(16)].join('.')}:`;
  return `${mark}${code}>${text}${mark}0>`;
}

/** Returns a line as a terminal may be sent it. */
export function terminalLine(line: string): string {
  if (mark === undefined) return plainText(line);
  const [first = '', ...parts] = line.split(mark);
  // Of each part the code comes first.
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

/** Writes lines to standard error, each by itself. */
export function writeErrors(...lines: readonly string[]): void {
  process.stderr.write(lines.map((line) => `${plainText(line, LINE_CHARS_MAX)}\n`).join(''));
}

/** The same to standard output, of a program whose answer they are. */
export function writeLines(...lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${plainText(line, LINE_CHARS_MAX)}\n`).join(''));
}
