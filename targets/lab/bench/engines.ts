/** The bench's parties as programs, one for each engine that an agent runs in. */

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MACHINES, missingPrograms } from '../../quickjs/build/engine.ts';
import { makeProgram } from '../../quickjs/build/program.ts';

/** The built programs are where this one is. */
const DIST = dirname(fileURLToPath(import.meta.url));
const ROOT = dirname(DIST);

/** A party on Node: this program again. */
export const NODE: readonly string[] = [process.execPath, join(DIST, 'bench.mjs'), '--party'];

/** Engines besides Node. `script`: a `qjs` as a system has it. `aarch64`: under an emulator of its processor. */
export const SMALL = ['x86_64', 'script', 'aarch64'] as const;
export type Small = (typeof SMALL)[number];

/** Parties that were built, by engine, and what removes them. */
export interface BuiltParties {
  readonly words: Readonly<Record<Small, readonly string[]>>;
  remove(): void;
}

/** Builds the parties for QuickJS, or says why it cannot: what has to be installed or built before. */
export function buildParties(): BuiltParties | string {
  const missing = missingPrograms(MACHINES);
  if (missing !== undefined) return missing;
  if (!existsSync(join(DIST, 'quickjs/baton.so'))) return 'needs npm run build:quickjs';
  // Beside the packages that it imports.
  const folder = mkdtempSync(join(DIST, 'bench-'));
  try {
    const order = { js: join(DIST, 'js'), entry: 'targets/lab/bench/quickjs-main.js', mqtt: true };
    return {
      words: makeProgram(ROOT, folder, order),
      remove: () => rmSync(folder, { recursive: true, force: true }),
    };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}
