/**
 * Patterns for names below /sys, and which of these names the kernel numbers anew with each boot, bind or plug. Pure.
 *
 * In a pattern `*` stands for any text; in a path it ends at `/`. Nothing else is special.
 */

/** Whether a text is a pattern. */
export function isPattern(text: string): boolean {
  return text.includes('*');
}

/** Whether `text` fits `pattern`. Takes at most the product of both lengths, whatever they contain. */
export function fitsPattern(pattern: string, text: string): boolean {
  let at = 0;
  let star = -1;
  let starAt = 0;
  for (let i = 0; i < text.length; ) {
    if (pattern[at] === '*') {
      star = at++;
      starAt = i;
    } else if (at < pattern.length && pattern[at] === text[i]) {
      at += 1;
      i += 1;
    } else if (star >= 0) {
      // The last star takes one character more.
      at = star + 1;
      starAt += 1;
      i = starAt;
    } else return false;
  }
  while (pattern[at] === '*') at += 1;
  return at === pattern.length;
}

/** Names that the kernel numbers in the order of registration, wherever they stand in a path. */
const NUMBERED = [
  // A HID device: bus, vendor, product, and a count of all that were ever bound.
  /^[0-9A-F]{4}:[0-9A-F]{4}:[0-9A-F]{4}\.[0-9A-F]{4}$/i,
  /\.\d+\.auto$/,
  /^(input|event|mouse|hidraw|virtio|fb|card|renderD|hwmon|serio|iio:device)\d+($|[-:])/,
];

/** Returns the part of a path whose number changes; undefined when none does, or a pattern leaves it open. */
export function numberedPart(path: string): string | undefined {
  const parts = path.split('/');
  const found = parts.find((part) => NUMBERED.some((form) => form.test(part)));
  if (found !== undefined) return found;
  // What ends in a number right below a class: backlight0, video1, rtc2.
  const [, , top, , name = ''] = parts;
  return top === 'class' && /\d$/.test(name) && !isPattern(name) ? name : undefined;
}

/** Returns a numbered name as a pattern that fits all its numbers. */
export function unnumbered(part: string): string {
  if (/^[0-9A-F]{4}:/i.test(part)) return part.replace(/\.[0-9A-F]{4}$/i, '.*');
  return part.replace(/\d+(?=\.auto$|$|[-:])/, '*');
}
