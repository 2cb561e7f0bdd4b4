/** Lines as wide as a terminal. Pure. */

/** A terminal that is narrower breaks lines itself. */
const WIDTH_MIN = 40;
/** Part of the width beyond which what follows is not aligned any more. */
const HANG_MAX = 0.6;

/** Breaks a line at spaces. What follows is aligned with the last column of a table, or indented. */
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
    // A word that is longer than the line stays whole: it may be a path to be copied.
    const end = at > start ? at : rest.indexOf(' ', Math.max(width, start));
    if (end < 0) break;
    lines.push(rest.slice(0, end).trimEnd());
    rest = ' '.repeat(hang) + rest.slice(end).trimStart();
  }
  return rest.trim() === '' ? lines : [...lines, rest];
}

/**
 * The same of a text in paragraphs and tables: where a line is too wide, the lines that go on with it are filled
 * anew.
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

/** Whether `line` is the rest of `before`: of a paragraph, or of the text beside an option. */
function goesOn(before: string, line: string): boolean {
  if (line.trim() === '' || before.trim() === '') return false;
  const indent = line.length - line.trimStart().length;
  if (indent === 0) return !before.startsWith(' ');
  const [, column = ''] = /^(\s+\S.*?\s{2,})\S/.exec(before) ?? [];
  return indent === column.length;
}
