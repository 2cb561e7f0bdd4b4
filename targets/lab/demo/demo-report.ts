/**
 * Output of the demo: one line per step with its time and the holder of the bundle, and at the end the phases, the
 * blackout, and how many expectations held. With --json the same as JSON lines.
 */

import type { CliWorld } from '../../../src/cli/world.ts';

/** One expectation and whether it held. */
export interface Expectation {
  readonly text: string;
  readonly held: boolean;
  readonly why?: string | undefined;
}

export class DemoReport {
  readonly expectations: Expectation[] = [];
  holder = 'nobody';
  readonly #world: CliWorld;
  readonly #json: boolean;
  readonly #startMs = performance.now();

  constructor(world: CliWorld, json: boolean) {
    this.#world = world;
    this.#json = json;
    if (!json) world.out('  TIME/s  HOLDER    WHAT HAPPENS');
  }

  /** Takes the holder from the host's events. */
  follow(by: string, event: Readonly<Record<string, unknown>>): void {
    if (by === 'host' && event['event'] === 'changed') this.holder = String(event['holder'] ?? 'nobody');
  }

  /** A chapter of the story. */
  chapter(text: string): void {
    if (this.#json) this.#line({ event: 'chapter', text });
    else for (const line of ['', `                    ${text}`]) this.#world.out(line);
  }

  /** A step. */
  step(text: string): void {
    if (this.#json) this.#line({ event: 'step', text, holder: this.holder });
    else this.#print(' ', text);
  }

  /** A line that a kernel printed. */
  kernel(line: string): void {
    if (this.#json) this.#line({ event: 'kernel', line });
    else this.#print('#', `kernel: ${line}`);
  }

  /** A measured figure, in ms. */
  figure(name: string, ms: number): void {
    if (Number.isNaN(ms)) return;
    if (this.#json) this.#line({ event: 'figure', name, ms: Number(ms.toFixed(2)) });
    else this.#world.out(`  ${name.padEnd(46)} ${ms.toFixed(1).padStart(8)} ms`);
  }

  /** Records whether an expectation held. */
  expect(text: string, held: boolean, why?: string): void {
    this.expectations.push({ text, held, why });
    if (this.#json) this.#line({ event: 'expectation', text, held, ...(held ? {} : { why }) });
    else this.#print(held ? '✓' : '✗', held ? text : `NOT HELD: ${text}${why ? ` (${why})` : ''}`);
  }

  /** Prints the end. `sabotage`: the safeguard that was switched off. Returns whether everything held. */
  summary(sabotage?: string): boolean {
    const { length } = this.expectations;
    const held = this.expectations.filter((expectation) => expectation.held).length;
    const ok = held === length && length > 0;
    if (this.#json) {
      this.#line({ event: 'summary', ok, expectations: length, held, ...(sabotage ? { sabotage } : {}) });
      return ok;
    }
    this.#world.out('');
    for (const { text } of this.expectations.filter((expectation) => !expectation.held)) {
      this.#world.out(`went wrong: ${text}`);
    }
    const verdict = ok
      ? `the sabotage ${sabotage} was NOT caught`
      : `failed, as it must under sabotage ${sabotage}`;
    this.#world.out(`${held} of ${length} expectations held${sabotage ? `: ${verdict}` : ''}`);
    return ok;
  }

  /** Medians of the phases of all remaps that the host reported, on its clock. */
  phases(told: readonly { readonly by: string; readonly event: Readonly<Record<string, unknown>> }[]): void {
    const remaps = new Map<number, Map<string, number>>();
    for (const { by, event } of told) {
      if (by !== 'host' || event['event'] !== 'phase') continue;
      const phases = remaps.get(Number(event['epoch'])) ?? new Map<string, number>();
      phases.set(String(event['phase']), Number(event['ms']));
      remaps.set(Number(event['epoch']), phases);
    }
    this.chapter(`Medians of ${remaps.size} remaps, on the host’s clock`);
    for (const phase of ['fence', 'settle', 'clean', 'grant']) {
      this.figure(phase, median([...remaps.values()].flatMap((phases) => phases.get(phase) ?? [])));
    }
  }

  #print(mark: string, text: string): void {
    const seconds = ((performance.now() - this.#startMs) / 1000).toFixed(3);
    this.#world.out(`${seconds.padStart(8)}  ${this.holder.padEnd(8)}  ${mark} ${text}`);
  }

  #line(value: Record<string, unknown>): void {
    this.#world.out(JSON.stringify({ atMs: Math.round(performance.now() - this.#startMs), ...value }));
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
