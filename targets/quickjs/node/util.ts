/** `parseArgs` of `node:util`: options with and without values, no positional arguments. */

interface Option {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  readonly multiple?: boolean;
}

export function parseArgs({
  args,
  options,
}: {
  readonly args: readonly string[];
  readonly options: Readonly<Record<string, Option>>;
}): { values: Record<string, string | boolean | string[]> } {
  const values: Record<string, string | boolean | string[]> = {};
  for (let i = 0; i < args.length; i++) {
    const [word = '', inline] = splitOnce(args[i]!);
    const name = nameOf(word, options);
    const option = name !== undefined && Object.hasOwn(options, name) ? options[name] : undefined;
    if (name === undefined || option === undefined)
      throw new TypeError(
        word.startsWith('-') ? `Unknown option '${word}'` : `Unexpected argument '${args[i]}'`,
      );
    if (option.type === 'boolean') {
      if (inline !== undefined) throw new TypeError(`Option '${word}' does not take an argument`);
      values[name] = true;
      continue;
    }
    const value = inline ?? args[++i];
    if (value === undefined) throw new TypeError(`Option '${word} <value>' argument missing`);
    values[name] = option.multiple ? [...((values[name] as string[] | undefined) ?? []), value] : value;
  }
  return { values };
}

function splitOnce(arg: string): [string, string | undefined] {
  const equals = arg.indexOf('=');
  return arg.startsWith('--') && equals > 0
    ? [arg.slice(0, equals), arg.slice(equals + 1)]
    : [arg, undefined];
}

function nameOf(word: string, options: Readonly<Record<string, Option>>): string | undefined {
  if (word.startsWith('--')) return word.slice(2);
  return Object.keys(options).find((name) => `-${options[name]!.short}` === word);
}
