/**
 * Mechanical mutants: random changes of operators, conditions, numbers and statements, over all of `src`. A survivor is
 * no fault by itself: it may be equal, or only cost time. It says where to look for a test that is missing.
 *
 * A small scanner finds what is code: no comment, no text, no type. What does not change what is emitted is drawn
 * again.
 */

import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { transformWithOxc } from 'vite';
import type { Planted } from './run.ts';
import { ROOT, type Source } from './sources.ts';

type Random = (bound: number) => number;

/** A change: `length` characters at `at` become `text`. */
interface Change {
  readonly what: string;
  readonly at: number;
  readonly length: number;
  readonly text: string;
}

/** Draws tried for each mutant: many places are types, or text. */
const DRAWS_MAX = 200;

const OPERATORS: Readonly<Record<string, string>> = {
  '===': '!==',
  '!==': '===',
  '<=': '<',
  '>=': '>',
  ' < ': ' <= ',
  ' > ': ' >= ',
  '&&': '||',
  '||': '&&',
  ' + ': ' - ',
  ' - ': ' + ',
  '??': '&&',
};
const OPERATOR = /===|!==|<=|>=|&&|\|\||\?\?| < | > | \+ | - /g;
const CONDITION = /\b(if|while) \(/g;
const NUMBER = /(?<![\w.])\d[\d_]*(?![\w.])/g;
/** One statement on a line of its own: a call, an assignment, a jump. */
const STATEMENT =
  /^ +(?:this\.|[a-z][\w.]*(?:\(| [-+|&]?= )|return;|continue;|break;|delete |for \(.*\) ).*;$/gm;

/** Where mutants are drawn. */
const DRAWN = /^(src|targets\/lab\/machine)\//;

/** Draws `count` mutants of files under `src` and of the simulated machine, each with the test files of its folder. */
export async function mechanicalMutants(
  sources: readonly Source[],
  count: number,
  random: Random,
): Promise<Planted[]> {
  const files = sources.filter(({ path }) => DRAWN.test(path) && testsFor(path).length > 0);
  const chars = files.reduce((sum, { text }) => sum + text.length, 0);
  const planted: Planted[] = [];
  for (let draws = 0; planted.length < count && draws < count * DRAWS_MAX; draws++) {
    let at = random(chars);
    const source = files.find(({ text }) => {
      if (at < text.length) return true;
      at -= text.length;
      return false;
    })!;
    const change = draw(source.text, random);
    if (change === undefined) continue;
    const text = source.text.slice(0, change.at) + change.text + source.text.slice(change.at + change.length);
    if (!(await differs(source, text))) continue;
    const line = source.text.slice(0, change.at).split('\n').length;
    const name = `${source.path}:${line} ${change.what}`;
    planted.push({ name, breaks: '?', source: { path: source.path, text }, tests: testsFor(source.path) });
  }
  return planted;
}

/** One change of a file, or none where the draw hits text or types. */
function draw(text: string, random: Random): Change | undefined {
  const code = blanked(text);
  const kind = random(5);
  const pattern = [OPERATOR, CONDITION, NUMBER, STATEMENT, STATEMENT][kind]!;
  const places = [...code.matchAll(pattern)];
  const place = places[random(Math.max(1, places.length))];
  if (place === undefined) return undefined;
  const at = place.index;
  const old = place[0];
  if (kind === 0)
    return {
      what: `${old.trim()} → ${OPERATORS[old]!.trim()}`,
      at,
      length: old.length,
      text: OPERATORS[old]!,
    };
  if (kind === 1) return negated(code, text, at, old);
  if (kind === 2) return { what: `${old} → ${old} + 1`, at, length: old.length, text: `(${old} + 1)` };
  const whole = text.slice(at, at + old.length);
  if (kind === 3) return { what: `drops ${whole.trim()}`, at, length: old.length, text: '' };
  const next = places[places.indexOf(place) + 1];
  if (next?.index !== at + old.length + 1) return undefined;
  const other = text.slice(next.index, next.index + next[0].length);
  return {
    what: `swaps ${whole.trim()}`,
    at,
    length: old.length + 1 + other.length,
    text: `${other}\n${whole}`,
  };
}

function negated(code: string, text: string, at: number, old: string): Change | undefined {
  const start = at + old.length;
  let depth = 1;
  let end = start;
  while (depth > 0 && end < code.length) {
    if (code[end] === '(') depth++;
    if (code[end] === ')') depth--;
    end++;
  }
  const condition = text.slice(start, end - 1);
  return {
    what: `negates ${condition.replace(/\s+/g, ' ')}`,
    at: start,
    length: end - 1 - start,
    text: `!(${condition})`,
  };
}

/** The text with spaces in place of comments and string literals. */
function blanked(text: string): string {
  const literal = /\/\*[\s\S]*?\*\/|\/\/.*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g;
  return text.replace(literal, (match) => match.replace(/[^\n]/g, ' '));
}

/** Whether what is emitted differs, and can be read at all. */
async function differs({ path, text: before }: Source, after: string): Promise<boolean> {
  try {
    const [one, two] = await Promise.all([before, after].map((code) => transformWithOxc(code, path)));
    return one!.code !== two!.code;
  } catch {
    return false;
  }
}

/** Folders whose tests are for another one besides those of their own. */
const BESIDES: Readonly<Record<string, readonly string[]>> = {
  'src/edges/enforcer': ['test/simulation/judges.test.ts'],
  'targets/lab/machine': [
    'test/simulation',
    'test/edges/enforcer/simulated.test.ts',
    'test/edges/enforcer/smmuv3.test.ts',
    'test/edges/enforcer/gic.test.ts',
  ],
  'src/core/protocol': ['test/scenarios', 'test/drivers/host', 'test/model/coverage.test.ts'],
  'src/core/agent': [
    'test/core/protocol',
    'test/scenarios',
    'test/drivers/agent',
    'test/drivers/control',
    'test/model/coverage.test.ts',
  ],
  'src/core/host': [
    'test/core/protocol',
    'test/scenarios',
    'test/drivers/host',
    'test/model/coverage.test.ts',
  ],
  'src/core/wire': ['test/drivers/link'],
  'src/drivers/agent': ['test/core/agent', 'test/core/protocol', 'test/scenarios', 'test/drivers/control'],
  'src/drivers/host': ['test/core/host', 'test/core/protocol', 'test/scenarios'],
  'src/drivers/control': ['test/drivers/agent', 'test/drivers/host'],
  'src/drivers/journal': ['test/node/file-journal.test.ts', 'test/drivers/host/table.test.ts'],
  'src/drivers/link': ['test/core/wire/session.test.ts', 'test/drivers/host/incarnations.test.ts'],
  'src/config': ['test/node/check-config.test.ts'],
  'src/planner': ['test/node/plan.test.ts'],
};

/** Test files for a source file: those of its folder, and of what stands on it. */
function testsFor(path: string): readonly string[] {
  const folder = dirname(path);
  const own = folder.replace(/^(src|targets)/, 'test');
  return [own, ...(BESIDES[folder] ?? [])].flatMap((place) => {
    if (!existsSync(join(ROOT, place))) return [];
    if (place.endsWith('.ts')) return [place];
    return readdirSync(join(ROOT, place))
      .filter((name) => name.endsWith('.test.ts') && !/^(hazards|remap|node|searches|wrap)/.test(name))
      .map((name) => `${place}/${name}`);
  });
}
