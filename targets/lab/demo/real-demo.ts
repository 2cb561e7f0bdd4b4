/** `baton demo --real`: the demo's story under KVM, VFIO and the kernel's SMMU driver in an emulated machine. */

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type CliWorld, EXIT, UsageError } from '../../../src/cli/world.ts';
import { ENGINE, VAULT } from '../testbed/hardware.ts';
import { KvmMachine, missingPrograms } from '../testbed/kvm-machine.ts';
import type { DemoReport } from './demo-report.ts';
import { RealStory } from './real-story.ts';
import { RealTestbed } from './real-testbed.ts';

/** Sabotages of `baton-kvm`. */
export const REAL_SABOTAGES: readonly string[] = ['skip-unmap', 'skip-domain', 'skip-reset'];

/** Time limit of the story, in ms: ten times its duration on two idle cores. */
const LIMIT_MS = 120_000;

/**
 * Boots the machine, starts the parties, plays the story. Throws a UsageError when something must be installed first.
 */
export async function tellReal(
  world: CliWorld,
  report: DemoReport,
  sabotage: string | undefined,
): Promise<void> {
  const root = join(dirname(fileURLToPath(import.meta.url)), '..');
  if (!existsSync(join(root, 'targets/vmm')))
    throw new UsageError('--real needs a checkout of Baton: it builds baton-kvm');
  const missing = missingPrograms();
  if (missing !== undefined) throw new UsageError(`--real ${missing}`);
  const machine = new KvmMachine(root);
  const testbed = new RealTestbed(machine, ENGINE);
  testbed.onTold = ({ by, event }) => report.follow(by, event);
  const stop = async () => {
    await testbed.stop();
    await machine.stop();
  };
  const stopSignal = world.onSignal(() => void stop().then(() => process.exit(EXIT.failed)));
  let limit: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    limit = setTimeout(() => reject(new Error(`no end within ${LIMIT_MS} ms`)), LIMIT_MS);
  });
  const tell = async () => {
    report.step('booting the machine: QEMU emulates EL2 and an SMMUv3, in it runs Debian’s kernel with KVM');
    await machine.start([VAULT]);
    report.step(
      'starting host and two agents as processes; the VMs are bare guests that read the device in a loop',
    );
    await testbed.start();
    if (sabotage) await machine.sabotage(sabotage, true);
    const story = new RealStory(testbed, report);
    await story.run();
    story.figures();
  };
  try {
    await Promise.race([tell(), late]);
  } catch (error) {
    report.expect('the story goes on to its end', false, (error as Error).message);
  } finally {
    clearTimeout(limit);
    await stop();
    stopSignal();
  }
}
