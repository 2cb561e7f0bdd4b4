/** Words of a command line: times, options, where another command begins, and names that are nearly right. */

import { expect, test } from 'vitest';
import { parseWords } from '../../src/cli/arguments.ts';
import { ownWordsOfBorrow } from '../../src/cli/verbs/borrow.ts';
import { parseDuration } from '../../src/cli/world.ts';
import { nearest } from '../../src/common/near.ts';

test.each([
  ['0', 0],
  ['90', 90_000],
  ['1.5', 1_500],
  ['500ms', 500],
  ['30s', 30_000],
  ['0.5s', 500],
  ['2m', 120_000],
  ['1m30s', 90_000],
  ['1m500ms', 60_500],
  ['1h', 3_600_000],
  ['1h2m3s4ms', 3_723_004],
  ['1.5m', 90_000],
  ['0.3ms', 0],
])('the time %s is %i ms', (text, ms) => {
  expect(parseDuration(text, '--lease')).toBe(ms);
});

test.each([
  '',
  ' ',
  'long',
  '-1',
  '+1',
  '1e3',
  '0x10',
  '30 s',
  '30S',
  '1s1m',
  '1m1m',
  '5x',
  's',
  '1.s',
  '.5',
  '50d',
  '1193h3m',
  'Infinity',
  '\u0663s',
])('the time %j is refused with what was expected', (text) => {
  expect(() => parseDuration(text, '--lease')).toThrow(
    `--lease ${JSON.stringify(text)}: expected a time in seconds, as 90, or with units: 500ms, 30s, ` +
      '2m, 1m30s, 1h; at most 49 days',
  );
});

const TABLE = { '--wait': 'value', '--no-wait': 'flag', '--purpose': 'list', '--back': 'time' } as const;

test.each([
  ['--wait=5s', '5s'],
  ['-w5s', '5s'],
])('a value is written with its option: %s', (word, value) => {
  expect(parseWords([word], TABLE).values.get('--wait')).toBe(value);
});

test.each([
  [['--no-wait=1'], '--no-wait takes no value'],
  [['-n1'], '-n takes no value'],
  [['--wait'], '--wait needs a value'],
  [['--wiat', '5s'], 'unknown option --wiat; did you mean --wait?'],
  [['--no-wat'], 'unknown option --no-wat; did you mean --no-wait?'],
  [['--constructor'], 'unknown option --constructor'],
  [['-f'], 'unknown option -f'],
])('%j is refused: %s', (args, message) => {
  expect(() => parseWords(args, TABLE)).toThrow(message);
});

test('a time may be left out where the next word is none', () => {
  const { flags, values, plain } = parseWords(['--back', 'panel'], TABLE);
  expect([flags.has('--back'), values.has('--back'), plain]).toEqual([true, false, ['panel']]);
  expect(parseWords(['panel', '--back', '3s'], TABLE).values.get('--back')).toBe('3s');
  expect(parseWords(['panel', '--back=x'], TABLE).values.get('--back')).toBe('x');
});

test.each([
  [
    ['panel', '-n', './pin', '--x', '--', 'y'],
    ['./pin', '--x', '--', 'y'],
  ],
  [
    ['panel', '--', './pin', '--x'],
    ['./pin', '--x'],
  ],
  [
    ['-w', '3', 'panel', 'sh', '-c', 'true'],
    ['sh', '-c', 'true'],
  ],
  [['panel', '--'], []],
  [['panel'], undefined],
])('of borrow %j the command is %j', (args, command) => {
  expect(parseWords(args, TABLE, 1).rest).toEqual(command);
});

test('options behind the command are the command’s own', () => {
  expect(ownWordsOfBorrow(['panel', '-n', './pin', '--help', '--socket', 'x'])).toEqual(['panel', '-n']);
  expect(ownWordsOfBorrow(['panel', '--help'])).toEqual(['panel', '--help']);
});

test.each([
  ['brorow', '; did you mean borrow?'],
  ['statsu', '; did you mean status?'],
  ['desc', '; did you mean describe?'],
  ['STATUS', '; did you mean status?'],
  ['wake up', ''],
  ['x', ''],
  ['', ''],
  ['z'.repeat(100_000), ''],
])('near %j there is%s', (word, said) => {
  expect(nearest(word, ['borrow', 'status', 'describe', 'sleep', 'wake'])).toBe(said);
});
