/**
 * The recipes of docs/HACKING.md, carried out on a copy of the tree with a toy each: exactly the files that they name
 * are changed by hand, and the suites find what was added.
 */

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { paced } from '../../support/pace.ts';
import { TOYS, type Toy } from './toys.ts';

const ROOT = join(import.meta.dirname, '../../..');
/** Suites in the copy have limits of their own: this one ends a runner that hangs. */
const LIMIT_MS = paced(120_000);
/** What is no source; the copy shares the first two. */
const LEFT_OUT = new Set(['node_modules', 'dist', 'bench', '.git']);
const tree = mkdtempSync(join(tmpdir(), 'baton-recipes-'));
afterAll(() => rmSync(tree, { recursive: true, force: true }));

/** Files of the tree that the steps of a recipe name, with the toy's name in place of NAME. */
function filesOf({ recipe, name }: Toy): string[] {
  const text = readFileSync(join(ROOT, 'docs/HACKING.md'), 'utf8');
  const [, section = ''] = text.split(`\n## ${recipe}\n`);
  const steps = section
    .split('\n## ')[0]!
    .split(/^\d+\. /m)
    .slice(1);
  const files = steps.map((step) => /^`([^`]+)`/.exec(step)?.[1]);
  return files.flatMap((file) => (file === undefined ? [] : [file.replaceAll('NAME', name)]));
}

/** Carries out a recipe, but for files whose path has `without`. */
function carryOut({ files, lines }: Toy, without?: string): void {
  const isLeftOut = (path: string) => without !== undefined && path.includes(without);
  for (const [path, text] of Object.entries(files)) {
    if (isLeftOut(path)) continue;
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  }
  for (const [path, added] of Object.entries(lines)) {
    if (isLeftOut(path)) continue;
    const all = readFileSync(join(tree, path), 'utf8').split('\n');
    for (const { before, after, add } of added) {
      const at = all.findIndex((line) => line.includes(before));
      expect(at, `${path}: ${before}`).toBeGreaterThanOrEqual(0);
      all.splice(after ? at + 1 : at, 0, add);
    }
    writeFileSync(join(tree, path), all.join('\n'));
  }
}

/** Runs suites in the copy. Returns the names of tests that passed, and of those that failed. */
function run(
  suites: readonly string[],
  ...options: string[]
): { passed: string[]; failed: string[]; said: string } {
  const out = join(tree, 'results.json');
  rmSync(out, { force: true });
  const words = ['vitest', 'run', '--project', 'unit', '--reporter=json', `--outputFile=${out}`];
  const { stdout, stderr } = spawnSync('npx', [...words, ...suites, ...options], {
    cwd: tree,
    encoding: 'utf8',
    timeout: LIMIT_MS,
  });
  const { testResults } = JSON.parse(readFileSync(out, 'utf8')) as {
    testResults: { assertionResults: { fullName: string; status: string }[] }[];
  };
  const all = testResults.flatMap(({ assertionResults }) => assertionResults);
  const named = (status: string) =>
    all.filter((each) => each.status === status).map(({ fullName }) => fullName);
  return { passed: named('passed'), failed: named('failed'), said: stdout + stderr };
}

/** Suites that write what is generated. */
const WRITERS = [
  ...['config', 'platforms', 'protocol', 'schema'].map((name) => `test/docs/${name}.test.ts`),
  ...['cddl', 'vectors'].map((name) => `test/core/wire/${name}.test.ts`),
];
/** The suites that look for what the recipes add. */
const SUITES = [
  ...WRITERS,
  'test/edges/hooks/nap.test.ts',
  'test/edges/enforcer/trusting.test.ts',
  'test/edges/transport/local.test.ts',
  'test/cli/hello.test.ts',
  'test/core/protocol/tables.test.ts',
  'test/core/protocol/requirements.test.ts',
  'test/docs/readme.test.ts',
  'test/docs/requirements.test.ts',
  'test/imports.test.ts',
];

beforeAll(() => {
  cpSync(ROOT, tree, {
    recursive: true,
    verbatimSymlinks: true,
    filter: (path) => !LEFT_OUT.has(relative(ROOT, path)),
  });
  for (const shared of ['node_modules', 'dist']) symlinkSync(join(ROOT, shared), join(tree, shared));
}, LIMIT_MS);

it.each(TOYS)('$recipe: names the files that are changed by hand', (toy) => {
  const changed = [...Object.keys(toy.files), ...Object.keys(toy.lines)];
  expect(filesOf(toy).sort()).toEqual(changed.sort());
  expect(changed.length).toBeLessThanOrEqual(toy.recipe === 'Add a message' ? 5 : 4);
});

describe.sequential('on a copy of the tree', () => {
  it(
    'what a recipe leaves out is missed: the text of an enforcer, the rows of a message',
    () => {
      const [enforcer, message] = ['Add an enforcer', 'Add a message'].map(
        (recipe) => TOYS.find((toy) => toy.recipe === recipe)!,
      );
      carryOut(enforcer!, 'platform.md');
      carryOut(message!, 'owner-hold.ts');
      const { failed } = run(['test/docs/platforms.test.ts', 'test/core/protocol/tables.test.ts']);
      expect(failed.join('\n')).toMatch(/section of trusting/);
      expect(failed.join('\n')).toMatch(/owner/);
      for (const path of [enforcer!, message!].flatMap(({ lines }) => Object.keys(lines)))
        cpSync(join(ROOT, path), join(tree, path));
    },
    LIMIT_MS,
  );

  it(
    'all of them are found by types, suites and documents',
    () => {
      for (const toy of TOYS) carryOut(toy);
      const types = spawnSync('npx', ['tsc', '-p', 'tsconfig.json', '--noEmit'], {
        cwd: tree,
        encoding: 'utf8',
      });
      expect(types.stdout).toBe('');
      run(WRITERS, '-u');
      const { passed, failed, said } = run(SUITES);
      expect(failed, said.slice(-2_000)).toEqual([]);
      for (const { found } of TOYS)
        for (const part of found)
          expect(passed.filter((name) => name.includes(part)).length, part).toBeGreaterThan(0);
    },
    LIMIT_MS,
  );
});
