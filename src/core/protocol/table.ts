/**
 * Transition tables as data, and the function that runs them. Pure.
 *
 * A table is a list of rows. For an input, the first row applies whose `from` names the state, whose `on` names the
 * input and whose guard is true. It is a transition or a named ignore. Of a late or repeated input only the reason is
 * written down. The last row for each state and input has no guard, so the tables are
 * total; a test proves it. docs/PROTOCOL.md renders its diagrams from the rows. Rows for `LEVEL` need not be total: if
 * none applies, nothing happens.
 */

/** Arguments of a row: the state, the input and the fixed configuration. */
export interface Seen<S, I, C> {
  readonly state: S;
  readonly input: I;
  readonly config: C;
}

/** The next state, and the effects, in this order. */
export interface Outcome<S, E> {
  readonly state: S;
  readonly effects: readonly E[];
}

/** One row for input `K`. */
export interface Row<
  S extends { name: string },
  I extends { on: string },
  C,
  E,
  K extends I['on'] = I['on'],
> {
  readonly name: string;
  /** States in which the row may fire; `any`: all. */
  readonly from: readonly S['name'][] | 'any';
  readonly on: K;
  /** The guard in words. */
  readonly when?: string;
  readonly guard?: (seen: Seen<S, Extract<I, { on: K }>, C>) => boolean;
  /** States it may lead to; `stay` is the same state. Absent for an ignore. */
  readonly to?: readonly (S['name'] | 'stay')[];
  readonly act?: (seen: Seen<S, Extract<I, { on: K }>, C>) => Outcome<S, E>;
  /** Why nothing happens. */
  readonly ignore?: string;
}

/** Result of a step: the outcome, the row that fired, and the reason if it was an ignore. */
export interface Step<S, E> extends Outcome<S, E> {
  readonly row: string;
  /** Rows for levels that fired after it (`LEVEL`). */
  readonly levels: readonly string[];
  readonly ignored?: string;
}

/**
 * The input of rows for levels: facts that stay true until they change, such as an ended VM. They are tried after
 * every other row that fired, in the new state, until none fires. So a fact is acted on in every state in which it is
 * true.
 */
export const LEVEL = 'level';
/** Most rows for levels after one input. Each changes the state so that it does not fire again. */
const LEVELS_MAX = 8;

/** A table that is ready to run. */
export interface Table<S extends { name: string }, I extends { on: string }, C, E> {
  readonly title: string;
  readonly states: readonly S['name'][];
  readonly inputs: readonly I['on'][];
  readonly rows: readonly Row<S, I, C, E>[];
  run(state: S, input: I, config: C): Step<S, E>;
}

/** Returns a function that types a row by its input. */
export function rowsOf<S extends { name: string }, I extends { on: string }, C, E>() {
  return <K extends I['on']>(row: Row<S, I, C, E, K>): Row<S, I, C, E> => row as unknown as Row<S, I, C, E>;
}

/** Why inputs that no other row takes are ignored, by input; of timers that is always the same. */
export type Late<I extends { on: string }> = Partial<Record<I['on'], string>>;

/** Returns the rows of late and repeated inputs, for those that no row takes in every state. They come last. */
function lateRows<S extends { name: string }, I extends { on: string }, C, E>(
  inputs: readonly I['on'][],
  rows: readonly Row<S, I, C, E>[],
  reasons: Late<I>,
): Row<S, I, C, E>[] {
  return inputs.flatMap((on) => {
    const timer = /^timer:(.*)/.exec(on)?.[1];
    const ignore = timer === undefined ? reasons[on] : 'the awaited event has happened';
    const name = timer === undefined ? `${on}-late` : `${timer}-timer-late`;
    const isTaken = rows.some((row) => row.on === on && row.from === 'any' && !row.guard);
    return ignore === undefined || isTaken ? [] : [{ name, on, from: 'any' as const, ignore }];
  });
}

/** Makes a table of rows, and of `late` inputs. Throws when two rows share a name. */
export function makeTable<S extends { name: string }, I extends { on: string }, C, E>(
  title: string,
  states: readonly S['name'][],
  inputs: readonly I['on'][],
  named: readonly Row<S, I, C, E>[],
  late: Late<I> = {},
): Table<S, I, C, E> {
  const rows = [...named, ...lateRows(inputs, named, late)];
  const index = indexOf(rows, states);
  if (new Set(rows.map((row) => row.name)).size !== rows.length)
    throw new Error(`${title}: a row name is used twice`);
  return {
    title,
    states,
    inputs,
    rows,
    run(state, input, config) {
      const row = find(index, { state, input, config });
      if (!row) throw new Error(`${title}: no row for ${input.on} in ${state.name}`);
      if (!row.act) return { state, effects: NONE, row: row.name, levels: NONE, ignored: row.ignore ?? '' };
      const outcome = act(title, row, { state, input, config });
      const hasLevels = index.has(LEVEL);
      if (!hasLevels) return { ...outcome, row: row.name, levels: NONE };
      const { levels, ...settled } = settle(title, index, outcome, { ...input, on: LEVEL }, config);
      return { ...settled, row: row.name, levels };
    },
  };
}

const NONE: readonly never[] = [];
type Index<S extends { name: string }, I extends { on: string }, C, E> = ReadonlyMap<
  string,
  ReadonlyMap<string, readonly Row<S, I, C, E>[]>
>;

function find<S extends { name: string }, I extends { on: string }, C, E>(
  index: Index<S, I, C, E>,
  seen: Seen<S, I, C>,
): Row<S, I, C, E> | undefined {
  const rows = index.get(seen.input.on)?.get(seen.state.name) ?? NONE;
  return rows.find((row) => !row.guard || row.guard(seen as never));
}

function act<S extends { name: string }, I extends { on: string }, C, E>(
  title: string,
  row: Row<S, I, C, E>,
  seen: Seen<S, I, C>,
): Outcome<S, E> {
  const outcome = row.act!(seen as never);
  const { name } = seen.state;
  const leadsTo = outcome.state.name === name ? 'stay' : outcome.state.name;
  if (!row.to?.includes(leadsTo) && !row.to?.includes(outcome.state.name))
    throw new Error(
      `${title}: row ${row.name} led from ${name} to ${outcome.state.name}, which it does not name`,
    );
  return outcome;
}

/** Fires the rows for levels until none applies. */
function settle<S extends { name: string }, I extends { on: string }, C, E>(
  title: string,
  index: Index<S, I, C, E>,
  first: Outcome<S, E>,
  input: I,
  config: C,
): Outcome<S, E> & { readonly levels: readonly string[] } {
  let { state, effects } = first;
  const levels: string[] = [];
  for (;;) {
    const row = find(index, { state, input, config });
    if (!row) return { state, effects, levels };
    if (levels.length === LEVELS_MAX)
      throw new Error(`${title}: rows for levels do not end: ${levels.join(', ')}`);
    const outcome = act(title, row, { state, input, config });
    state = outcome.state;
    effects = [...effects, ...outcome.effects];
    levels.push(row.name);
  }
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
