/**
 * Describes what is wrong with a value that a schema refuses, for the author of the file. Pure.
 *
 * Walks schema and value together, so that in a union only the branch of the value's own `kind` is checked, and each
 * fault names the key or the value itself. Supports what our schemas use: closed objects, records, lists, unions by
 * `kind` and of literals, texts, integers, booleans.
 */

import { nearestKey } from '../common/near.ts';
import { ID_WORDS, takenName } from '../core/protocol/ids.ts';
import { shapeOf, withoutSecret, withoutSecrets } from './secrets.ts';

export type Path = readonly (string | number)[];

/** One fault. */
export interface Fault {
  readonly path: Path;
  /** Whether the key at `path` is wrong, or the value. */
  readonly at: 'key' | 'value';
  readonly message: string;
  /**
   * Whether the last part of the path may itself be a secret, as when name and key of a key file were swapped. It is
   * not shown then.
   */
  readonly hidesKey?: true;
}

/** The supported parts of a JSON Schema. */
interface Schema {
  readonly type?: string;
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  /** A fault shows the value's shape, never the value; for a record, invalid names are hidden too. */
  readonly secret?: boolean;
  /** The form of a value in words. */
  readonly title?: string;
  /** The purpose of the value. */
  readonly description?: string;
}

/** Longest value shown in full, in characters. */
const SHOWN_CHARACTERS_MAX = 60;

/** Returns all faults of `value`; empty when it fits `schema`. */
export function faultsOf(schema: object, value: unknown): readonly Fault[] {
  return faultsAt(schema as Schema, value, []);
}

function faultsAt(schema: Schema, value: unknown, path: Path): Fault[] {
  const { anyOf, patternProperties } = schema;
  if (anyOf) return unionFaults(schema, anyOf, value, path);
  if (!fits(schema, value)) return [wrong(value, expected(schema), path, schema.secret)];
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => faultsAt(schema.items ?? {}, item, [...path, index]));
  }
  if (schema.type !== 'object') return [];
  const object = value as Record<string, unknown>;
  return patternProperties
    ? recordFaults(patternProperties, object, path)
    : objectFaults(schema, object, path);
}

/** For objects with a `kind` only its branch counts; otherwise one branch must fit. */
function unionFaults(schema: Schema, branches: readonly Schema[], value: unknown, path: Path): Fault[] {
  const kinds = branches.map(({ properties }) => properties?.['kind']?.const);
  if (kinds.includes(undefined)) {
    const isFine = branches.some((branch) => faultsAt(branch, value, path).length === 0);
    return isFine ? [] : [wrong(value, expected(schema), path)];
  }
  const words = either(kinds);
  if (!isObject(value)) return [wrong(value, `an object of "kind" ${words}`, path)];
  const { kind } = value;
  if (kind === undefined) return [{ path, at: 'value', message: `missing "kind": expected ${words}` }];
  const branch = branches[kinds.indexOf(kind)];
  return branch ? faultsAt(branch, value, path) : [wrong(kind, words, [...path, 'kind'])];
}

function recordFaults(
  patterns: Readonly<Record<string, Schema>>,
  object: Readonly<Record<string, unknown>>,
  path: Path,
): Fault[] {
  const [[pattern, schema] = ['', {} as Schema]] = Object.entries(patterns);
  return Object.entries(object).flatMap(([key, value]): Fault[] => {
    if (expressionOf(pattern).test(key)) return faultsAt(schema, value, [...path, key]);
    const fault = { path: [...path, key], at: 'key' } as const;
    if (schema.secret && takenName(key) === undefined)
      return [{ ...fault, message: `${shapeOf(key)} as a name: expected ${ID_WORDS}`, hidesKey: true }];
    return [{ ...fault, message: `${shown(key)}: ${takenName(key) ?? `expected ${ID_WORDS}`}` }];
  });
}

