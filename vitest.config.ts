import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/system/**', 'test/bench/**'],
    pool: 'threads',
    testTimeout: 20_000,
  },
});
