/**
 * Text from outside, as it may leave a process: to a log, a terminal, a picture, another program. Pure.
 *
 * A peer, a broker, a device tree, a file or a requester chooses words that people read. A sign that moves the
 * cursor, ends a line, turns the direction of writing or cannot be seen would have them read something else. Such a
 * sign is written as JSON writes it, \u001b: so a line of JSON means the same as before.
 */

/**
 * Controls (C0, DEL, C1), formats (bidi, joiners, byte order mark), lone surrogates, separators of lines and
 * paragraphs, what fonts leave out, and what is no character. The general categories and properties are those of
 * Unicode 15, chapter 4.
 */
const HARMFUL =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}]/gu;
/** Marks of one letter; more are piled up over the lines around. Vietnamese and Hebrew need three. */
const PILED_MARKS = /(?<=\p{M}{4})\p{M}+/gu;
/** Nothing of it needs a look. */
const PLAIN = /^[\x20-\x7e]*$/;

/** Returns `text` as one harmless line. Longer than `charsMax` it is cut, and ends in `…`. */
export function plainText(text: string, charsMax = Number.POSITIVE_INFINITY): string {
  const cut =
    text.length > charsMax
      ? `${text.slice(0, Math.max(0, charsMax - 1)).replace(/[\ud800-\udbff]$/, '')}…`
      : text;
  return PLAIN.test(cut) ? cut : cut.replace(HARMFUL, escaped).replace(PILED_MARKS, escaped);
}

/** The same of several lines: each is made harmless by itself. For text of our own around text from outside. */
export function plainLines(text: string): string {
  return text
    .split('\n')
    .map((line) => plainText(line))
    .join('\n');
}

function escaped(signs: string): string {
  let text = '';
  for (let i = 0; i < signs.length; i++) text += `\\u${signs.charCodeAt(i).toString(16).padStart(4, '0')}`;
  return text;
}
