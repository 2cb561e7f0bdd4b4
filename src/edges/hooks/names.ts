/**
 * Patterns for names below /sys, and detection of names that the kernel renumbers at each boot, bind or plug. Pure.
 *
 * In a pattern `*` matches any text; in a path it stops at `/`. No other character is special.
 */

/** Returns whether a text is a pattern. */
export function isPattern(text: string): boolean {
  return text.includes('*');
}

/** Returns whether `text` matches `pattern`, in time bounded by the product of both lengths. */
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
      // The last star matches one more character.
      at = star + 1;
      starAt += 1;
      i = starAt;
    } else return false;
  }
  while (pattern[at] === '*') at += 1;
  return at === pattern.length;
}

/** Names that the kernel numbers in the order of registration, anywhere in a path. */
const NUMBERED = [
  // A HID device: bus, vendor, product, and a running count.
  /^[0-9A-F]{4}:[0-9A-F]{4}:[0-9A-F]{4}\.[0-9A-F]{4}$/i,
  /\.\d+\.auto$/,
  /^(input|event|mouse|hidraw|virtio|fb|card|renderD|hwmon|serio|iio:device)\d+($|[-:])/,
];

/** Returns the part of a path whose number changes; undefined when none does, or a pattern covers it. */
export function numberedPart(path: string): string | undefined {
  const parts = path.split('/');
  const found = parts.find((part) => NUMBERED.some((form) => form.test(part)));
  if (found !== undefined) return found;
  // A name ending in a number directly below a class: backlight0, video1, rtc2.
  const [, , top, , name = ''] = parts;
  return top === 'class' && /\d$/.test(name) && !isPattern(name) ? name : undefined;
}

/** Returns a numbered name as a pattern that matches any number. */
export function unnumbered(part: string): string {
  if (/^[0-9A-F]{4}:/i.test(part)) return part.replace(/\.[0-9A-F]{4}$/i, '.*');
  return part.replace(/\d+(?=\.auto$|$|[-:])/, '*');
}
