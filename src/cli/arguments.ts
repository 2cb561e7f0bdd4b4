/** Parses the words after a command: options with and without values, and the words after `--`. Pure. */

import { nearest } from '../common/near.ts';
import { timeOf, UsageError } from './world.ts';

/**
 * Kind of an option: `flag` takes nothing, `value` one word, `list` one word each time it is given, `time` a time if
 * the next word is one.
 */
export type OptionKind = 'flag' | 'value' | 'list' | 'time';
export type OptionTable = Readonly<Record<string, OptionKind>>;

/** A parsed command line. */
export interface Words {
  readonly flags: ReadonlySet<string>;
  readonly values: ReadonlyMap<string, string>;
  readonly lists: ReadonlyMap<string, readonly string[]>;
  readonly plain: readonly string[];
  /** The words of the command to run: after `--`, or from the plain word that starts it. Undefined without one. */
  readonly rest: readonly string[] | undefined;
}

/** Options that every command takes. */
const COMMON: OptionTable = { '--json': 'flag', '--help': 'flag', '--socket': 'value' };

/** Short forms; each stands for the one of its long forms that the command has. */
const SHORT: Readonly<Record<string, readonly string[]>> = {
  '-h': ['--help'],
  '-n': ['--no-wait', '--lines'],
  '-w': ['--wait', '--watch'],
  '-f': ['--follow'],
};

/**
 * Parses `args`. `plainMax`: most plain words of this command; the next one starts the command to run. Throws a
 * UsageError on an unknown option.
 */
export function parseWords(
  args: readonly string[],
  options: OptionTable,
  plainMax = Number.POSITIVE_INFINITY,
): Words {
  const known: OptionTable = { ...COMMON, ...options };
  const flags = new Set<string>();
  const values = new Map<string, string>();
  const lists = new Map<string, readonly string[]>();
  const plain: string[] = [];
  const words = { flags, values, lists, plain };
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === '--') return { ...words, rest: args.slice(i + 1) };
    if (!arg.startsWith('-') || arg === '-') {
      if (plain.length >= plainMax) return { ...words, rest: args.slice(i) };
      plain.push(arg);
      continue;
    }
    const [word, name, inline] = optionOf(arg, known);
    const kind = known[name]!;
    if (kind === 'flag') {
      if (inline !== undefined) throw new UsageError(`${word} takes no value`);
      flags.add(name);
    } else if (kind === 'time') {
      flags.add(name);
      const next = inline ?? args[i + 1];
      if (next === undefined || (inline === undefined && timeOf(next) === undefined)) continue;
      values.set(name, next);
      if (inline === undefined) i += 1;
    } else {
      const value = inline ?? args[++i];
      if (value === undefined) throw new UsageError(`${word} needs a value`);
      if (kind === 'list') lists.set(name, [...(lists.get(name) ?? []), value]);
      else values.set(name, value);
    }
  }
  return { ...words, rest: undefined };
}

/** Returns an option as given, its long name, and an attached value: `--wait=5s`, `-w5s`. */
function optionOf(
  arg: string,
  known: OptionTable,
): readonly [word: string, name: string, inline: string | undefined] {
  const equals = arg.indexOf('=');
  const isLong = arg.startsWith('--');
  const end = isLong ? (equals > 0 ? equals : arg.length) : 2;
  const word = arg.slice(0, end);
  const long = SHORT[word]?.find((name) => Object.hasOwn(known, name)) ?? word;
  if (!Object.hasOwn(known, long))
    throw new UsageError(`unknown option ${word}${nearest(word, Object.keys(known))}`);
  if (end === arg.length) return [word, long, undefined];
  return [word, long, arg.slice(isLong ? end + 1 : end)];
}
