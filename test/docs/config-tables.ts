/** Renders schemas of configuration files as tables for docs/CONFIG.md: a row per field. */

import { ID_WORDS } from '../../src/core/protocol/ids.ts';

/** The parts of a JSON Schema that a table shows. */
export interface Shown {
  readonly type?: string;
  readonly const?: unknown;
  readonly default?: unknown;
  readonly title?: string;
  readonly description?: string;
  readonly anyOf?: readonly Shown[];
  readonly properties?: Readonly<Record<string, Shown>>;
  readonly required?: readonly string[];
  readonly patternProperties?: Readonly<Record<string, Shown>>;
  readonly items?: Shown;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** A field of a schema: its path, as `allow[].bundle`, and whether it must be there. */
export interface Field {
  readonly path: string;
  readonly schema: Shown;
  readonly isNeeded: boolean;
}

/** Returns every field of a schema in the order of the schema. `stop`: paths whose insides are left out. */
export function fieldsOf(schema: object, stop: readonly string[] = [], path = ''): Field[] {
  if (stop.includes(path)) return [];
  const { properties, required = [], patternProperties, items, anyOf } = schema as Shown;
  const own = Object.entries(properties ?? {}).flatMap(([name, inner]) => {
    const at = path === '' ? name : `${path}.${name}`;
    return [{ path: at, schema: inner, isNeeded: required.includes(name) }, ...fieldsOf(inner, stop, at)];
  });
  const named = Object.values(patternProperties ?? {}).flatMap((inner) =>
    fieldsOf(inner, stop, path === '' ? 'NAME' : `${path}.NAME`),
  );
  const listed = items ? fieldsOf(items, stop, `${path}[]`) : [];
  // Fields of one kind of several: `transport(mqtt).url`; `kind` itself is told by the row of the whole.
  const kinds = (anyOf ?? []).flatMap((branch) =>
    fieldsOf(branch, stop, `${path}(${String(branch.properties?.['kind']?.const)})`),
  );
  return [...own, ...named, ...listed, ...kinds];
}

/** Renders fields as a Markdown table. */
export function fieldTable(fields: readonly Field[]): string {
  const rows = fields.map(({ path, schema, isNeeded }) => [
    `\`${path}\``,
    formOf(schema),
    isNeeded ? 'needed' : schema.default === undefined ? '' : `\`${JSON.stringify(schema.default)}\``,
    schema.description ?? '',
  ]);
  const table = [['field', 'value', 'default', 'meaning'], ['---', '---', '---', '---'], ...rows];
  return table.map((row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n');
}

/** What a value looks like. */
function formOf(schema: Shown): string {
  const { type, title, anyOf, items, minimum, maximum } = schema;
  if ('const' in schema) return `\`${JSON.stringify(schema.const)}\``;
  if (anyOf) {
    const of = anyOf.map((branch) => branch.const ?? branch.properties?.['kind']?.const);
    const isKind = anyOf.some(({ properties }) => properties);
    return `${isKind ? 'by `kind`: ' : ''}${of.map((value) => `\`${JSON.stringify(value)}\``).join(', ')}`;
  }
  if (type === 'array') return items?.type === 'string' ? 'list of texts' : 'list';
  if (type === 'integer') return `${title ?? 'integer'}, ${minimum} to ${maximum}`;
  if (type === 'boolean') return '`true`, `false`';
  if (type === 'object') return 'object';
  return title === ID_WORDS ? 'name' : (title ?? 'text');
}
