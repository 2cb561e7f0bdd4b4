/**
 * Makes outside text safe for a log, a terminal, a picture or another program. Pure.
 *
 * A peer, a broker, a device tree, a file or a client controls text that people read. Characters that move the
 * cursor, end a line, change the writing direction or are invisible could mislead them. Such a character is written
 * in JSON form, \u001b, which keeps the meaning of a line of JSON.
 */

/**
 * Controls (C0, DEL, C1), formats (bidi, joiners, byte order mark), lone surrogates, line and paragraph separators,
 * default-ignorable characters, and noncharacters. General categories and properties of Unicode 15, chapter 4.
 */
const HARMFUL =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}]/gu;
/** Most marks on one letter; more would cover neighbouring lines. Vietnamese and Hebrew need three. */
const PILED_MARKS = /(?<=\p{M}{4})\p{M}+/gu;
/** Text that needs no change. */
const PLAIN = /^[\x20-\x7e]*$/;

/** Returns `text` as one safe line. If longer than `charsMax`, it is cut and ends in `…`. */
export function plainText(text: string, charsMax = Number.POSITIVE_INFINITY): string {
  const cut =
    text.length > charsMax
      ? `${text.slice(0, Math.max(0, charsMax - 1)).replace(/[\ud800-\udbff]$/, '')}…`
      : text;
  return PLAIN.test(cut) ? cut : cut.replace(HARMFUL, escaped).replace(PILED_MARKS, escaped);
}

/** Returns several lines, each made safe. For our own text around outside text. */
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
