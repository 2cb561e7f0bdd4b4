/** Patterns that are longer than a line. Pure. */

/** Returns the pattern of which the parts, one behind the other, are the source. */
export function pattern(...parts: readonly string[]): RegExp {
  return new RegExp(parts.join(''));
}
