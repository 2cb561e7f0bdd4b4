/** Cards, edges and texts of a picture, as SVG. Pure; every text is escaped here, and cut to its space. */

import { plainText } from '../common/plain-text.ts';

/** Height of a row, and room around the rows of a card, in pixels. */
const ROW = 17;
const PAD = 10;
/** Width of a letter relative to the font size, for the widest of the usual monospaced fonts. */
export const LETTER = 0.61;
export const FONT_SIZE = 12;

/** A row of a card. */
export interface Line {
  readonly text: string;
  readonly colour?: string;
  readonly bold?: boolean;
  /** Key by which an edge finds this row. */
  readonly key?: string;
}

/** A box with rows of text; `x` and `y` are its upper left corner, in pixels. */
export interface Card {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly stroke: string;
  readonly fill: string;
  readonly lines: readonly Line[];
}

/** Height of a card with these lines, in pixels. */
export function heightOf({ lines }: Pick<Card, 'lines'>): number {
  return lines.length * ROW + 2 * PAD - 4;
}

/** Number of letters that fit into a card. */
function lettersIn(width: number): number {
  return Math.floor((width - 2 * PAD) / (FONT_SIZE * LETTER));
}

/** Escapes text for XML. Characters that XML 1.0 does not allow become a question mark. */
export function escapeXml(text: string): string {
  const signs: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&apos;',
  };
  return plainText(text)
    .replace(/[^\x20-\x7e\u00a0-\ud7ff\ue000-\ufffd]/g, '?')
    .replace(/[&<>"']/g, (sign) => signs[sign]!);
}

/** Returns a text of at most `letters`, cut in its middle: the ends of a path are more informative. */
export function cut(text: string, letters: number): string {
  if (text.length <= letters) return text;
  const head = Math.ceil((letters - 1) / 3);
  return `${text.slice(0, head)}…${text.slice(text.length - (letters - 1 - head))}`;
}

/** Wraps a text to the width of a card, to at most `most` lines; a cut text ends in an ellipsis. */
export function wrap(text: string, width: number, most: number): readonly string[] {
  const letters = lettersIn(width);
  const lines: string[] = [];
  for (const word of text.split(' ').map((each) => cut(each, letters))) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= letters)
      lines[lines.length - 1] = `${last} ${word}`;
    else if (lines.length < most) lines.push(word);
    else {
      lines[most - 1] = `${last!.slice(0, letters - 1)}…`;
      break;
    }
  }
  return lines;
}

export function textSvg(
  x: number,
  y: number,
  text: string,
  { size = FONT_SIZE, colour = '#212121', bold = false } = {},
): string {
  const weight = bold ? ' font-weight="bold"' : '';
  const own = size === FONT_SIZE ? '' : ` font-size="${size}"`;
  return `<text x="${x}" y="${y}" fill="${colour}"${own}${weight}>${escapeXml(text)}</text>`;
}

export function cardSvg({ x, y, width, stroke, fill, lines }: Card): string {
  const letters = lettersIn(width);
  return [
    `<rect x="${x}" y="${y}" width="${width}" height="${heightOf({ lines })}" rx="5" fill="${fill}" ` +
      `stroke="${stroke}"/>`,
    ...lines.map(({ text, ...rest }, index) =>
      textSvg(x + PAD, y + PAD + 9 + index * ROW, cut(text, letters), rest),
    ),
  ].join('\n');
}

/** A curve between two points, level at both ends. */
export function edgeSvg(
  [x1, y1]: readonly [number, number],
  [x2, y2]: readonly [number, number],
  colour: string,
  dashed: boolean,
): string {
  const bend = (x1 + x2) / 2;
  const dashes = dashed ? ' stroke-dasharray="5 4"' : '';
  return [
    `<path d="M ${x1} ${y1} C ${bend} ${y1} ${bend} ${y2} ${x2} ${y2}" fill="none" ` +
      `stroke="${colour}" stroke-width="1.5"${dashes}/>`,
    `<circle cx="${x1}" cy="${y1}" r="3" fill="${colour}"/>`,
    `<circle cx="${x2}" cy="${y2}" r="3" fill="${colour}"/>`,
  ].join('\n');
}
