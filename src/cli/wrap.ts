/** Wraps lines to the width of a terminal. Pure. */

/** Below this width the terminal wraps lines itself. */
const WIDTH_MIN = 40;
/** Largest indent as a part of the width. */
const HANG_MAX = 0.6;

/** Wraps a line at spaces. Continuations are aligned with the last column of a table, or indented. */
export function wrapLine(line: string, width: number | undefined): string[] {
  if (width === undefined || width < WIDTH_MIN || line.length <= width) return [line];
  const [, column = ''] = /^(.*\s{2})\S/.exec(line) ?? [];
  const own = line.length - line.trimStart().length;
  const hang = column !== '' && column.length <= width * HANG_MAX ? column.length : own + 2;
  const lines: string[] = [];
  let rest = line;
  while (rest.length > width) {
    const start =
      lines.length === 0 ? Math.max(own, column.length <= width * HANG_MAX ? column.length : 0) : hang;
    const at = rest.lastIndexOf(' ', width);
    // A word longer than the line stays whole: it may be a path to be copied.
    const end = at > start ? at : rest.indexOf(' ', Math.max(width, start));
    if (end < 0) break;
    lines.push(rest.slice(0, end).trimEnd());
    rest = ' '.repeat(hang) + rest.slice(end).trimStart();
  }
  return rest.trim() === '' ? lines : [...lines, rest];
}

/**
 * Wraps a text of paragraphs and tables: a line that is too wide is refilled together with its continuation lines.
 */
export function wrapText(text: string, width: number | undefined): string[] {
  const lines = text.trimEnd().split('\n');
  if (width === undefined || width < WIDTH_MIN || lines.every((line) => line.length <= width)) return lines;
  const joined: string[] = [];
  for (const line of lines) {
    const before = joined.at(-1);
    if (before !== undefined && goesOn(before, line)) joined[joined.length - 1] = `${before} ${line.trim()}`;
    else joined.push(line);
  }
  return joined.flatMap((line) => wrapLine(line, width));
}

/** Returns whether `line` continues `before`: the same paragraph, or the text beside an option. */
function goesOn(before: string, line: string): boolean {
  if (line.trim() === '' || before.trim() === '') return false;
  const indent = line.length - line.trimStart().length;
  if (indent === 0) return !before.startsWith(' ');
  const [, column = ''] = /^(\s+\S.*?\s{2,})\S/.exec(before) ?? [];
  return indent === column.length;
}
