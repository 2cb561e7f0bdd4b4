/**
 * Builds a program of the tests as an agent is built: static for each machine, and a script for an engine of the
 * system.
 */

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../targets/quickjs/build/engine.ts';
import { makeProgram, type ProgramWords } from '../../targets/quickjs/build/program.ts';

const ROOT = join(import.meta.dirname, '../..');
/** tsc says nothing of these: `npm run check` does. */
const EMIT =
  '--ignoreConfig --noCheck --target es2022 --module nodenext --rewriteRelativeImportExtensions'.split(' ');

/** A program that was built, by the words that call it, and what removes it. */
export interface BuiltProgram {
  readonly words: ProgramWords;
  remove(): void;
}

/** Builds `name`.ts of this folder. */
export function buildProgram(name: string): BuiltProgram {
  const folder = mkdtempSync(join(tmpdir(), 'baton-program-'));
  // Beside the packages that it imports.
  const js = mkdtempSync(join(ROOT, 'dist/test-'));
  try {
    const target = join(ROOT, 'targets/quickjs');
    // With what is put in place of other files, which nobody imports.
    const files = readdirSync(target, { encoding: 'utf8', recursive: true })
      .filter((file) => file.endsWith('.ts') && !file.startsWith('build'))
      .map((file) => join(target, file));
    const source = join(ROOT, `test/quickjs/${name}.ts`);
    run(
      join(ROOT, 'node_modules/.bin/tsc'),
      [...EMIT, '--rootDir', ROOT, '--outDir', js, ...files, source],
      ROOT,
    );
    const words = makeProgram(ROOT, folder, { js, entry: `test/quickjs/${name}.js`, mqtt: false });
    return { words, remove: () => rmSync(folder, { recursive: true }) };
  } finally {
    rmSync(js, { recursive: true });
  }
}
