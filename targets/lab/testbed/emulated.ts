/**
 * QEMU's words for the emulated machine, whoever runs guests in it: EL2, GICv3, SMMUv3, Debian's kernel, and a folder
 * that it shares.
 */

import { join } from 'node:path';

/** The machine, whichever hardware: what its device tree depends on. */
export const MACHINE_OPTIONS = 'virtualization=on,gic-version=3,iommu=smmuv3';
export const PROCESSORS = '-cpu cortex-a57 -smp 2';

/** One such machine. */
export interface Emulated {
  /** `virt`, with a version where one is needed. */
  readonly machine?: string;
  /** Where prepare.sh has put kernel and file system. */
  readonly cache: string;
  /** The folder that it shares; its run.sh is what it runs. */
  readonly share: string;
  /** Where its console goes. */
  readonly console: string;
  readonly memoryMib: number;
  /** More words for its kernel, with a space before each. */
  readonly kernel?: string;
}

export function emulatedWords({
  machine = 'virt',
  cache,
  share,
  console,
  memoryMib,
  kernel = '',
}: Emulated): string[] {
  return [
    ...['-M', `${machine},${MACHINE_OPTIONS}`],
    ...`${PROCESSORS} -m ${memoryMib}`.split(' '),
    ...'-nodefaults -no-reboot -display none'.split(' '),
    ...['-kernel', join(cache, 'vmlinuz'), '-initrd', join(cache, 'l1.cpio')],
    ...['-append', `console=ttyAMA0 panic=-1 quiet cma=0${kernel}`],
    ...['-serial', `file:${console}`],
    ...sharedFolder('share', share),
  ];
}

/** A folder of this machine that the emulated one mounts by `tag`. */
export function sharedFolder(tag: string, path: string): string[] {
  return [
    ...['-fsdev', `local,id=${tag},path=${path},security_model=none,multidevs=remap`],
    ...['-device', `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`],
  ];
}

/** Address of this machine in the network of QEMU's guests (its user network). */
export const OUTER = '10.0.2.2';

/** A network by which it reaches TCP ports of this machine. */
export const NETWORK: readonly string[] = [
  '-netdev',
  'user,id=net',
  '-device',
  'virtio-net-pci,netdev=net,romfile=',
];
