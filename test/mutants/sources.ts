/** The source that is mutated, and how an entry of the table finds its place in it, in whichever file that is. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '../..');

/** A source file: path from the root, and its text. */
export interface Source {
  readonly path: string;
  readonly text: string;
}

/** One deliberate bug. */
export interface Mutant {
  readonly name: string;
  /**
   * What is replaced: text, in which any run of white space stands for any other, or a pattern. It stands exactly once
   * in all of `src` and `targets`.
   */
  readonly find: string | RegExp;
  /** What comes in its place. */
  readonly replace: string;
  /** The property that it breaks: an invariant or an attack of docs/PROTOCOL.md, or what was promised, in words. */
  readonly breaks: string;
  /** Test files, the first of which to fail catches it. */
  readonly caughtBy: readonly string[] | string;
}

/** Files that may hold what is replaced. */
export function readSources(folders: readonly string[] = ['src', 'targets']): Source[] {
  return folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .sort()
      .map((name) => {
        const path = join(folder, name);
        return { path, text: readFileSync(join(ROOT, path), 'utf8') };
      }),
  );
}

/** Returns the pattern of an entry, for all places. */
export function patternOf({ find }: Pick<Mutant, 'find'>): RegExp {
  if (typeof find !== 'string') return new RegExp(find.source, `${find.flags.replace('g', '')}g`);
  const escaped = find.trim().replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(escaped.replace(/\s+/g, '\\s+'), 'g');
}

/** Where an entry applies: the one file, with its changed text; otherwise in how many places its pattern stands. */
export function applied(mutant: Mutant, sources: readonly Source[]): Source | number {
  const pattern = patternOf(mutant);
  const hits = sources.flatMap((source) =>
    [...source.text.matchAll(pattern)].map((match) => ({ source, match })),
  );
  const [only] = hits;
  if (hits.length !== 1 || only === undefined) return hits.length;
  const { source, match } = only;
  const after = source.text.slice(match.index + match[0].length);
  return { path: source.path, text: source.text.slice(0, match.index) + mutant.replace + after };
}

/** Test files of an entry. */
export function testsOf({ caughtBy }: Pick<Mutant, 'caughtBy'>): readonly string[] {
  return typeof caughtBy === 'string' ? [caughtBy] : caughtBy;
}
