/** Tests of Linux guests under a real hypervisor, each with an agent of its own. Needs QEMU; `npm test` runs none of them. */

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/system/guests/**/*.test.ts'],
    pool: 'threads',
    // One emulated machine at a time: it takes both cores.
    maxWorkers: 1,
    testTimeout: 120_000,
    // The first time, packages are fetched and unpacked.
    hookTimeout: 300_000,
  },
});
