/**
 * Many runs of the whole product (story.ts), and what came of them: how many handovers, which fault met which phase,
 * what was found. A run that finds something is made as small as it still finds it, and told whole.
 */

import { FAULT_KINDS, PHASES } from './faults.ts';
import { type Outcome, play, type Story, storyOf } from './story.ts';

/** Runs of which each meets, or was drawn to meet, another fault in another phase. */
export const CELLS = FAULT_KINDS.length * PHASES.length;

export interface Report {
  runs: number;
  begun: number;
  confirmed: number;
  /** How often each fault met each phase. */
  readonly met: Map<string, number>;
  /** The first run that found something. */
  failure: Outcome | undefined;
}

export const emptyReport = (): Report => ({
  runs: 0,
  begun: 0,
  confirmed: 0,
  met: new Map(),
  failure: undefined,
});

/** Plays the runs of `seeds`, and adds them to `report`, until one finds something or it is enough. */
export async function campaign(
  report: Report,
  seeds: Iterable<number>,
  isEnough: () => boolean = () => false,
): Promise<void> {
  for (const seed of seeds) {
    if (isEnough()) return;
    const outcome = await play(storyOf(seed));
    report.runs += 1;
    report.begun += outcome.begun;
    report.confirmed += outcome.confirmed;
    for (const cell of outcome.met) count(report.met, cell);
    if (outcome.findings.length === 0) continue;
    report.failure = outcome;
    return;
  }
}

/** The smallest run that still finds what this one found first: fewer faults, a shorter time of wishes. */
export async function shrink(story: Story, property: string): Promise<Story> {
  const finds = async (smaller: Story) =>
    (await play(smaller)).findings.some((each) => each.property === property);
  let smallest = story;
  for (const fault of story.faults) {
    const smaller = { ...smallest, faults: smallest.faults.filter((other) => other !== fault) };
    if (await finds(smaller)) smallest = smaller;
  }
  for (let ms = smallest.wishesMs / 2; ms > SHORTEST_MS; ms /= 2) {
    const smaller = { ...smallest, wishesMs: ms };
    if (!(await finds(smaller))) break;
    smallest = smaller;
  }
  return smallest;
}

/** Shorter than this nothing is borrowed. */
const SHORTEST_MS = 500;
/** Lines of a transcript that a person reads: what led to the finding. */
const LINES_SHOWN = 80;

/** A failed run in words, with all that replays it. */
export async function failureText({ story, findings }: Outcome): Promise<string> {
  const [first] = findings;
  const smallest = await shrink(story, first!.property);
  const { transcript, findings: again } = await play(smallest, true);
  const atMs = again[0]?.atMs ?? first!.atMs;
  const before = transcript.filter((line) => Number.parseFloat(line) <= atMs);
  return [
    `seed ${story.seed}: ${findings.map(({ property, text }) => `${property}: ${text}`).join('; ')}`,
    `again: BATON_SEED=${story.seed} npx vitest run test/simulation/product/replay.test.ts`,
    `smallest: ${JSON.stringify(smallest)}`,
    ...before.slice(-LINES_SHOWN),
  ].join('\n');
}

/** Faults by phases, with how often they met. */
export function tableText({ met }: Report): string {
  const width = Math.max(...FAULT_KINDS.map((kind) => kind.length)) + 1;
  const heads = PHASES.map((phase, index) => `${' '.repeat(width)}${'    |'.repeat(index)}  ${phase}`);
  const rows = FAULT_KINDS.map((kind) => {
    const cells = PHASES.map((phase) => String(met.get(`${kind} / ${phase}`) ?? 0).padStart(5));
    return `${kind.padEnd(width)}${cells.join('')}`;
  });
  return [...heads, ...rows].join('\n');
}

/** Cells in which a fault never met its phase, by their number: the seeds of which are drawn for it (faults.ts). */
export function emptyCells({ met }: Report): number[] {
  const cells = PHASES.flatMap((phase) => FAULT_KINDS.map((kind) => `${kind} / ${phase}`));
  return cells.flatMap((cell, index) => (met.has(cell) ? [] : [index]));
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
