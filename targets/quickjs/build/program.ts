/**
 * Builds another program like an agent: static for each machine, and a script for an engine of the system. For the
 * programs of tests and benchmarks.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytecodeFile, Engine, HOST, MACHINES, run } from './engine.ts';

/** What to build. */
export interface ProgramOrder {
  /** Output folder of tsc, and the entry file in it. */
  readonly js: string;
  readonly entry: string;
  /** Whether npm mqtt is in it. */
  readonly mqtt: boolean;
}

/** Command lines that start a program: for each machine, and as a script. */
export type ProgramWords = Readonly<Record<'x86_64' | 'aarch64' | 'script', readonly string[]>>;

/** Builds it into `folder`. `root`: the folder of the repository, with what `npm run build:quickjs` makes. */
export function makeProgram(root: string, folder: string, order: ProgramOrder): ProgramWords {
  const at = (file: string) => join(folder, file);
  for (const [output, native] of [
    ['static.js', 'baton'],
    ['script.js', join(root, 'dist/quickjs/baton.so')],
  ] as const) {
    const { js, entry, mqtt } = order;
    const config = join(js, `rollup-${process.pid}.config.mjs`);
    writeFileSync(
      config,
      `import { bundle } from '${root}/targets/quickjs/build/bundle.mjs';\nexport default ` +
        `bundle(${JSON.stringify({ js, entry, mqtt, output: at(output), native })});\n`,
    );
    run(join(root, 'node_modules/.bin/rollup'), ['--silent', '-c', config], root);
  }
  const host = new Engine(root, HOST);
  bytecodeFile(host.compiler(), at('static.js'), at('static.c'));
  for (const machine of MACHINES) new Engine(root, machine).link(at('static.c'), at(machine.name));
  return {
    x86_64: [at('x86_64')],
    aarch64: ['qemu-aarch64-static', at('aarch64')],
    script: [host.interpreter(), '-m', at('script.js')],
  };
}
