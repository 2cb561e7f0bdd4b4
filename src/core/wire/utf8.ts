/**
 * UTF-8 (RFC 3629) without TextEncoder and TextDecoder, which QuickJS lacks. Pure.
 *
 * Both engines must see the same characters, so ill-formed sequences and a leading byte order mark are refused (the
 * TextDecoder of Node drops the mark silently, QuickJS keeps it).
 */

const BYTE_ORDER_MARK = 0xfeff;
const HIGH_SURROGATE_FIRST = 0xd800;
const LOW_SURROGATE_FIRST = 0xdc00;
const SURROGATE_LAST = 0xdfff;
const CODE_POINT_MAX = 0x10ffff;

/** Returns the length of `text` in UTF-8 bytes, or -1 if it may not be sent: a lone surrogate, a leading mark. */
export function utf8Length(text: string): number {
  if (text.charCodeAt(0) === BYTE_ORDER_MARK) return -1;
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    bytes += unit < 0x800 ? 1 : 2;
    if (unit < HIGH_SURROGATE_FIRST || unit > SURROGATE_LAST) continue;
    const next = text.charCodeAt(index + 1);
    if (unit >= LOW_SURROGATE_FIRST || !(next >= LOW_SURROGATE_FIRST && next <= SURROGATE_LAST)) return -1;
    // Two units, four bytes: each unit counts one already, and two were just added.
    index++;
  }
  return bytes;
}

/**
 * Returns the longest prefix of `text` that may be sent and has at most `bytesMax` bytes. Ill-formed characters
 * become `?`.
 */
export function clipText(text: string, bytesMax: number): string {
  let bytes = 0;
  let clipped = '';
  for (const character of text) {
    const isFirstMark = clipped === '' && character.charCodeAt(0) === BYTE_ORDER_MARK;
    const safe = isFirstMark || utf8Length(`.${character}`) < 0 ? '?' : character;
    bytes += utf8Length(`.${safe}`) - 1;
    if (bytes > bytesMax) break;
    clipped += safe;
  }
  return clipped;
}

/** Returns whether `bytes[start, end)` is well-formed UTF-8 (RFC 3629 section 4) without a leading mark. */
export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end) {
    const lead = bytes[at]!;
    if (lead < 0x80) {
      at++;
      continue;
    }
    const length = sequenceLength(lead);
    if (length === 0 || at + length > end) return false;
    let codePoint = lead & (0x7f >> length);
    for (let next = at + 1; next < at + length; next++) {
      const byte = bytes[next]!;
      if ((byte & 0xc0) !== 0x80) return false;
      codePoint = (codePoint << 6) | (byte & 0x3f);
    }
    if (!isShortest(codePoint, length) || isSurrogate(codePoint) || codePoint > CODE_POINT_MAX) return false;
    if (codePoint === BYTE_ORDER_MARK && at === start) return false;
    at += length;
  }
  return true;
}

function sequenceLength(lead: number): number {
  if (lead >= 0xc2 && lead < 0xe0) return 2;
  if (lead >= 0xe0 && lead < 0xf0) return 3;
  return lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
}

function isShortest(codePoint: number, length: number): boolean {
  return codePoint >= (length === 2 ? 0x80 : length === 3 ? 0x800 : 0x10000);
}

function isSurrogate(codePoint: number): boolean {
  return codePoint >= HIGH_SURROGATE_FIRST && codePoint <= SURROGATE_LAST;
}
