/** Tests of the QuickJS agents that `npm run build:quickjs` has built; `npm test` runs none of them. */

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/quickjs/**/*.test.ts'],
    globalSetup: 'test/quickjs/setup.ts',
    pool: 'threads',
    maxWorkers: 2,
    testTimeout: 30_000,
    // A transcript that is missing is not made up: `-u` writes it.
    update: 'none',
  },
});
