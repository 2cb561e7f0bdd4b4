import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/system/**', 'test/quickjs/**', 'test/bench/**'],
    pool: 'threads',
    testTimeout: 20_000,
    // The machine that this must pass on has two cores; left alone, the runner would use one of them.
    maxWorkers: 2,
  },
});
