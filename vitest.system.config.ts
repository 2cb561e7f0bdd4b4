/** Tests that need programs of the machine, such as mosquitto; `npm test` runs none of them. */

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/system/**/*.test.ts'],
    exclude: ['test/system/kvm/**', 'test/system/guests/**'],
    pool: 'threads',
    testTimeout: 30_000,
  },
});
