/** Builds a program of the tests as an agent is built: static for each machine, and a script for an engine of the system. */

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytecodeFile, Engine, HOST, MACHINES, run } from '../../targets/quickjs/build/engine.ts';

const ROOT = join(import.meta.dirname, '../..');
/** tsc says nothing of these: `npm run check` does. */
const EMIT =
  '--ignoreConfig --noCheck --target es2022 --module nodenext --rewriteRelativeImportExtensions'.split(' ');

/** A program that was built, by the words that call it, and what removes it. */
export interface BuiltProgram {
  readonly words: Readonly<Record<'x86_64' | 'aarch64' | 'script', readonly string[]>>;
  remove(): void;
}

/** Builds `name`.ts of this folder. */
export function buildProgram(name: string): BuiltProgram {
  const folder = mkdtempSync(join(tmpdir(), 'baton-program-'));
  const at = (file: string) => join(folder, file);
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
    for (const [output, native] of [
      ['static.js', 'baton'],
      ['script.js', join(ROOT, 'dist/quickjs/baton.so')],
    ] as const) {
      const order = { js, entry: `test/quickjs/${name}.js`, output: at(output), native };
      writeFileSync(
        join(js, 'rollup.config.mjs'),
        `import { bundle } from '${ROOT}/targets/quickjs/build/bundle.mjs';\nexport default bundle(${JSON.stringify(order)});\n`,
      );
      run(join(ROOT, 'node_modules/.bin/rollup'), ['--silent', '-c', join(js, 'rollup.config.mjs')], ROOT);
    }
    const host = new Engine(ROOT, HOST);
    bytecodeFile(host.compiler(), at('static.js'), at('static.c'));
    for (const machine of MACHINES) new Engine(ROOT, machine).link(at('static.c'), at(machine.name));
    return {
      words: {
        x86_64: [at('x86_64')],
        aarch64: ['qemu-aarch64-static', at('aarch64')],
        script: [host.interpreter(), '-m', at('script.js')],
      },
      remove: () => rmSync(folder, { recursive: true }),
    };
  } finally {
    rmSync(js, { recursive: true });
  }
}
