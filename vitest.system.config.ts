/** Tests that need programs of the machine, such as mosquitto; `npm test` runs none of them. */

import { defineConfig } from 'vitest/config';
import { measurePace, paced } from './test/support/pace.ts';

measurePace();

export default defineConfig({
  test: {
    include: ['test/system/**/*.test.ts'],
    exclude: ['test/system/kvm/**', 'test/system/guests/**'],
    // Whatever tests start ends with their file, and with the run.
    globalSetup: 'test/support/ends-run.ts',
    setupFiles: 'test/support/ends-file.ts',
    pool: 'threads',
    // The machine that this must pass on has two cores; left alone, the runner would use one of them.
    maxWorkers: 2,
    testTimeout: paced(30_000),
    // What is compared with a file that is missing fails: `-u` alone writes it.
    update: 'none',
    hookTimeout: paced(20_000),
  },
});
