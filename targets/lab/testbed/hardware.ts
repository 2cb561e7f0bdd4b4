/**
 * What stands in the emulated machine: its devices and what may be lent of them, for bare guests and for Linux
 * guests.
 */

import { type BundleDefinition, nameResources, type Trigger } from '../../../src/core/protocol/bundle.ts';
import { bundleId, deviceId, vmId } from '../../../src/core/protocol/ids.ts';
import { NETWORK } from './emulated.ts';

/** Slots of devices that only keep the VMs' IOMMU domains alive. */
const KEEPERS = [7, 8];

/** Devices, and how the machine starts with them. */
export interface Hardware {
  readonly bundles: readonly BundleDefinition[];
  readonly memoryMib: number;
  /** QEMU's words for the devices. */
  readonly devices: readonly string[];
  /** PCI addresses that vfio-pci drives. */
  readonly vfio: readonly string[];
  /** Words of `baton-kvm` that say which device is which. */
  readonly options: readonly string[];
}

const pci = (slot: number) => `0000:00:${slot.toString(16).padStart(2, '0')}.0`;
const eduAt = (slot: number) => ['-device', `edu,addr=${slot},dma_mask=0xffffffffffffffff`];
/** Where l1-run.sh puts what Linux guests boot. */
const GUESTS = ['--kernel /run/Image --files /run/files.cpio'];
const keepers = KEEPERS.map((slot) => `--keeper ${pci(slot)}`);

export const ANDROID = vmId('android');
export const VAULT = vmId('vault');

/** QEMU's `edu` in slot 5 as the machine's kernel places it, with a level for its interrupt (INTx). */
export const ENGINE = edu('engine', 5, 'level');
/** Another in slot 6 that signals by messages (MSI). */
export const SPARE = edu('spare', 6, 'edge');

/** That in slot 5 as a touch screen, for Linux guests with a driver of ours (driver/). */
export const TOUCH = edu('touch', 5, 'level');

/** The VMs see its registers and its interrupt at different places. */
function edu(name: string, slot: number, trigger: Trigger): BundleDefinition {
  const device = deviceId(name);
  const shift = (slot - 5) * 0x10_0000;
  return {
    id: bundleId(name),
    owner: ANDROID,
    keeper: 'hypervisor',
    devices: [
      {
        id: device,
        resources: nameResources(device, [
          {
            kind: 'mmio',
            physical: 0x1000_0000 + shift,
            bytes: 0x10_0000,
            views: { [ANDROID]: 0x0a00_0000 + shift, [VAULT]: 0x0b00_0000 + shift },
          },
          {
            kind: 'interrupt',
            physical: 31 + slot,
            trigger,
            views: { [ANDROID]: 43 + slot, [VAULT]: 72 + slot },
          },
          { kind: 'stream', physical: slot << 3, views: {} },
        ] as never),
        residualStates: ['registers', 'DMA buffer', 'raised interrupt'].map((what) => ({
          what,
          clearedBy: 'reset',
        })),
      },
    ],
  };
}

/**
 * QEMU's USB host controller in slot 5, with a tablet: guests drive it as a platform device, with drivers that know
 * nothing of us.
 */
export const TABLET: BundleDefinition = tablet();

function tablet(): BundleDefinition {
  const device = deviceId('usb');
  return {
    id: bundleId('tablet'),
    owner: ANDROID,
    keeper: 'hypervisor',
    devices: [
      {
        id: device,
        resources: nameResources(device, [
          // Where the machine's kernel places its registers.
          {
            kind: 'mmio',
            physical: 0x80_0000_c000,
            bytes: 0x4000,
            views: { [ANDROID]: 0x0a00_0000, [VAULT]: 0x0b00_0000 },
          },
          { kind: 'interrupt', physical: 36, trigger: 'level', views: { [ANDROID]: 48, [VAULT]: 77 } },
          { kind: 'stream', physical: 5 << 3, views: {} },
        ] as never),
        residualStates: ['ring addresses', 'events'].map((what) => ({ what, clearedBy: 'reset' })),
      },
    ],
  };
}

/** Two `edu`, for bare guests. */
export const BARE: Hardware = {
  bundles: [ENGINE, SPARE],
  memoryMib: 512,
  devices: [5, 6, ...KEEPERS].flatMap(eduAt),
  vfio: [5, 6, ...KEEPERS].map(pci),
  options: [...keepers, `--device engine=${pci(5)}`, `--device spare=${pci(6)}`, '--guest /run/guest.bin'],
};

/** A tablet at a USB host controller, for Linux guests, and a network to this machine for their sockets. */
export const LINUX: Hardware = {
  bundles: [TABLET],
  memoryMib: 1024,
  devices: [
    ...['-device', 'qemu-xhci,addr=5,id=usb', '-device', 'usb-tablet,bus=usb.0,id=tablet'],
    ...KEEPERS.flatMap(eduAt),
    ...NETWORK,
  ],
  vfio: [5, ...KEEPERS].map(pci),
  options: [...keepers, `--device usb=${pci(5)}`, ...GUESTS],
};

/** One `edu` that is a touch screen, for Linux guests with a driver of ours. */
export const LINUX_TOUCH: Hardware = {
  bundles: [TOUCH],
  memoryMib: LINUX.memoryMib,
  devices: [...[5, ...KEEPERS].flatMap(eduAt), ...NETWORK],
  vfio: [5, ...KEEPERS].map(pci),
  options: [...keepers, `--device touch=${pci(5)}`, ...GUESTS],
};
