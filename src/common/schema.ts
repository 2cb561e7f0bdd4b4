/**
 * Builds the JSON Schemas of configuration files. Pure.
 *
 * Same builders, types and JSON as the library typebox, as test/config/schema.test.ts checks; only the library's
 * types are used. The library itself would add 680 modules to every program: most of the build time, and a third of a
 * small agent's bytecode and memory.
 */

import type { Type as Library } from 'typebox';

export type { Static, TSchema, TUnsafe } from 'typebox';

interface Schema {
  readonly [key: string]: unknown;
  readonly [OPTIONAL]?: true;
}
type Options = Readonly<Record<string, unknown>>;

/** Marks the schema of an optional key; not part of its JSON. */
const OPTIONAL: unique symbol = Symbol('optional');

/** Key pattern of a record without one. */
const ANY_KEY = '^.*$';

const BUILDERS = {
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

/** Schema builders, typed as the library's builders of the same names. */
export const Type = BUILDERS as unknown as Pick<typeof Library, keyof typeof BUILDERS>;
