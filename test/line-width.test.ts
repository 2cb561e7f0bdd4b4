/** No line is wider than an editor beside a terminal shows: in sources, scripts, units and pages alike. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const COLUMNS = 120;
/** Data that programs or others wrote; and JSON, of which no string can go on in another line. */
const DATA =
  /^test\/(fixtures|vectors|scenarios\/.*\.txt$|quickjs\/transcripts|model\/reached)|\.(json|snap)$/;

/** Files below a folder, by their paths from the root. */
function below(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? below(path) : [path];
  });
}

/** Numbers of the lines that are too wide, from 1 on. */
function wide(path: string, text: string): number[] {
  let block: string | undefined;
  return text.split('\n').flatMap((line, index) => {
    const fence = path.endsWith('.md') ? /^\s*```(\w*)/.exec(line) : null;
    if (fence) block = block === undefined ? fence[1] : undefined;
    const width = [...line].length;
    // A row of a table is one line; what a block shows is as a program writes it, unless it is a command.
    const isGiven = path.endsWith('.md') && (line.startsWith('|') || (block !== undefined && block !== 'sh'));
    return width > COLUMNS && !isGiven && line.trim().includes(' ') ? [index + 1] : [];
  });
}

it(`no line has more than ${COLUMNS} columns`, () => {
  const own = readdirSync(ROOT, { withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = [...own.map(({ name }) => name), ...['.ci', 'docs', 'src', 'targets', 'test'].flatMap(below)];
  const places = paths
    .filter((path) => !DATA.test(path))
    .flatMap((path) => {
      const text = readFileSync(join(ROOT, path), 'utf8');
      return text.includes('\0') ? [] : wide(path, text).map((line) => `${path}:${line}`);
    });
  expect(paths.length).toBeGreaterThan(600);
  expect(places).toEqual([]);
});

it('of a page prose and commands are looked at, not tables and what programs write', () => {
  const long = 'word '.repeat(30);
  const page = [long, `| ${long}`, '```json', long, '```', '```sh', long, '```', '```', long, '```', long];
  expect(wide('a.md', page.join('\n'))).toEqual([1, 7, 12]);
  expect(wide('a.ts', page.join('\n'))).toEqual([1, 2, 4, 7, 10, 12]);
  expect(wide('a.ts', 'x'.repeat(200))).toEqual([]);
  expect(wide('a.sh', `# ${'…'.repeat(118)}`)).toEqual([]);
  expect(wide('a.sh', `# ${'…'.repeat(119)}`)).toEqual([1]);
});
