/** Parses the words after a command: options with and without values, and what stands after `--`. Pure. */

import { UsageError } from './world.ts';

/** What an option takes: `flag` nothing, `value` one word, `list` one word each time that it is given. */
export type OptionKind = 'flag' | 'value' | 'list';
export type OptionTable = Readonly<Record<string, OptionKind>>;

/** A parsed command line. */
export interface Words {
  readonly flags: ReadonlySet<string>;
  readonly values: ReadonlyMap<string, string>;
  readonly lists: ReadonlyMap<string, readonly string[]>;
  readonly plain: readonly string[];
  /** What stands after `--`; undefined without one. */
  readonly rest: readonly string[] | undefined;
}

/** Options that every command takes. */
const COMMON: OptionTable = { '--json': 'flag', '--help': 'flag', '--socket': 'value' };

/** Short forms. */
const SHORT: Readonly<Record<string, string>> = { '-h': '--help', '-n': '--no-wait', '-w': '--wait' };

/** Parses `args`. Throws a UsageError on an option that is not in the table. */
export function parseWords(args: readonly string[], options: OptionTable): Words {
  const known: OptionTable = { ...COMMON, ...options };
  const flags = new Set<string>();
  const values = new Map<string, string>();
  const lists = new Map<string, readonly string[]>();
  const plain: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === '--') return { flags, values, lists, plain, rest: args.slice(i + 1) };
    if (!arg.startsWith('-') || arg === '-') {
      plain.push(arg);
      continue;
    }
    const [word, inline] = splitInline(arg);
    const name = SHORT[word] ?? word;
    const kind = Object.hasOwn(known, name) ? known[name] : undefined;
    if (kind === undefined) throw new UsageError(`unknown option ${word}`);
    if (kind === 'flag') flags.add(name);
    else {
      const value = inline ?? args[++i];
      if (value === undefined) throw new UsageError(`${word} needs a value`);
      if (kind === 'list') lists.set(name, [...(lists.get(name) ?? []), value]);
      else values.set(name, value);
    }
  }
  return { flags, values, lists, plain, rest: undefined };
}

function splitInline(arg: string): [string, string | undefined] {
  const equals = arg.indexOf('=');
  return arg.startsWith('--') && equals > 0
    ? [arg.slice(0, equals), arg.slice(equals + 1)]
    : [arg, undefined];
}
