/** Tests of the QuickJS agents that `npm run build:quickjs` has built; `npm test` runs none of them. */

import { defineConfig } from 'vitest/config';
import { measurePace, paced } from './test/support/pace.ts';

measurePace();

export default defineConfig({
  test: {
    include: ['test/quickjs/**/*.test.ts'],
    // Whatever tests start ends with their file, and with the run.
    globalSetup: ['test/support/ends-run.ts', 'test/quickjs/setup.ts'],
    setupFiles: 'test/support/ends-file.ts',
    pool: 'threads',
    maxWorkers: 2,
    testTimeout: paced(30_000),
    hookTimeout: paced(20_000),
    // What is compared with a file that is missing fails: `-u` alone writes it.
    update: 'none',
  },
});
