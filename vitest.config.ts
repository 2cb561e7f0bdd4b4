import { defineConfig } from 'vitest/config';
import { measurePace, paced } from './test/support/pace.ts';

measurePace();

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [
      'test/system/**',
      'test/quickjs/**',
      'test/bench/**',
      'test/model/searches-*',
      'test/simulation/product/runs-*',
    ],
    pool: 'threads',
    testTimeout: paced(30_000),
    // What is compared with a file that is missing fails: `-u` alone writes it.
    update: 'none',
    hookTimeout: paced(30_000),
    // The machine that this must pass on has two cores; left alone, the runner would use one of them.
    maxWorkers: 2,
  },
});
