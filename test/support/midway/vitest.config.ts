/** Runs testbeds that are made to fail midway: see ../started.test.ts. */

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/support/midway/{testbeds,after}.ts'],
    // One after the other, the longer one first.
    maxWorkers: 1,
    fileParallelism: false,
    globalSetup: 'test/support/ends-run.ts',
    setupFiles: 'test/support/ends-file.ts',
    pool: 'threads',
    hookTimeout: 1_000,
  },
});
