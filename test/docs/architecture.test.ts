/** docs/ARCHITECTURE.md quotes the source as it is, names files that exist, and has every room of the code. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const text = read('docs/ARCHITECTURE.md');

/** Lines without indentation. */
const stripped = (code: string) => code.split('\n').map((line) => line.trim());

/** Each block of TypeScript, with the file that its first line names. */
const quoted = [...text.matchAll(/```ts\n\/\/ (\S+)\n([\s\S]*?)```/g)].map(([, path, code]) => ({
  path: path!,
  pieces: code!.trim().split('\n\n'),
}));

test('every block of code names its file', () => {
  expect(quoted.length).toBeGreaterThan(0);
  expect(quoted.length).toBe(text.split('```ts\n').length - 1);
});

it.each(quoted)('each piece of code from $path stands there, line by line', ({ path, pieces }) => {
  const source = stripped(read(path)).join('\n');
  // A line of dots stands for lines that are left out.
  const parts = pieces.flatMap((piece) => stripped(piece).join('\n').split('\n// …\n'));
  expect(parts.filter((part) => !source.includes(part))).toEqual([]);
});

/** Folders in which a path that the page shortens is looked for. */
const PLACES = ['', 'src', 'test'];

test('files and folders that the page names are there', () => {
  const named = [...text.matchAll(/`((?:[\w.-]+\/)+[\w.-]*)`/g)].map(([, path]) => path!);
  const isThere = (path: string) => PLACES.some((place) => existsSync(join(ROOT, place, path)));
  expect(named.length).toBeGreaterThan(40);
  expect(named.filter((path) => !isThere(path))).toEqual([]);
});

test('the code map has every room, on its floor', () => {
  const table = text.slice(text.indexOf('## Code map'), text.indexOf('## What always holds'));
  const mapped = [...table.matchAll(/^\| (\d) +\| `([\w/]+)`/gm)].map(
    ([, floor, room]) => `${room}/ ${floor}`,
  );
  const rules = read('test/imports.test.ts').matchAll(/^ {2}(?:\[(\w+)\]|'([\w/]+)'): \{\s+floor: (\d)/gm);
  const names: Readonly<Record<string, string>> = {
    PROTOCOL: 'src/core/protocol/',
    WIRE: 'src/core/wire/',
    PORTS: 'src/ports/',
    COMMON: 'src/common/',
  };
  const rooms = [...rules].map(([, name, path, floor]) => `${path ?? names[name!]} ${floor}`);
  // The build of the agents for QuickJS stands with its room.
  const expected = rooms.filter((room) => !room.startsWith('targets/quickjs/build/'));
  expect(mapped.sort()).toEqual(expected.sort());
});
