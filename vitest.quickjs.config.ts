/** Tests of the QuickJS agents that `npm run build:quickjs` has built; `npm test` runs none of them. */

import { defineConfig } from 'vitest/config';
import { measurePace, paced } from './test/support/pace.ts';

measurePace();

export default defineConfig({
  test: {
    include: ['test/quickjs/**/*.test.ts'],
    globalSetup: 'test/quickjs/setup.ts',
    pool: 'threads',
    maxWorkers: 2,
    testTimeout: paced(30_000),
    hookTimeout: paced(20_000),
    // What is compared with a file that is missing fails: `-u` alone writes it.
    update: 'none',
  },
});
