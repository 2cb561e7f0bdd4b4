/**
 * Reads configuration text: JSON with comments, checked against a schema. Pure.
 *
 * Every complaint names file, line and column, what was found and what was expected; all are reported at once.
 * An unknown key is an error: a misspelt safety setting must not be silently ignored.
 */

import {
  findNodeAtLocation,
  type Node,
  type ParseError,
  parse,
  parseTree,
  printParseErrorCode,
} from 'jsonc-parser';
import type { Static, TSchema } from 'typebox';
import { Settings } from 'typebox/system';
import { Value } from 'typebox/value';

/** A configuration that cannot be used. The message has one line per complaint. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Longest configuration file, in characters: a hundred times a large one. */
const TEXT_CHARACTERS_MAX = 1_000_000;
/** Complaints that are shown; more do not help. */
const COMPLAINTS_MAX = 10;

interface SchemaFault {
  readonly keyword: string;
  readonly schemaPath: string;
  readonly instancePath: string;
  readonly params: Record<string, unknown>;
  readonly message: string;
}

/** Faults that are gathered before the relevant ones are picked: each branch of a union of seven adds its own. */
Settings.Set({ maxErrors: 256 });

/** Parses and checks `text` from `file`. Throws a ConfigError. */
export function readConfig<T extends TSchema>(schema: T, file: string, text: string): Static<T> {
  if (text.length > TEXT_CHARACTERS_MAX)
    throw new ConfigError(`${file}: longer than ${TEXT_CHARACTERS_MAX} characters`);
  const errors: ParseError[] = [];
  const value: unknown = parse(text, errors, { allowTrailingComma: true });
  const first = errors[0];
  if (first) {
    throw new ConfigError(
      `${file}:${position(text, first.offset)}: not JSON: ${printParseErrorCode(first.error)}`,
    );
  }
  const faults = relevant([...Value.Errors(schema, value)] as unknown as SchemaFault[]);
  if (faults.length === 0) return value as Static<T>;
  const tree = parseTree(text, [], { allowTrailingComma: true });
  const lines = faults.map((fault) => {
    const path = pathOf(fault.instancePath);
    return `${file}:${position(text, offsetOf(tree, path))}: ${complaint(value, fault)}`;
  });
  throw new ConfigError([...new Set(lines)].slice(0, COMPLAINTS_MAX).join('\n'));
}

/** Throws a ConfigError about the value at `path` in `text`: for checks that a schema cannot express. */
export function refuseAt(
  file: string,
  text: string,
  path: readonly (string | number)[],
  message: string,
): never {
  const tree = parseTree(text, [], { allowTrailingComma: true });
  throw new ConfigError(
    `${file}:${position(text, offsetOf(tree, [...path]))}: ${path.join('.')}: ${message}`,
  );
}

/**
 * Drops the faults that only follow from others: of the branches of a union, those that the value's own `kind`
 * does not choose; and the schema's generic word for an unknown key.
 */
function relevant(faults: readonly SchemaFault[]): SchemaFault[] {
  const isKind = (fault: SchemaFault) => fault.keyword === 'const' && fault.instancePath.endsWith('/kind');
  const rejected = new Set(faults.filter(isKind).map((fault) => branchOf(fault.schemaPath)));
  const kept = faults.filter((fault) => {
    if (fault.keyword === 'boolean' || isKind(fault)) return false;
    const branch = branchOf(fault.schemaPath);
    if (branch !== undefined && [...rejected].some((other) => other && branch.startsWith(other)))
      return false;
    return true;
  });
  const specific = kept.filter(
    (fault) =>
      fault.keyword !== 'anyOf' ||
      !kept.some((other) => other !== fault && other.schemaPath.startsWith(`${fault.schemaPath}/anyOf`)),
  );
  return specific.length > 0 ? specific : [...faults];
}

/** The branch of the innermost union that a fault belongs to: `#/…/anyOf/1`. */
function branchOf(schemaPath: string): string | undefined {
  return /^(.*\/anyOf\/\d+)(\/|$)/.exec(schemaPath)?.[1];
}

function complaint(value: unknown, fault: SchemaFault): string {
  const path = pathOf(fault.instancePath);
  const where = path.length > 0 ? `${path.join('.')}: ` : '';
  const found = shown(valueAt(value, path));
  switch (fault.keyword) {
    case 'additionalProperties': {
      const names = (fault.params['additionalProperties'] as string[])
        .map((name) => JSON.stringify(name))
        .join(', ');
      return `${where}unknown key ${names}`;
    }
    case 'required':
      return `${where}missing ${(fault.params['requiredProperties'] as string[]).map((name) => JSON.stringify(name)).join(', ')}`;
    case 'type':
      return `${where}${found}: expected ${String(fault.params['type'])}`;
    case 'const':
    case 'enum':
    case 'anyOf':
      return `${where}${found}: ${fault.message}${allowed(fault)}`;
    default:
      return `${where}${found}: ${fault.message}`;
  }
}

function allowed(fault: SchemaFault): string {
  const values = fault.params['allowedValues'] ?? fault.params['allowedValue'];
  return values === undefined ? '' : ` (${JSON.stringify(values)})`;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

function pathOf(pointer: string): (string | number)[] {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}

function valueAt(value: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (at, key) => (at as Record<string | number, unknown> | undefined)?.[key],
    value,
  );
}

/** Offset of the value at `path`, or of the nearest thing around it that exists. */
function offsetOf(tree: Node | undefined, path: (string | number)[]): number {
  for (let depth = path.length; tree && depth >= 0; depth--) {
    const node = findNodeAtLocation(tree, path.slice(0, depth));
    if (node) return node.offset;
  }
  return 0;
}

function position(text: string, offset: number): string {
  const before = text.slice(0, offset).split('\n');
  return `${before.length}:${before.at(-1)!.length + 1}`;
}
