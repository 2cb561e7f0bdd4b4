/** Lines as wide as a terminal. */

import { expect, test } from 'vitest';
import { wrapLine, wrapText } from '../../src/cli/wrap.ts';

test('a line of a table goes on below its last column', () => {
  expect(wrapLine('panel  vault  2  waits for the host to say who holds it', 40)).toEqual([
    'panel  vault  2  waits for the host to',
    '                 say who holds it',
  ]);
});

test('a plain line goes on indented', () => {
  expect(wrapLine('baton: panel: no session with android: is baton-agent running there?', 40)).toEqual([
    'baton: panel: no session with android:',
    '  is baton-agent running there?',
  ]);
});

test.each([
  ['to a file or a pipe', 'x '.repeat(100).trim(), undefined],
  ['to a terminal that is narrower than any line', 'x '.repeat(100).trim(), 20],
  ['that fits', 'x '.repeat(20).trim(), 40],
  ['of one word, as a path', 'x'.repeat(100), 40],
  ['that is empty', '', 40],
])('a line %s stays as it is', (_, line, width) => {
  expect(wrapLine(line, width)).toEqual([line]);
});

test('no line is longer than the terminal, and no word is lost', () => {
  const words = Array.from({ length: 200 }, (_, index) => 'w'.repeat((index * 7) % 13 || 1));
  for (let width = 40; width < 120; width += 7) {
    const lines = wrapLine(`  --option  ${words.join(' ')}`, width);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width);
    expect(lines.join(' ').split(/\s+/).filter(Boolean)).toEqual(['--option', ...words]);
  }
});

test('a text is filled anew: paragraphs, and what stands beside an option', () => {
  const text = `baton x [options]

  --wait TIME   how long it may take until there is
                an answer
  --json        JSON lines

One paragraph of two lines, of which the second
goes on.
`;
  expect(wrapText(text, 40)).toEqual([
    'baton x [options]',
    '',
    '  --wait TIME   how long it may take',
    '                until there is an answer',
    '  --json        JSON lines',
    '',
    'One paragraph of two lines, of which the',
    '  second goes on.',
  ]);
  expect(wrapText(text, 80)).toEqual(text.trimEnd().split('\n'));
  expect(wrapText(text, undefined)).toEqual(text.trimEnd().split('\n'));
});
