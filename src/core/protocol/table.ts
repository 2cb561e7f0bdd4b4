/**
 * Transition tables as data, and the one function that runs them.
 *
 * A table is a list of rows. For an input, the first row counts whose `from` names the state, whose `on` names
 * the input and whose guard holds; it is a transition or a named ignore. The last row of each (state, input) has
 * no guard, so the tables are total: a test proves it, and renders the diagrams in docs/PROTOCOL.md from here.
 */

/** What a row sees: the state, the input and the fixed configuration. */
export interface Seen<S, I, C> {
  readonly state: S;
  readonly input: I;
  readonly config: C;
}

/** The next state, and what has to be done, in this order. */
export interface Outcome<S, E> {
  readonly state: S;
  readonly effects: readonly E[];
}

/** One row. `K` is the input it is for. */
export interface Row<
  S extends { name: string },
  I extends { on: string },
  C,
  E,
  K extends I['on'] = I['on'],
> {
  readonly name: string;
  /** States in which the row may fire; `any` stands for all. */
  readonly from: readonly S['name'][] | 'any';
  readonly on: K;
  /** Guard, with the words for it. */
  readonly when?: string;
  readonly holds?: (seen: Seen<S, Extract<I, { on: K }>, C>) => boolean;
  /** States it may lead to; `stay` is the same state. Absent for an ignore. */
  readonly to?: readonly (S['name'] | 'stay')[];
  readonly act?: (seen: Seen<S, Extract<I, { on: K }>, C>) => Outcome<S, E>;
  /** Why nothing happens. */
  readonly ignore?: string;
}

/** What a step returns: the outcome, the row that made it, and the reason when it was an ignore. */
export interface Step<S, E> extends Outcome<S, E> {
  readonly row: string;
  readonly ignored?: string;
}

/** A table made ready to run. */
export interface Table<S extends { name: string }, I extends { on: string }, C, E> {
  readonly title: string;
  readonly states: readonly S['name'][];
  readonly inputs: readonly I['on'][];
  readonly rows: readonly Row<S, I, C, E>[];
  run(state: S, input: I, config: C): Step<S, E>;
}

/** Returns a function that types a row by the input it is for. */
export function rowsOf<S extends { name: string }, I extends { on: string }, C, E>() {
  return <K extends I['on']>(row: Row<S, I, C, E, K>): Row<S, I, C, E> => row as unknown as Row<S, I, C, E>;
}

/** Makes a table of rows. Throws when two rows share a name. */
export function makeTable<S extends { name: string }, I extends { on: string }, C, E>(
  title: string,
  states: readonly S['name'][],
  inputs: readonly I['on'][],
  rows: readonly Row<S, I, C, E>[],
): Table<S, I, C, E> {
  const index = indexOf(rows, states);
  if (new Set(rows.map((row) => row.name)).size !== rows.length)
    throw new Error(`${title}: a row name is used twice`);
  return {
    title,
    states,
    inputs,
    rows,
    run(state, input, config) {
      const seen = { state, input, config } as never;
      for (const row of index.get(input.on)?.get(state.name) ?? []) {
        if (row.holds && !row.holds(seen)) continue;
        if (!row.act) return { state, effects: [], row: row.name, ignored: row.ignore ?? '' };
        const outcome = row.act(seen);
        const leadsTo = outcome.state.name === state.name ? 'stay' : outcome.state.name;
        if (!row.to?.includes(leadsTo) && !row.to?.includes(outcome.state.name)) {
          throw new Error(
            `${title}: row ${row.name} led from ${state.name} to ${outcome.state.name}, which it does not name`,
          );
        }
        return { ...outcome, row: row.name };
      }
      throw new Error(`${title}: no row for ${input.on} in ${state.name}`);
    },
  };
}

/** Rows by input, then by state, in the order of the table. */
function indexOf<S extends { name: string }, I extends { on: string }, C, E>(
  rows: readonly Row<S, I, C, E>[],
  states: readonly S['name'][],
): Map<string, Map<string, Row<S, I, C, E>[]>> {
  const index = new Map<string, Map<string, Row<S, I, C, E>[]>>();
  for (const row of rows) {
    const byState = index.get(row.on) ?? new Map<string, Row<S, I, C, E>[]>();
    index.set(row.on, byState);
    for (const from of row.from === 'any' ? states : row.from) {
      byState.set(from, [...(byState.get(from) ?? []), row]);
    }
  }
  return index;
}
