/** What a bench says: rows for machines, a table for people, and aloud what could not run. */

/** One figure. `baseline` and `ratio` are there where the figure is measured against something. */
export interface Row {
  readonly bench: string;
  readonly case: string;
  readonly value: number;
  readonly unit: string;
  /** Name and value of what it is compared with. */
  readonly baseline?: { readonly name: string; readonly value: number };
  readonly ratio?: number;
  /** What the ratio, or the value, may be; the row then says whether it holds. */
  readonly bar?: { readonly text: string; readonly holds: boolean };
}

/** Collects rows. */
export class Report {
  readonly rows: Row[] = [];
  /** Cases that could not run, and why. */
  readonly skipped: { readonly bench: string; readonly case: string; readonly why: string }[] = [];

  add(row: Row): void {
    this.rows.push(row);
  }

  /** Adds `value` with its ratio to `baseline`, which must not exceed `ratioMax` where that is given. */
  compare(
    row: Omit<Row, 'ratio' | 'bar'> & { baseline: NonNullable<Row['baseline']> },
    ratioMax?: number,
  ): void {
    const ratio = row.value / row.baseline.value;
    const bar = ratioMax === undefined ? {} : { bar: { text: `≤ ${ratioMax}`, holds: ratio <= ratioMax } };
    this.add({ ...row, ratio, ...bar });
  }

  /** Adds `value`, which must not exceed `max`. */
  limit(row: Omit<Row, 'ratio' | 'bar' | 'baseline'>, max: number): void {
    this.add({ ...row, bar: { text: `≤ ${max} ${row.unit}`, holds: row.value <= max } });
  }

  skip(bench: string, which: string, why: string): void {
    this.skipped.push({ bench, case: which, why });
  }

  /** The rows as JSON lines; flat, so that a spreadsheet takes them. */
  json(): string {
    const rows = this.rows.map(({ baseline, bar, ...row }) => ({
      ...row,
      baseline: baseline?.value ?? null,
      baselineName: baseline?.name ?? null,
      ratio: row.ratio ?? null,
      bar: bar?.text ?? null,
      holds: bar?.holds ?? null,
    }));
    const skipped = this.skipped.map((skip) => ({ ...skip, skipped: true }));
    return [...rows, ...skipped].map((line) => `${JSON.stringify(line)}\n`).join('');
  }

  /** The rows as a table in Markdown. */
  table(): string {
    const head = ['bench', 'case', 'value', 'unit', 'baseline', 'ratio', 'bar'];
    const cells = this.rows.map((row) => [
      row.bench,
      row.case,
      figure(row.value),
      row.unit,
      row.baseline ? `${row.baseline.name} ${figure(row.baseline.value)}` : '',
      row.ratio === undefined ? '' : row.ratio.toFixed(2),
      row.bar ? `${row.bar.text} ${row.bar.holds ? 'holds' : 'MISSED'}` : '',
    ]);
    const widths = head.map((name, column) =>
      Math.max(name.length, ...cells.map((row) => row[column]!.length)),
    );
    const line = (row: readonly string[]) =>
      `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |\n`;
    const rule = line(widths.map((width) => '-'.repeat(width)));
    return line(head) + rule + cells.map(line).join('') + this.#spoken();
  }

  #spoken(): string {
    const missed = this.rows.filter(({ bar }) => bar && !bar.holds).length;
    const held = this.rows.filter(({ bar }) => bar?.holds).length;
    const notRun = this.skipped.map((skip) => `NOT RUN: ${skip.bench} ${skip.case}: ${skip.why}\n`).join('');
    return `\n${notRun}${held} bars hold, ${missed} missed, ${this.skipped.length} cases not run\n`;
  }
}

/** Three digits that count, and no more. */
function figure(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 1 ? 2 : 3;
  return value.toFixed(digits);
}
