/**
 * Plants bugs one at a time and demands that a test fails: the entries of the table, or mechanical ones.
 *
 *   npm run test:mutants                                 all entries
 *   npm run test:mutants -- --share 0.1 --seed 7         a tenth of them, chosen by the seed
 *   npm run test:mutants -- --only PATTERN                those whose name this pattern matches
 *   npm run test:mutants -- --mechanical 40 --seed 7     random changes of operators, conditions and statements
 */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { seededRandom } from '../../targets/lab/machine/random.ts';
import { mechanicalMutants } from './mechanical.ts';
import { applied, type Mutant, ROOT, readSources, type Source, testsOf } from './sources.ts';
import { MUTANTS } from './table.ts';

/** Runs at a time: the machine that this must pass on has two cores. */
const WORKERS = 2;
/** Longest run of a mutant, in ms: more than this hangs, which is as good as a test that fails. */
const LIMIT_MS = 180_000;

/** A mutant at its place. */
export interface Planted {
  readonly name: string;
  readonly breaks: string;
  readonly source: Source;
  readonly tests: readonly string[];
}

type Verdict = 'caught' | 'hangs' | 'SURVIVES';

/** Returns the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      share: { type: 'string' },
      seed: { type: 'string' },
      only: { type: 'string' },
      mechanical: { type: 'string' },
    },
  });
  const seed = Number(values.seed ?? Date.now() % 100_000);
  console.log(`seed ${seed}`);
  const random = seededRandom(seed);
  const sources = readSources();
  let planted: Planted[];
  if (values.mechanical !== undefined) {
    planted = await mechanicalMutants(sources, Number(values.mechanical), random);
  } else {
    const chosen = choose(MUTANTS, values.only, Number(values.share ?? 1), random);
    const placed = chosen.map((mutant) => place(mutant, sources));
    const wrong = placed.filter((each) => typeof each === 'string');
    for (const text of wrong) console.log(text);
    if (wrong.length > 0) return 1;
    planted = placed.filter((each) => typeof each !== 'string');
  }
  return (await run(planted)) ? 0 : 1;
}

/** Some of the entries, in the order of the table. */
function choose(
  all: readonly Mutant[],
  only: string | undefined,
  share: number,
  random: (bound: number) => number,
): readonly Mutant[] {
  if (only !== undefined) return all.filter(({ name }) => new RegExp(only).test(name));
  const left = [...all];
  while (left.length > Math.ceil(all.length * share)) left.splice(random(left.length), 1);
  return left;
}

function place(mutant: Mutant, sources: readonly Source[]): Planted | string {
  const source = applied(mutant, sources);
  if (typeof source === 'number') return `${mutant.name}: its pattern stands in ${source} places, not in one`;
  return { name: mutant.name, breaks: mutant.breaks, source, tests: testsOf(mutant) };
}

/** Runs all, two at a time, and prints a line for each. Returns whether each was caught. */
async function run(planted: readonly Planted[]): Promise<boolean> {
  const startMs = performance.now();
  const folder = mkdtempSync(join(tmpdir(), 'baton-mutants-'));
  try {
    const files = [...new Set(planted.flatMap(({ tests }) => tests))];
    const halves = [0, 1].map((half) => files.filter((_, index) => index % WORKERS === half));
    const clean = await Promise.all(
      halves.filter((half) => half.length > 0).map((half) => vitest(half, undefined, LIMIT_MS * half.length)),
    );
    const failed = clean.find(({ verdict }) => verdict !== 'SURVIVES');
    if (failed !== undefined) {
      console.log(`${failed.output}\nthe tests fail without any mutant`);
      return false;
    }
    console.log(`${files.length} test files pass without a mutant: ${seconds(startMs)}`);
    const survivors: Planted[] = [];
    const waiting = planted.map((mutant, index) => ({ mutant, path: join(folder, `${index}.ts`) }));
    const work = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        if ((await attempt(next.mutant, next.path)) === 'SURVIVES') survivors.push(next.mutant);
      }
    };
    await Promise.all(Array.from({ length: WORKERS }, work));
    console.log(`${planted.length} mutants, ${survivors.length} survive: ${seconds(startMs)}`);
    for (const { name, source, tests } of survivors)
      console.log(`SURVIVES ${name} in ${source.path}: ${tests}`);
    return survivors.length === 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function attempt({ name, breaks, source, tests }: Planted, path: string): Promise<Verdict> {
  const startMs = performance.now();
  writeFileSync(path, source.text);
  const { verdict } = await vitest(tests, `${join(ROOT, source.path)}\n${path}`, LIMIT_MS);
  const columns = [
    verdict.padEnd(8),
    seconds(startMs).padStart(6),
    name,
    `breaks ${breaks}`,
    tests.join(' '),
  ];
  console.log(columns.join(' | '));
  return verdict;
}

/** Runs test files over the mutant, up to the first failure. */
function vitest(
  files: readonly string[],
  mutant: string | undefined,
  limitMs: number,
): Promise<{ verdict: Verdict; output: string }> {
  const args = [
    'node_modules/vitest/vitest.mjs',
    'run',
    '--config',
    'test/mutants/vitest.config.ts',
    '--bail',
    '1',
  ];
  const child = spawn(process.execPath, [...args, ...files], {
    cwd: ROOT,
    env: { ...process.env, NO_COLOR: '1', ...(mutant === undefined ? {} : { BATON_MUTANT: mutant }) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
  return new Promise((resolve) => {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill('SIGKILL');
    }, limitMs);
    child.on('close', (code) => {
      clearTimeout(timer);
      // A mutant that cannot be read, or a test file that is not there, fails for nothing.
      const isVoid = /Transform failed|PARSE_ERROR|No test files found/.test(output);
      resolve({ verdict: isLate ? 'hangs' : code === 0 || isVoid ? 'SURVIVES' : 'caught', output });
    });
  });
}

function seconds(startMs: number): string {
  return `${((performance.now() - startMs) / 1000).toFixed(1)} s`;
}
