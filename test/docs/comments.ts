/** Reads the sentences that stand as doc comments above names in a source file: of timers and of states. */

import { readFileSync } from 'node:fs';

/** Returns the doc comment above each `name: value` or `'name'` of the constant `constant` in `file`. */
export function commentsOf(file: URL, constant: string): Record<string, string> {
  const source = readFileSync(file, 'utf8');
  const start = source.indexOf(`export const ${constant} =`);
  if (start < 0) throw new Error(`${file.pathname} has no ${constant}`);
  const body = source.slice(start, source.indexOf(' as const', start));
  const entries = body.matchAll(/\/\*\*\s*([\s\S]*?)\s*\*\/\s*'?([a-zA-Z]+)'?\s*[:,]/g);
  return Object.fromEntries(
    [...entries].map(([, text, name]) => [
      name!,
      text!.replace(/\s*\n\s*\*\s*/g, ' ').replace(/ \(design section [0-9.]+\)/, ''),
    ]),
  );
}
