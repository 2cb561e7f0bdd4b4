/**
 * What searches and simulates for minutes: every schedule of a small world (test/model), and thousands of handovers of
 * the whole product under faults (test/simulation/product). `npm test` runs their controls alone.
 */

import { defineConfig } from 'vitest/config';
import { measurePace } from './test/support/pace.ts';

measurePace();

export default defineConfig({
  test: {
    include: ['test/model/searches-*.test.ts', 'test/simulation/product/runs-*.test.ts'],
    // Whatever tests start ends with their file, and with the run.
    globalSetup: 'test/support/ends-run.ts',
    setupFiles: 'test/support/ends-file.ts',
    pool: 'threads',
    // What is compared with a file that is missing fails: `-u` alone writes it.
    update: 'none',
    maxWorkers: 2,
  },
});
