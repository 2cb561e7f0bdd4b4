/**
 * The builders of typebox that our schemas use, in place of the library: they make the same schemas, as a test checks, and nothing else.
 * The library would have a third of the agent's bytecode and memory.
 */

interface Schema {
  readonly [key: string]: unknown;
  readonly [OPTIONAL]?: true;
}
type Options = Readonly<Record<string, unknown>>;

/** Marks the schema of a key that may be missing; no part of its JSON. */
const OPTIONAL: unique symbol = Symbol('optional');

/** What a record without a pattern for its keys has. */
const ANY_KEY = '^.*$';

export const Type = {
  String: (options: Options = {}): Schema => ({ type: 'string', ...options }),
  Integer: (options: Options = {}): Schema => ({ type: 'integer', ...options }),
  Boolean: (options: Options = {}): Schema => ({ type: 'boolean', ...options }),
  Literal: (value: string | number | boolean, options: Options = {}): Schema => ({
    type: typeof value,
    const: value,
    ...options,
  }),
  Union: (schemas: readonly Schema[], options: Options = {}): Schema => ({ anyOf: schemas, ...options }),
  Array: (items: Schema, options: Options = {}): Schema => ({ type: 'array', items, ...options }),
  Optional: (schema: Schema): Schema => ({ ...schema, [OPTIONAL]: true }),
  Record: (key: Schema, value: Schema, options: Options = {}): Schema => ({
    type: 'object',
    patternProperties: { [String(key['pattern'] ?? ANY_KEY)]: value },
    ...options,
  }),
  Object: (properties: Readonly<Record<string, Schema>>, options: Options = {}): Schema => {
    const required = Object.keys(properties).filter((name) => !properties[name]![OPTIONAL]);
    return { type: 'object', ...(required.length > 0 ? { required } : {}), properties, ...options };
  },
};
