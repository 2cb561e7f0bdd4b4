import { defineConfig } from 'vitest/config';
import { measurePace, paced } from './test/support/pace.ts';

measurePace();

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [
      'test/system/**',
      'test/quickjs/**',
      'targets/lab/bench/**',
      'test/model/searches-*',
      'test/simulation/product/runs-*',
    ],
    // Whatever tests start ends with their file, and with the run.
    globalSetup: 'test/support/ends-run.ts',
    setupFiles: 'test/support/ends-file.ts',
    pool: 'threads',
    testTimeout: paced(30_000),
    // A test that asserts nothing passes whatever happens.
    expect: { requireAssertions: true },
    // What is compared with a file that is missing fails: `-u` alone writes it.
    update: 'none',
    hookTimeout: paced(30_000),
    // The machine that this must pass on has two cores; left alone, the runner would use one of them.
    maxWorkers: 2,
  },
});
