/** Tests under a real hypervisor: KVM in an emulated aarch64 machine. Needs QEMU; `npm test` runs none of them. */

import { defineConfig } from 'vitest/config';
import { measurePace, paced } from './test/support/pace.ts';

measurePace();

export default defineConfig({
  test: {
    include: ['test/system/kvm/**/*.test.ts'],
    // Whatever tests start ends with their file, and with the run.
    globalSetup: 'test/support/ends-run.ts',
    setupFiles: 'test/support/ends-file.ts',
    pool: 'threads',
    // One emulated machine at a time: it takes both cores.
    maxWorkers: 1,
    testTimeout: paced(120_000),
    // The first time, packages are fetched and unpacked.
    // What is compared with a file that is missing fails: `-u` alone writes it.
    update: 'none',
    hookTimeout: paced(300_000),
  },
});