function objectFaults(schema: Schema, object: Readonly<Record<string, unknown>>, path: Path): Fault[] {
  const { properties = {}, required = [] } = schema;
  const known = Object.keys(properties);
  const free = known.filter((key) => !(key in object));
  const misspelt = new Set<string>();
  const faults = Object.entries(object).flatMap(([key, value]): Fault[] => {
    if (known.includes(key)) return faultsAt(properties[key]!, value, [...path, key]);
    const meant = nearestKey(key, free);
    if (meant !== undefined) misspelt.add(meant);
    const hint = meant === undefined ? '' : `; did you mean "${meant}"?`;
    const message = `unknown key: expected ${either(known)}${hint}`;
    return [{ path: [...path, key], at: 'key', message }];
  });
  const missing = required
    .filter((key) => free.includes(key) && !misspelt.has(key))
    .map((key): Fault => {
      return { path, at: 'value', message: `missing "${key}": expected ${expected(properties[key]!)}` };
    });
  return [...faults, ...missing];
}

/** Returns whether a value has the right type and bounds; its contents are not checked. */
function fits(schema: Schema, value: unknown): boolean {
  const { type, minItems = 0, minLength = 0, maxLength = Number.POSITIVE_INFINITY, pattern = '' } = schema;
  const { minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY } = schema;
  if ('const' in schema) return value === schema.const;
  switch (type) {
    case 'object':
      return isObject(value);
    case 'array':
      return Array.isArray(value) && value.length >= minItems;
    case 'string':
      if (typeof value !== 'string' || !expressionOf(pattern).test(value)) return false;
      return value.length >= minLength && value.length <= maxLength;
    case 'integer':
      return Number.isInteger(value) && Number(value) >= minimum && Number(value) <= maximum;
    case 'boolean':
      return typeof value === 'boolean';
    default:
      return true;
  }
}

/** The patterns of our schemas, compiled once. */
const expressions = new Map<string, RegExp>();

function expressionOf(pattern: string): RegExp {
  const known = expressions.get(pattern);
  if (known) return known;
  const made = new RegExp(pattern);
  expressions.set(pattern, made);
  return made;
}

/** Returns what is expected, in words. */
function expected(schema: Schema): string {
  const { type, anyOf, pattern, title, description, minimum, maximum } = schema;
  const words = title ?? description;
  const note = words === undefined ? '' : ` (${words})`;
  if ('const' in schema) return JSON.stringify(schema.const);
  if (anyOf) {
    const kinds = anyOf.map(({ properties }) => properties?.['kind']?.const);
    if (!kinds.includes(undefined)) return `an object of "kind" ${either(kinds)}${note}`;
    return `${either(anyOf.map((branch) => branch.const))}${note}`;
  }
  switch (type) {
    case 'object':
      return `an object${note}`;
    case 'array':
      return schema.minItems ? `a list of at least ${schema.minItems}${note}` : `a list${note}`;
    case 'string':
      if (pattern !== undefined) return title ?? `a text that fits ${pattern}`;
      return `a text${lengthWords(schema)}${note}`;
    case 'integer':
      return `an integer from ${minimum} to ${maximum}${note}`;
    default:
      return `true or false${note}`;
  }
}

function lengthWords({ minLength, maxLength }: Schema): string {
  const parts = [
    ...(minLength === undefined ? [] : [`at least ${minLength}`]),
    ...(maxLength === undefined ? [] : [`at most ${maxLength}`]),
  ];
  return parts.length === 0 ? '' : ` of ${parts.join(' and ')} characters`;
}

function wrong(value: unknown, what: string, path: Path, isSecret = false): Fault {
  const taken = what === ID_WORDS ? takenName(value) : undefined;
  if (taken !== undefined) return { path, at: 'value', message: `${shown(value)}: ${taken}` };
  return { path, at: 'value', message: `${isSecret ? shapeOf(value) : shown(value)}: expected ${what}` };
}

/** Returns `"a", "b" or "c"`. */
function either(values: readonly unknown[]): string {
  const words = values.map((value) => JSON.stringify(value));
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

/** Returns a value as JSON, clipped, without anything that looks like a secret. */
export function shown(value: unknown): string {
  const hide = (_: string, inner: unknown) => (typeof inner === 'string' ? withoutSecret(inner) : inner);
  const text = withoutSecrets(JSON.stringify(value, hide) ?? 'nothing');
  return text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX - 3)}…` : text;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
