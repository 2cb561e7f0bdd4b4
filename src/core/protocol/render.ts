/**
 * Renders the tables of the protocol as text for docs/PROTOCOL.md: state diagrams, rows, messages, codes, timers.
 *
 * Pure; not needed at run time. A test compares the output with the document.
 */

import type { MessageType } from './messages.ts';
import type { Fields, FieldType } from './schema.ts';

/** The rendered parts of a transition table. */
export interface DrawnTable {
  readonly states: readonly string[];
  readonly rows: readonly DrawnRow[];
}

/** One row, without its functions. */
export interface DrawnRow {
  readonly name: string;
  readonly from: readonly string[] | 'any';
  readonly on: string;
  readonly when?: string | undefined;
  readonly to?: readonly string[] | undefined;
  readonly ignore?: string | undefined;
}

/** Sentences by the name of a state or timer. */
export type Meanings = Readonly<Record<string, string>>;

/** Renders a mermaid state diagram. An edge is labelled with its inputs; rows that stay in a state are omitted. */
export function renderDiagram({ states, rows }: DrawnTable): string {
  const edges = new Map<string, Set<string>>();
  /** Pairs of state and input for which an earlier row has no guard. */
  const taken = new Set<string>();
  for (const row of rows) {
    for (const from of row.from === 'any' ? states : row.from) {
      const pair = `${from} ${row.on}`;
      if (taken.has(pair)) continue;
      if (row.when === undefined) taken.add(pair);
      for (const to of row.to ?? []) {
        if (to === 'stay' || to === from) continue;
        const edge = `${from} --> ${to}`;
        edges.set(edge, (edges.get(edge) ?? new Set()).add(inputName(row.on)));
      }
    }
  }
  const lines = [...edges].flatMap(([edge, inputs]) =>
    labels([...inputs]).map((label) => `  ${edge} : ${label}`),
  );
  return ['```mermaid', 'stateDiagram-v2', `  [*] --> ${states[0]}`, ...lines, '```'].join('\n');
}

/** Renders every row of a transition table, in the order of evaluation. */
export function renderRows({ rows }: DrawnTable): string {
  return markdown(
    ['row', 'from', 'on', 'when', 'to'],
    rows.map((row) => [
      code(row.name),
      row.from === 'any' ? '*any*' : row.from.join(', '),
      inputName(row.on),
      row.when ?? '',
      row.to === undefined ? `*ignored:* ${row.ignore ?? ''}` : row.to.join(', '),
    ]),
  );
}

/** Renders the states of a table with their meanings. */
export function renderStates({ states }: DrawnTable, meanings: Meanings): string {
  return markdown(
    ['state', 'meaning'],
    states.map((state) => [code(state), meanings[state] ?? '']),
  );
}

/** Renders message types, with their fields by key. */
export function renderMessages(types: Readonly<Record<string, MessageType>>): string {
  return markdown(
    ['number', 'message', 'from', 'to', 'says', 'fields'],
    Object.entries(types)
      .sort(([, a], [, b]) => a.number - b.number)
      .map(([name, { number, from, to, says, fields }]) => [
        String(number),
        code(name),
        from,
        to,
        says,
        renderFields(fields),
      ]),
  );
}

/** Renders fields as `1 bundle: name`; an optional one has a question mark. */
export function renderFields(fields: Fields): string {
  const rows = Object.entries(fields);
  if (rows.length === 0) return 'none';
  return rows
    .sort(([, a], [, b]) => a.key - b.key)
    .map(([name, { key, type, optional }]) => `${key}${optional ? '?' : ''} ${name}: ${typeName(type)}`)
    .join('; ');
}

/** Renders codes with their numbers, which are their positions. */
export function renderCodes(table: Meanings): string {
  return markdown(
    ['number', 'name', 'meaning'],
    Object.entries(table).map(([name, meaning], number) => [String(number), code(name), meaning]),
  );
}

/** Renders names with their numbers, which are their positions. */
export function renderNames(names: readonly string[]): string {
  return names.map((name, number) => `${number} ${code(name)}`).join(' · ');
}

/** Renders timers. A length of 0 comes from a message, a consent or the configuration. */
export function renderTimers(timers: Readonly<Record<string, number>>, meanings: Meanings): string {
  return markdown(
    ['timer', 'length', 'when it fires'],
    Object.entries(timers).map(([name, ms]) => [
      code(name),
      ms === 0 ? 'given' : `${ms} ms`,
      meanings[name] ?? '',
    ]),
  );
}

/** Replaces the text between each pair of markers by its rendered part. */
export function replaceGenerated(text: string, parts: Readonly<Record<string, string>>): string {
  const marked = /<!-- generated: ([a-z-]+) -->[\s\S]*?<!-- end -->/g;
  return text.replace(marked, (_, name: string) => {
    const part = parts[name];
    if (part === undefined) throw new Error(`nothing renders ${name}`);
    return `<!-- generated: ${name} -->\n\n${part}\n\n<!-- end -->`;
  });
}

function typeName(type: FieldType): string {
  switch (type.kind) {
    case 'uint':
      return 'uint32';
    case 'bool':
      return 'bool';
    case 'id':
      return 'name';
    case 'resource':
      return 'resource name';
    case 'text':
      return `text of at most ${type.bytesMax} bytes`;
    case 'bytes':
      return type.bytesMin === type.bytesMax
        ? `${type.bytesMax} bytes`
        : `${type.bytesMin} to ${type.bytesMax} bytes`;
    case 'enum':
      return 'code';
    case 'struct':
      return code(type.name);
    case 'list':
      return `list of at most ${type.itemsMax} ${typeName(type.item)}`;
  }
}

/** Most inputs in the label of one arrow; more make it too wide to read. */
const LABEL_INPUTS_MAX = 6;

/** Returns the labels of the arrows for these inputs. */
function labels(inputs: readonly string[]): string[] {
  const count = Math.ceil(inputs.length / LABEL_INPUTS_MAX);
  return Array.from({ length: count }, (_, i) =>
    inputs.slice(i * LABEL_INPUTS_MAX, (i + 1) * LABEL_INPUTS_MAX).join(', '),
  );
}

/** Mermaid ends a label at a second colon. */
function inputName(on: string): string {
  return on.startsWith('timer:') ? `timer ${on.slice('timer:'.length)}` : on;
}

function code(text: string): string {
  return `\`${text}\``;
}

function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
