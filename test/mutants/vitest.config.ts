/**
 * A test run over source of which one file was changed on purpose (test/mutants). BATON_MUTANT names that file and the
 * one that is read in its place, each on a line: nothing in the tree is touched.
 */

import { readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';

const [original, mutated] = (process.env['BATON_MUTANT'] ?? '').split('\n');

export default defineConfig({
  plugins: [
    {
      name: 'mutant',
      enforce: 'pre',
      load: (id) => (mutated && id.split('?')[0] === original ? readFileSync(mutated, 'utf8') : null),
    },
  ],
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/ends-run.ts',
    setupFiles: 'test/support/ends-file.ts',
    pool: 'threads',
    update: 'none',
    testTimeout: 60_000,
    // The runner has two of these at once.
    maxWorkers: 1,
  },
});
