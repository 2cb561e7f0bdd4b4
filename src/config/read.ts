/**
 * Reads configuration text: JSON with comments, checked against a schema. Pure.
 *
 * Every fault gives file, line and column of the key or value, what was found and what was expected; all are reported
 * at once. Unknown and repeated keys are errors: a misspelt safety setting must not be ignored silently.
 */

import {
  findNodeAtLocation,
  getNodeValue,
  type Node,
  type ParseError,
  parseTree,
  printParseErrorCode,
} from 'jsonc-parser';
import { plainText } from '../common/plain-text.ts';
import type { Static, TSchema } from '../common/schema.ts';
import { type Fault, faultsOf, type Path } from './faults.ts';
import { withoutSecrets } from './secrets.ts';

/** An invalid configuration. The message has one line per fault; quoted text contains no newline. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';

  constructor(...complaints: readonly string[]) {
    super(complaints.map((line) => plainText(line)).join('\n'));
  }
}

/** Longest configuration file, in characters: a hundred times a large one. */
const TEXT_CHARACTERS_MAX = 1_000_000;
/** Most faults that are shown. */
const COMPLAINTS_MAX = 10;
const OPTIONS = { allowTrailingComma: true } as const;

/** Parses `text` from `file` without checking its contents. Throws a ConfigError. */
export function parseConfig(file: string, text: string): unknown {
  return getNodeValue(parseNodes(file, text));
}

function parseNodes(file: string, text: string): Node {
  if (text.length > TEXT_CHARACTERS_MAX)
    throw new ConfigError(`${file}: longer than ${TEXT_CHARACTERS_MAX} characters`);
  if (/^\ufffd|\0/.test(text))
    throw new ConfigError(`${file}:1:1: not text in UTF-8: expected JSON, saved as UTF-8`);
  const errors: ParseError[] = [];
  const tree = parseTree(text, errors, OPTIONS);
  const first = errors[0];
  if (first) throw new ConfigError(`${file}:${position(text, first.offset)}: not JSON: ${wordsOf(first)}`);
  return tree!;
}

/** Parses and checks `text` from `file`. Throws a ConfigError. */
export function readConfig<T extends TSchema>(schema: T, file: string, text: string): Static<T> {
  const tree = parseNodes(file, text);
  const value: unknown = getNodeValue(tree);
  const faults: Located[] = [...repeatedKeys(tree), ...faultsOf(schema, value)];
  if (faults.length > 0) throw new ConfigError(...complaints(file, text, tree, faults));
  return value as Static<T>;
}

/** Returns the line for a fault of the key or the value at `path` in `text`, with file, line and column. */
export function complaintAt(file: string, text: string, fault: Fault): string {
  return complaints(file, text, parseTree(text, [], OPTIONS), [fault]).join();
}

/** Throws a ConfigError about the value at `path` in `text`: for checks that a schema cannot express. */
export function refuseAt(file: string, text: string, path: Path, message: string): never {
  throw new ConfigError(complaintAt(file, text, { path, at: 'value', message }));
}

/** A fault at a place that its path does not identify. */
interface Located extends Fault {
  readonly offset?: number;
}

function repeatedKeys(node: Node | undefined, path: Path = []): Located[] {
  const seen = new Set<string>();
  return (node?.children ?? []).flatMap((child, index): Located[] => {
    if (node!.type !== 'object') return repeatedKeys(child, [...path, index]);
    const [key, value] = child.children!;
    const name = String(key!.value);
    const here = [...path, name];
    const { offset } = key!;
    if (seen.has(name)) return [{ path: here, at: 'key', message: 'stands twice: expected it once', offset }];
    seen.add(name);
    return repeatedKeys(value, here);
  });
}

/** Lines in the order of the file. */
function complaints(
  file: string,
  text: string,
  tree: Node | undefined,
  faults: readonly Located[],
): string[] {
  const lines = faults.map(({ path, at, message, hidesKey, offset = offsetOf(tree, path, at) }) => {
    const parts = hidesKey ? path.slice(0, -1) : path;
    const where = parts.length > 0 ? `${parts.map(partText).join('.')}: ` : '';
    return { offset, line: `${file}:${position(text, offset)}: ${where}${withoutSecrets(message)}` };
  });
  return lines
    .sort((a, b) => a.offset - b.offset)
    .slice(0, COMPLAINTS_MAX)
    .map(({ line }) => plainText(line));
}

/** A key of ours is a word. Any other key is identified by line and column, since it may be a misplaced secret. */
function partText(part: string | number): string {
  const isWord = typeof part === 'number' || /^[A-Za-z][A-Za-z0-9._-]{0,31}$/.test(part);
  return isWord ? withoutSecrets(String(part)) : '…';
}

/** Returns the offset of the key or value at `path`, or of its nearest existing container. */
function offsetOf(tree: Node | undefined, path: Path, at: Fault['at']): number {
  for (let depth = path.length; tree && depth >= 0; depth--) {
    const node = findNodeAtLocation(tree, path.slice(0, depth));
    if (!node) continue;
    const isKey = at === 'key' && depth === path.length && node.parent?.type === 'property';
    return isKey ? node.parent!.offset : node.offset;
  }
  return 0;
}

/** `CommaExpected` → `comma expected`. */
function wordsOf({ error }: ParseError): string {
  return printParseErrorCode(error)
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase();
}

function position(text: string, offset: number): string {
  const before = text.slice(0, offset).split('\n');
  return `${before.length}:${before.at(-1)!.length + 1}`;
}
