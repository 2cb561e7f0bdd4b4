/** The QEMU that the tests of this folder drive. */

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { cacheFolder } from '../../../targets/lab/testbed/kvm-machine.ts';

/**
 * Debian 13's QEMU 10, made by prepare-qemu.sh in BATON_CACHE where it is not there yet: that of Debian 12 has no stage
 * 2 in its SMMUv3. Throws an Error that says what is missing.
 */
export function qemuProgram(): string {
  const cache = cacheFolder();
  const script = join(import.meta.dirname, '../../../targets/lab/testbed/prepare-qemu.sh');
  const made = spawnSync('/bin/bash', [script, cache], { encoding: 'utf8' });
  if (made.status !== 0)
    throw new Error(`no QEMU with SMMU stage 2; prepare-qemu.sh: ${made.stderr.slice(-1_000)}`);
  return join(cache, 'qemu-system-aarch64');
}
