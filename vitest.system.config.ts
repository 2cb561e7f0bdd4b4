/** Tests that need programs of the machine, such as mosquitto; `npm test` runs none of them. */

import { defineConfig } from 'vitest/config';
import { measurePace, paced } from './test/support/pace.ts';

measurePace();

export default defineConfig({
  test: {
    include: ['test/system/**/*.test.ts'],
    exclude: ['test/system/kvm/**', 'test/system/guests/**'],
    pool: 'threads',
    testTimeout: paced(30_000),
    // What is compared with a file that is missing fails: `-u` alone writes it.
    update: 'none',
    hookTimeout: paced(20_000),
  },
});
