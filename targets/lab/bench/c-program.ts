/** Compiles a small program in C for a bench, where there is a compiler. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A program, or what is missing to have it. */
export type CProgram = { readonly path: string; remove(): void } | { readonly missing: string };

export function compileC(source: string): CProgram {
  if (spawnSync('cc', ['--version']).status !== 0)
    return { missing: 'no C compiler: apt-get install gcc libc6-dev' };
  const folder = mkdtempSync(join(tmpdir(), 'baton-bench-c-'));
  const path = join(folder, 'program');
  const { status, stderr } = spawnSync('cc', ['-std=gnu11', '-Wall', '-O2', source, '-o', path], {
    encoding: 'utf8',
  });
  const remove = () => rmSync(folder, { recursive: true, force: true });
  if (status === 0) return { path, remove };
  remove();
  throw new Error(`${source}: ${stderr}`);
}
